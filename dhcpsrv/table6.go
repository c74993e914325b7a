package dhcpsrv

import (
	"cmp"
	"container/heap"
	lru "container/list"
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"
)

// entry6 holds an offer of one IPv6 address, or its latest lease. Unlike [entry] it keeps a whole
// Lease: IPv6 clients are as many, but their bursts are slower, and a table of numbers would not
// pay.
type entry6 struct {
	lease  Lease // its State is offered for what is held for an offer
	key    string
	sub    *subnet6 // nil when no subnet has the address
	rev    uint32
	former time.Time // offered: end of the client's own previous lease of this address
	due    int       // place in the heap; -1 when not there
	place  *lru.Element

	shared // failover

	probing bool // offered: a probe is under way
	probed  bool // offered: a probe found no host

	sameKey *entry6 // next entry of the same identity association
}

// list6 is a list of entries.
type list6 struct{ lru.List }

// appendKey6 appends the key of a lease: the client and one of its identity associations.
func appendKey6(b, duid []byte, iaid uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, duid...), iaid)
}

func (e *entry6) live(now time.Time) bool { return e.lease.State != Ended && e.lease.End.After(now) }

func (e *entry6) mine(key []byte) bool { return e.key != "" && e.key == string(key) }

// table6 holds all entries of a VRF with their indexes. The server's lock guards it.
type table6 struct {
	vrf    string
	cur    *serving6
	byAddr map[netip.Addr]*entry6
	byKey  map[string]*entry6 // first of the entries of an identity association
	due    due6

	circuits circuits
	prefixes map[string]int // of each client, by DUID, held or on offer
	lengths  [129]int       // how many entries are of prefixes of a length
	heard    heard          // shared with the table of IPv4
	hosts    *hosts         // the same; nil = none
	ahead    bool           // addresses are probed ahead
	changes  []change       // of the decision in progress
}

func newTable6() *table6 {
	return &table6{cur: newServing6(nil), byAddr: make(map[netip.Addr]*entry6), byKey: make(map[string]*entry6), circuits: circuits{}, prefixes: make(map[string]int)}
}

// insert enters e, whose address must have no entry, into all indexes.
func (t *table6) insert(e *entry6) {
	a := e.lease.Addr
	t.byAddr[a] = e
	if e.key != "" {
		e.sameKey = t.byKey[e.key]
		t.byKey[e.key] = e
	}
	e.due, e.place = -1, nil
	t.charge(e, 1)
	t.countPrefix(e, 1)
	if e.lease.Bits > 0 && e.sub != nil && e.list() != nil {
		e.place = e.list().PushBack(e)
	}
	if e.lease.State != Ended {
		heap.Push(&t.due, e)
	}
	if t.pooled(e.sub, a) {
		e.sub.use(a, 1)
		if t.ahead {
			at, place := e.sub.aheadOf(a)
			at.remove(place)
		}
		if l := e.list(); l != nil {
			e.place = l.PushBack(e)
		}
	}
}

// list returns the list that an entry of the pools is in by its state; nil = none.
func (e *entry6) list() *list6 {
	switch prefix := e.lease.Bits > 0; {
	case prefix && e.lease.State == Ended:
		return &e.sub.endedPrefixes[e.sub.half(e.lease.Addr)]
	case prefix:
		return nil
	case e.lease.State == Ended:
		return &e.sub.ended[e.sub.parity(e.lease.Addr)]
	case e.lease.State == offered:
		return &e.sub.offers
	case e.lease.State == Declined:
		return &e.sub.declined
	}
	return nil
}

// remove takes e out of all indexes.
func (t *table6) remove(e *entry6) {
	delete(t.byAddr, e.lease.Addr)
	t.charge(e, -1)
	t.countPrefix(e, -1)
	if e.due >= 0 {
		heap.Remove(&t.due, e.due)
	}
	if t.pooled(e.sub, e.lease.Addr) {
		e.sub.use(e.lease.Addr, -1)
	}
	if e.place != nil {
		e.list().Remove(e.place)
		e.place = nil
	}
	if e.key == "" {
		return
	}
	t.unlink(e)
}

func (t *table6) unlink(e *entry6) {
	first := t.byKey[e.key]
	switch {
	case first == e && e.sameKey == nil:
		delete(t.byKey, e.key)
	case first == e:
		t.byKey[e.key] = e.sameKey
	}
	for ; first != nil; first = first.sameKey {
		if first.sameKey == e {
			first.sameKey = e.sameKey
			break
		}
	}
	e.sameKey = nil
}

// pooled reports whether an address of the pools may go to any client.
func (t *table6) pooled(sub *subnet6, a netip.Addr) bool {
	return sub != nil && t.cur.byAddr[a] == nil && a != sub.Server && sub.pool(a) >= 0
}

// set changes state, end and times of an entry in place.
func (t *table6) set(e *entry6, change func(*Lease)) {
	t.remove(e)
	change(&e.lease)
	e.rev++
	t.insert(e)
}

// load enters a stored lease. It gets its subnet from the first snapshot.
func (t *table6) load(l Lease) error {
	if t.byAddr[l.Addr] != nil {
		return fmt.Errorf("two leases of %v", l.Addr)
	}
	e := &entry6{lease: l.clone()}
	e.key = l.key6()
	t.insert(e)
	return nil
}

// replace makes the table serve from c: every entry changes its place in the pools.
func (t *table6) replace(c *serving6) {
	was := t.cur.subnets
	t.cur = c
	clear(t.circuits)
	for a := range c.byAddr {
		if sub := c.find(a); sub.pool(a) >= 0 {
			sub.use(a, 1)
		}
	}
	for _, sub := range c.subnets {
		if sub.pool(sub.Server) >= 0 {
			sub.use(sub.Server, 1)
		}
	}
	var listed []*entry6
	for a, e := range t.byAddr {
		e.sub, e.place = c.find(a), nil
		t.charge(e, 1)
		if e.lease.Bits > 0 {
			for _, p := range c.delegated {
				p.odd.set(p, e, true)
			}
			if e.sub != nil && e.list() != nil {
				listed = append(listed, e)
			}
		}
		if !t.pooled(e.sub, a) {
			continue
		}
		if e.sub.use(a, 1); e.list() != nil {
			listed = append(listed, e)
		}
	}
	sortByEnd6(listed)
	for _, e := range listed {
		e.place = e.list().PushBack(e)
	}
	t.keepAhead(was)
}

// own returns the entries of a client's identity association in a shared network.
func (t *table6) own(key []byte, seg *sharedNetwork6) iter.Seq[*entry6] {
	return func(yield func(*entry6) bool) {
		for e := t.byKey[string(key)]; e != nil; {
			next := e.sameKey // e may be removed meanwhile
			if e.sub != nil && e.sub.seg == seg && !yield(e) {
				return
			}
			e = next
		}
	}
}

// owns reports whether own returns an entry.
func (t *table6) owns(key []byte, seg *sharedNetwork6) bool {
	for range t.own(key, seg) {
		return true
	}
	return false
}

// expire ends up to n entries that have run out and returns the leases among them.
func (t *table6) expire(now time.Time, n int) (changes []change) {
	for ; n > 0 && len(t.due) > 0 && !t.due[0].lease.End.After(now); n-- {
		switch e := t.due[0]; e.lease.State {
		case offered:
			t.lapse(e)
		case Bound:
			changes = append(changes, t.end(e, Expired, now))
		default:
			t.freeDeclined(e, now)
		}
	}
	return changes
}

// lapse ends an offer. An address that the client had leased before returns to that ended lease;
// any other is free again.
func (t *table6) lapse(e *entry6) {
	if e.former.IsZero() {
		t.remove(e)
		return
	}
	t.set(e, func(l *Lease) { l.State, l.End = Ended, e.former })
	e.former = time.Time{}
}

// end turns a lease into an ended one.
func (t *table6) end(e *entry6, kind EventKind, now time.Time) change {
	before := *e
	t.set(e, func(l *Lease) {
		if l.State = Ended; kind != Expired {
			l.Changed = laterThan(l.Changed, now)
		}
		if l.End.After(now) {
			l.End = now
		}
	})
	return e.change(kind, now, &before)
}

func (e *entry6) change(kind EventKind, now time.Time, before *entry6) change {
	return change{kind: kind, lease: e.lease.clone(), at: now.UnixNano(), e6: e, rev: e.rev, before6: before}
}

// decline takes an address from its client and withholds it from all clients for the subnet's
// DeclineTime.
func (t *table6) decline(e *entry6, kind EventKind, now time.Time) change {
	before := *e
	t.remove(e)
	e.key, e.former, e.probing = "", time.Time{}, false
	e.lease.State, e.lease.Start, e.lease.End = Declined, now, now.Add(e.sub.DeclineTime)
	e.lease.Changed = laterThan(e.lease.Changed, now)
	e.rev++
	t.insert(e)
	if kind == ClientDeclined {
		t.boundDeclined(e.sub, now)
	}
	return e.change(kind, now, &before)
}

// boundDeclined is [table.boundDeclined] for IPv6.
func (t *table6) boundDeclined(sub *subnet6, now time.Time) {
	if uint64(sub.declined.Len()) <= max(1, sub.total/4) {
		return
	}
	if oldest := sub.declined.Front().Value.(*entry6); oldest.lease.End.After(now) {
		t.set(oldest, func(l *Lease) { l.End = now })
	}
}

// undo reverts a change that the store refused, unless the entry has changed since.
func (t *table6) undo(c *change) {
	e := c.e6
	if t.byAddr[e.lease.Addr] != e || e.rev != c.rev {
		return
	}
	t.remove(e)
	if c.before6 == nil {
		return
	}
	rev, sub := e.rev+1, e.sub
	*e = *c.before6
	e.rev, e.sub, e.confirmed = rev, sub, false
	t.insert(e)
}

// laterThan returns now, or the moment after before when that is later: the changes of one address
// stay in order although the clock may be set.
func laterThan(before, now time.Time) time.Time {
	if now.After(before) {
		return now
	}
	return before.Add(1)
}

// freeDeclined is [table.freeDeclined] for IPv6.
func (t *table6) freeDeclined(e *entry6, now time.Time) {
	if e.sub != nil && e.sub.partner != nil && !e.confirmed && !e.sub.partner.takesOver(now.UnixNano()) {
		t.set(e, func(l *Lease) { l.State = Ended })
		return
	}
	t.remove(e)
}

// due6 is a heap of entries by the time they run out.
type due6 []*entry6

func (h due6) Len() int           { return len(h) }
func (h due6) Less(i, j int) bool { return h[i].lease.End.Before(h[j].lease.End) }
func (h due6) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].due, h[j].due = i, j
}

// Push implements heap.Interface.
func (h *due6) Push(x any) {
	e := x.(*entry6)
	e.due = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *due6) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.due = -1
	return e
}

// sortByEnd6 orders entries by the time they run out, so that lists filled from them are in order
// of last use.
func sortByEnd6(entries []*entry6) {
	slices.SortFunc(entries, func(a, b *entry6) int {
		return cmp.Or(a.lease.End.Compare(b.lease.End), a.lease.Addr.Compare(b.lease.Addr))
	})
}
