package dhcpsrv

import (
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// change is one record on its way to the store.
type change struct {
	kind   EventKind
	lease  Lease
	at     int64
	e      *entry
	rev    uint32 // of e after the change
	before *entry // value of e before it; nil = e is new

	e6, before6 *entry6 // the same for IPv6

	job *job // answered once the record is durable; nil = nobody waits
}

// apply carries a decision out on the table and returns what has to become durable before the reply leaves, in order.
func (t *table) apply(d *decision, r *request) []change {
	switch d.act {
	case actHold:
		t.hold(d, r)
	case actGrant:
		return t.grant(d, r)
	case actRelease:
		return []change{t.end(t.byAddr[d.addr], Released, d.now)}
	case actQuarantine:
		return []change{t.quarantine(t.byAddr[d.addr], Declined, d.now)}
	case actForget:
		t.forgetOffers(d)
		if w := d.seg.watch; w != nil && r.giaddr == 0 {
			w.overheard(time.Unix(0, d.now))
		}
	}
	return nil
}

// hold keeps an address for an offer, in memory only: a DISCOVER costs no write. A lease of the client stays as it is.
func (t *table) hold(d *decision, r *request) {
	e := t.byAddr[d.addr]
	switch {
	case e == nil:
		e = &entry{addr: d.addr, due: -1}
	case e.mine(d.key) && e.state == Bound && e.live(d.now):
		return
	case e.mine(d.key) && e.state == offered:
		t.turn(e, offered, d.now+d.hold)
		return
	default:
		former := int64(0)
		if e.mine(d.key) {
			former = e.end
		}
		t.remove(e)
		start := e.start
		*e = entry{addr: d.addr, due: -1, rev: e.rev + 1, formerEnd: former}
		if former != 0 {
			e.start = start
		}
	}
	t.describe(e, d, r)
	e.state, e.end = offered, d.now+d.hold
	t.insert(e)
}

// describe fills an entry that is in no index with what the packet says about its client.
func (t *table) describe(e *entry, d *decision, r *request) {
	e.key, e.sub, e.subnetName = d.key, d.sub, d.sub.Name
	e.mac = clone(r.CHAddr())
	e.clientID = clone(r.Option(wire.OptClientID))
	e.vendor = clone(clip(r.Option(wire.OptVendorClass), 64))
	e.circuit = clone(wire.SubOption(r.relayAgent, 1))
	e.relay, e.link = r.giaddr, r.pkt.Link
	if name := hostname(&r.Msg); name != "" {
		e.hostname = name
	}
}

// grant binds the address of a decision and ends what else the client has in the segment.
func (t *table) grant(d *decision, r *request) (changes []change) {
	for other := range t.own(d.key, d.seg) {
		switch {
		case other.addr == d.addr:
		case other.state == offered:
			t.lapse(other)
		case other.state == Bound:
			changes = append(changes, t.end(other, Released, d.now))
		}
	}
	e := t.byAddr[d.addr]
	c := change{kind: Granted, at: d.now, e: e}
	start := d.now
	if e == nil {
		e = &entry{addr: d.addr, due: -1}
		c.e = e
	} else {
		c.before = e.copy()
		if e.mine(d.key) && e.state == Bound && e.live(d.now) {
			c.kind, start = Renewed, e.start
		}
		t.remove(e)
		if !e.mine(d.key) {
			*e = entry{addr: d.addr, due: -1, rev: e.rev}
		}
	}
	t.describe(e, d, r)
	e.state, e.start, e.end, e.formerEnd, e.probing = Bound, start, d.now+int64(d.lease), 0, false
	e.rev++
	t.insert(e)
	c.lease, c.rev = e.lease(), e.rev
	return append(changes, c)
}

// end turns a lease into a remembered one.
func (t *table) end(e *entry, kind EventKind, now int64) change {
	before := e.copy()
	t.turn(e, Ended, min(now, e.end))
	return change{kind: kind, lease: e.lease(), at: now, e: e, rev: e.rev, before: before}
}

// quarantine takes an address from its client and keeps it from everybody.
func (t *table) quarantine(e *entry, kind EventKind, now int64) change {
	before := e.copy()
	t.remove(e)
	e.state, e.key, e.probing, e.formerEnd = Quarantined, "", false, 0
	e.start, e.end = now, now+int64(e.sub.QuarantineTime)
	e.rev++
	t.insert(e)
	return change{kind: kind, lease: e.lease(), at: now, e: e, rev: e.rev, before: before}
}

// forgetOffers drops what is on offer to a client that took another server's.
func (t *table) forgetOffers(d *decision) {
	for e := range t.own(d.key, d.seg) {
		if e.state == offered {
			t.lapse(e)
		}
	}
}

// lapse ends an offer: a client's own former lease comes back, other addresses are free again.
func (t *table) lapse(e *entry) {
	if e.formerEnd != 0 {
		t.turn(e, Ended, e.formerEnd)
		e.formerEnd = 0
		return
	}
	t.remove(e)
}

// expire ends up to n entries that have run out and returns the leases among them.
func (t *table) expire(now int64, n int) (changes []change) {
	for ; n > 0 && len(t.due) > 0 && t.due[0].end <= now; n-- {
		switch e := t.due[0]; e.state {
		case offered:
			t.lapse(e)
		case Bound:
			changes = append(changes, t.end(e, Expired, now))
		default:
			t.remove(e)
		}
	}
	return changes
}

// undo takes a change back that the store did not take, unless the entry has changed since.
func (t *table) undo(c *change) {
	if t.byAddr[c.e.addr] != c.e || c.e.rev != c.rev {
		return
	}
	t.remove(c.e)
	if c.before == nil {
		return
	}
	rev, sub := c.e.rev+1, c.e.sub
	*c.e = *c.before
	c.e.rev, c.e.sub = rev, sub
	t.insert(c.e)
}

// copy returns the value of an entry without its places in indexes.
func (e *entry) copy() *entry {
	c := *e
	c.sameClient, c.prev, c.next, c.due = nil, nil, nil, -1
	return &c
}
