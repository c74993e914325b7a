package dhcpsrv

import (
	"iter"
	"slices"
	"time"
)

// offered is the state of an entry that is held for an offer, in memory only. No Lease has it.
const offered LeaseState = 255

// entry holds an offer of one address, or its latest lease. Texts are strings because they are
// immutable and do not keep a packet's memory alive.
type entry struct {
	addr       addr4
	state      LeaseState
	probing    bool   // offered: a probe is under way
	probed     bool   // offered: a probe found no host
	rev        uint32 // counts changes, to know whether a failed commit can be taken back
	due        int    // place in the table's heap; -1 when not there
	start, end int64  // Unix nanoseconds
	changed    int64  // when the client, or a probe, last changed it
	shared            // failover
	formerEnd  int64  // offered: end of the client's own previous lease of this address; 0 = none
	relay      addr4
	sub        *subnet // nil when no subnet has the address
	key        string  // "" = no client: a conflict
	subnetName string
	link       string
	texts

	sameClient *entry // next entry of the same client
	prev, next *entry // in a list of the space
}

// texts holds what a client and its relay said, one text behind the other in one string. A string
// for each would make an entry larger by a third.
type texts struct {
	all  string
	ends [6]uint16 // of each text, in the order of the methods
}

// newTexts returns the texts in all, by their lengths.
func newTexts(all string, lens [6]int) (x texts) {
	x.all = all
	end := 0
	for i, n := range lens {
		end += n
		x.ends[i] = uint16(end) // a packet is shorter
	}
	return x
}

func (x *texts) mac() string        { return x.all[:x.ends[0]] }
func (x *texts) clientID() string   { return x.all[x.ends[0]:x.ends[1]] }
func (x *texts) circuit() string    { return x.all[x.ends[1]:x.ends[2]] }
func (x *texts) vendor() string     { return x.all[x.ends[2]:x.ends[3]] }
func (x *texts) hostname() string   { return x.all[x.ends[3]:x.ends[4]] }
func (x *texts) subscriber() string { return x.all[x.ends[4]:x.ends[5]] }

// live reports whether the entry is an offer, lease or declined address that has not run out.
func (e *entry) live(now int64) bool { return e.state != Ended && e.end > now }

// mine reports whether the entry belongs to the client.
func (e *entry) mine(key []byte) bool { return e.key != "" && e.key == string(key) }

// lease returns an entry as callers and stores see it.
func (t *table) lease(e *entry) Lease {
	l := Lease{
		Addr: e.addr.addr(), VRF: t.vrf, State: e.state, Hostname: e.hostname(), Subnet: e.subnetName, Link: e.link, VendorClass: e.vendor(), Subscriber: e.subscriber(),
		Start: time.Unix(0, e.start), Changed: time.Unix(0, e.changed), End: time.Unix(0, e.end),
	}
	text := []byte(e.all[:e.ends[2]]) // of the first three
	cut := func(n int) (b []byte) {
		if n > 0 {
			b, text = text[:n:n], text[n:]
		}
		return b
	}
	l.MAC, l.ClientID, l.CircuitID = cut(len(e.mac())), cut(len(e.clientID())), cut(len(e.circuit()))
	if e.relay != 0 {
		l.Relay = e.relay.addr()
	}
	return l
}

// newEntry is the inverse of lease.
func newEntry(l *Lease) *entry {
	changed := l.Changed
	if changed.IsZero() { // of a record of an older version
		changed = l.Start
	}
	all := string(l.MAC) + string(l.ClientID) + string(l.CircuitID) + l.VendorClass + l.Hostname + l.Subscriber
	return &entry{
		changed: changed.UnixNano(), addr: addr4From(l.Addr), state: l.State, start: l.Start.UnixNano(), end: l.End.UnixNano(), relay: addr4From(l.Relay),
		subnetName: l.Subnet, link: l.Link, due: -1,
		texts: newTexts(all, [6]int{len(l.MAC), len(l.ClientID), len(l.CircuitID), len(l.VendorClass), len(l.Hostname), len(l.Subscriber)}),
	}
}

// table holds all entries of a VRF with their indexes. The server's lock guards it.
type table struct {
	vrf      string
	cur      *serving
	byAddr   map[addr4]*entry
	byClient map[string]*entry // first of the entries of a client
	due      dueHeap
	circuits circuits
	heard    heard    // shared with the table of IPv6
	hosts    *hosts   // the same; nil = none
	ahead    bool     // addresses are probed ahead
	changes  []change // of the decision in progress

	noting bool
	noted  []*entry // inserted while noting
}

func newTable() *table {
	empty := &serving{byName: map[string]*subnet{}, byLink: map[string]*sharedNetwork{}, byClient: map[string][]*Reservation{}, byAddr: map[addr4]*Reservation{}}
	return &table{cur: empty, byAddr: make(map[addr4]*entry), byClient: make(map[string]*entry), circuits: circuits{}, heard: heard{}}
}

// insert enters e, whose address must have no entry, into all indexes.
func (t *table) insert(e *entry) {
	t.byAddr[e.addr] = e
	if t.noting {
		t.noted = append(t.noted, e)
	}
	t.link(e)
	if e.sub != nil {
		e.sub.space.take(e.addr)
	}
	t.schedule(e)
}

// remove takes e out of all indexes.
func (t *table) remove(e *entry) {
	t.unschedule(e)
	delete(t.byAddr, e.addr)
	if e.key != "" {
		t.unlink(e)
	}
	// A reserved address is never free in the bitmap, whether a lease of it exists or not.
	if e.sub != nil && t.cur.byAddr[e.addr] == nil && !e.sub.isServer(e.addr) {
		e.sub.space.release(e.addr)
	}
}

// link enters e first in the list of its client: the newest entry is asked for most.
func (t *table) link(e *entry) {
	if e.key != "" {
		e.sameClient = t.byClient[e.key]
		t.byClient[e.key] = e
	}
}

// unlink takes e out of the list of its client. The list is short, so that a search costs little.
func (t *table) unlink(e *entry) {
	first := t.byClient[e.key]
	if first == e {
		if e.sameClient == nil {
			delete(t.byClient, e.key)
		} else {
			t.byClient[e.key] = e.sameClient
		}
	}
	for ; first != nil; first = first.sameClient {
		if first.sameClient == e {
			first.sameClient = e.sameClient
			break
		}
	}
	e.sameClient = nil
}

// schedule enters e in the index of its state: the heap of what ends, the list of offers, the list
// of ended leases. The address of an ended lease may go to other clients unless it is reserved or
// outside the pools.
func (t *table) schedule(e *entry) {
	if e.state != Ended {
		t.due.push(e)
	}
	t.charge(e, 1)
	if l := t.listOf(e); l != nil {
		l.push(e)
	}
}

// unschedule is the inverse of schedule. Callers change state and end only between the two.
func (t *table) unschedule(e *entry) {
	t.due.remove(e)
	t.charge(e, -1)
	if l := t.listOf(e); l != nil {
		l.remove(e)
		// The address of an ended lease that a client gets is no longer known to be free.
		if t.ahead && e.state == Ended {
			at, place := e.sub.space.aheadOf(e.addr)
			at.old.Remove(place)
		}
	}
}

// listOf returns the list of e in its pool, or nil. Partners own ended addresses by parity, and
// each takes from its own list.
func (t *table) listOf(e *entry) *list {
	if e.sub == nil || t.cur.byAddr[e.addr] != nil {
		return nil
	}
	if _, _, ok := e.sub.space.index(e.addr); !ok {
		return nil
	}
	switch e.state {
	case Ended:
		return &e.sub.space.ended[e.sub.parity(e.addr)]
	case offered:
		return &e.sub.space.offers
	case Declined:
		return &e.sub.space.declined
	}
	return nil
}

// turn changes state and end of an entry.
func (t *table) turn(e *entry, state LeaseState, end int64) {
	t.unschedule(e)
	e.state, e.end = state, end
	e.rev++
	t.schedule(e)
}

// replace makes the table serve from c, whose subnets differ. All entries change their place in the
// pools, and at least the entries in renamed change the key of their client.
func (t *table) replace(c *serving, renamed []*entry) {
	for _, e := range renamed {
		if t.byAddr[e.addr] == e && e.key != "" {
			t.unlink(e)
			e.key = ""
		}
	}
	was := t.cur.subnets
	t.cur = c
	// Quotas are counted again from the entries, since they belong to subnets.
	clear(t.circuits)
	for a := range c.byAddr {
		c.find(a).space.take(a)
	}
	var listed []*entry
	for _, e := range t.byAddr {
		e.prev, e.next, e.sub = nil, nil, c.find(e.addr)
		if e.sub != nil {
			e.sub.space.take(e.addr)
		}
		t.charge(e, 1)
		if t.listOf(e) != nil {
			listed = append(listed, e)
		}
	}
	// The lists give the address out first that was unused for the longest time.
	sortByEnd(listed)
	for _, e := range listed {
		t.listOf(e).push(e)
	}
	for _, e := range renamed {
		if t.byAddr[e.addr] == e && e.key == "" {
			t.adopt(e)
			t.link(e)
		}
	}
	t.keepAhead(was)
}

// adopt sets the fields of an entry that depend on the snapshot.
func (t *table) adopt(e *entry) {
	e.sub = t.cur.find(e.addr)
	var buf [128]byte
	if key := t.cur.keyOf(e, buf[:]); string(key) != e.key {
		e.key = string(key)
	}
}

// keyOf returns the key that the client of an entry has by c, in buf when it fits.
func (c *serving) keyOf(e *entry, buf []byte) []byte {
	sub := c.find(e.addr)
	if sub == nil || e.state == Declined {
		return nil
	}
	key, _ := c.identify(buf, sub.seg, sub, []byte(e.mac()), []byte(e.clientID()), []byte(e.subscriber()))
	return key
}

// own returns the entries of a client in a shared network.
func (t *table) own(key []byte, seg *sharedNetwork) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		for e := t.byClient[string(key)]; e != nil; {
			next := e.sameClient // e may be removed meanwhile
			if e.sub != nil && e.sub.seg == seg && !yield(e) {
				return
			}
			e = next
		}
	}
}

// dueHeap is a binary heap of entries, the first to end on top. Each entry knows its place, so that
// a renewal need not search.
type dueHeap []*entry

func (h *dueHeap) push(e *entry) {
	*h = append(*h, e)
	e.due = len(*h) - 1
	h.up(e.due)
}

func (h *dueHeap) remove(e *entry) {
	i := e.due
	if i < 0 {
		return
	}
	last := len(*h) - 1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	e.due = -1
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h dueHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].due, h[j].due = i, j
}

func (h dueHeap) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].end <= h[i].end {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h dueHeap) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].end < h[child].end {
			child++
		}
		if h[i].end <= h[child].end {
			return
		}
		h.swap(i, child)
		i = child
	}
}

// sortByEnd orders entries by the time they run out, so that lists filled from them are in order of
// last use.
func sortByEnd(entries []*entry) {
	slices.SortFunc(entries, func(a, b *entry) int {
		switch {
		case a.end < b.end:
			return -1
		case a.end > b.end:
			return 1
		}
		return 0
	})
}
