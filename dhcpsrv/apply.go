package dhcpsrv

import "github.com/gomaas/maas/dhcpsrv/internal/wire"

// change is one record on its way to the store.
type change struct {
	kind   EventKind
	lease  Lease
	at     int64
	e      *entry
	rev    uint32 // of e after the change
	before entry  // e before the change
	was    bool   // before is valid; otherwise e is new

	e6, before6 *entry6 // the same fields for IPv6

	from *partner // partner that made the change; nil = this server
	in   *inbound // message that carried it
	with *partner // partner that must receive it; nil = none
	seq  uint64   // number of the change in the partner's log

	shifted int64 // clock.shifted when the change was made

	job *job // answered once the record is durable; nil = no client waits
}

// apply carries out a decision on the table and returns the changes that must become durable before
// the reply leaves, in order. The slice is valid until the next apply or expire.
func (t *table) apply(d *decision, r *request) []change {
	t.changes = t.changes[:0]
	switch d.act {
	case actHold:
		t.hold(d, r)
	case actGrant:
		t.grant(d, r)
	case actRelease:
		t.end(t.byAddr[d.addr], Released, d.now)
	case actDecline:
		t.decline(t.byAddr[d.addr], ClientDeclined, d.now)
	case actForget:
		t.forgetOffers(d)
		if w := d.seg.watch; w != nil && r.giaddr == 0 && !d.seg.hasPartner(r.serverID) {
			w.overheard()
		}
	}
	return t.changes
}

// hold keeps an address for an offer, in memory only: a DISCOVER costs no write, so that a flood of
// them cannot fill the disk. A lease of the client stays as it is.
func (t *table) hold(d *decision, r *request) {
	e := t.byAddr[d.addr]
	probed := t.probedAhead(d.addr, d.now)
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
		*e = entry{addr: d.addr, due: -1, rev: e.rev + 1, formerEnd: former, changed: e.changed, shared: e.shared}
		if former != 0 {
			e.start = start
		}
	}
	t.describe(e, d, r)
	e.state, e.end, e.probed = offered, d.now+d.hold, probed
	t.insert(e)
}

// describe fills an entry that is in no index with what the packet says about its client. The texts
// of an entry share one string, which is allocated only when one of them differs: a renewal
// allocates none.
func (t *table) describe(e *entry, d *decision, r *request) {
	e.sub, e.subnetName, e.link = d.sub, d.sub.Name, r.pkt.Link
	var buf [512]byte
	var at, atLine [255]byte
	mac, clientID, circuit := r.CHAddr(), r.Option(wire.OptClientID), wire.SubOption(r.relayAgent, 1)
	vendor, line := clip(r.Option(wire.OptVendorClass), 64), r.subscriber()
	if r.routed() { // a renewal past the relay: only the relay knows the circuit, so the last one stays
		circuit, line = append(at[:0], e.circuit()...), append(atLine[:0], e.subscriber()...)
	} else {
		e.relay = r.giaddr
	}
	name := hostname(buf[:], &r.Msg)
	if len(name) == 0 {
		name = append(name, e.hostname()...)
	}
	if e.key == string(d.key) && e.mac() == string(mac) && e.clientID() == string(clientID) && e.circuit() == string(circuit) &&
		e.vendor() == string(vendor) && e.hostname() == string(name) && e.subscriber() == string(line) {
		return
	}
	var all [512]byte
	b := append(append(append(append(all[:0], d.key...), mac...), clientID...), circuit...)
	text := string(append(append(append(b, vendor...), name...), line...))
	e.key = text[:len(d.key)]
	e.texts = newTexts(text[len(d.key):], [6]int{len(mac), len(clientID), len(circuit), len(vendor), len(name), len(line)})
}

// grant binds the address of a decision and ends the other leases of the client in the shared
// network: a client that moved to another subnet of the wire needs only one.
func (t *table) grant(d *decision, r *request) {
	for other := range t.own(d.key, d.seg) {
		switch {
		case other.addr == d.addr:
		case other.state == offered:
			t.lapse(other)
		case other.state == Bound:
			t.end(other, Released, d.now)
		}
	}
	e := t.byAddr[d.addr]
	t.changes = append(t.changes, change{kind: Granted, at: d.now})
	c := &t.changes[len(t.changes)-1]
	start := d.now
	if e == nil {
		e = &entry{addr: d.addr, due: -1}
	} else {
		c.before, c.was = e.copy(), true
		if e.mine(d.key) && e.state == Bound && e.live(d.now) {
			c.kind, start = Renewed, e.start
		}
		t.remove(e)
		if !e.mine(d.key) {
			*e = entry{addr: d.addr, due: -1, rev: e.rev, changed: e.changed}
		}
	}
	t.describe(e, d, r)
	e.state, e.start, e.end, e.formerEnd, e.probing = Bound, start, d.now+int64(d.lease), 0, false
	e.changed = max(d.now, e.changed+1)
	e.rev++
	t.insert(e)
	c.e, c.lease, c.rev = e, t.lease(e), e.rev
}

// end turns a lease into an ended one and records the change. The entry stays, so that the client
// gets the same address again.
func (t *table) end(e *entry, kind EventKind, now int64) {
	before := e.copy()
	if kind != Expired {
		e.changed = max(now, e.changed+1)
	}
	t.turn(e, Ended, min(now, e.end))
	t.changes = append(t.changes, change{kind: kind, lease: t.lease(e), at: now, e: e, rev: e.rev, before: before, was: true})
}

// decline takes an address from its client, withholds it from all clients for the subnet's
// DeclineTime, and records the change.
func (t *table) decline(e *entry, kind EventKind, now int64) {
	before := e.copy()
	t.remove(e)
	e.state, e.key, e.probing, e.formerEnd = Declined, "", false, 0
	e.start, e.end, e.changed = now, now+int64(e.sub.DeclineTime), max(now, e.changed+1)
	e.rev++
	t.insert(e)
	t.changes = append(t.changes, change{kind: kind, lease: t.lease(e), at: now, e: e, rev: e.rev, before: before, was: true})
	if kind == ClientDeclined {
		t.boundDeclined(e.sub, now)
	}
}

// boundDeclined ends the oldest declined address of a subnet, at its next expiry, when clients have
// declined more than a quarter of its pools. Three datagrams decline an address, so that one host
// could take all of them out of use otherwise. A prober still keeps an address that is in use.
func (t *table) boundDeclined(sub *subnet, now int64) {
	if oldest := sub.space.declined.first; sub.space.declined.n > max(1, sub.space.size/4) && oldest.end > now {
		t.turn(oldest, Declined, now)
	}
}

// forgetOffers removes the offers made to a client that accepted another server's.
func (t *table) forgetOffers(d *decision) {
	for e := range t.own(d.key, d.seg) {
		if e.state == offered {
			t.lapse(e)
		}
	}
}

// lapse ends an offer. An address that the client had leased before returns to that ended lease;
// any other is free again.
func (t *table) lapse(e *entry) {
	if e.formerEnd != 0 {
		t.turn(e, Ended, e.formerEnd)
		e.formerEnd = 0
		return
	}
	t.remove(e)
}

// expire ends up to n entries whose time is over and returns the leases among them. The bound keeps
// one packet from paying for thousands of expired leases. The slice is valid until the next apply
// or expire.
func (t *table) expire(now int64, n int) []change {
	t.changes = t.changes[:0]
	for ; n > 0 && len(t.due) > 0 && t.due[0].end <= now; n-- {
		switch e := t.due[0]; e.state {
		case offered:
			t.lapse(e)
		case Bound:
			t.end(e, Expired, now)
		default:
			t.freeDeclined(e, now)
		}
	}
	return t.changes
}

// undo reverts a change that the store refused, unless the entry has changed since: a later change
// has its own commit.
func (t *table) undo(c *change) {
	if t.byAddr[c.e.addr] != c.e || c.e.rev != c.rev {
		return
	}
	t.remove(c.e)
	if !c.was {
		return
	}
	rev, sub := c.e.rev+1, c.e.sub
	*c.e = c.before
	c.e.rev, c.e.sub = rev, sub
	c.e.confirmed = false
	t.insert(c.e)
}

// copy returns the entry without its places in the indexes.
func (e *entry) copy() entry {
	c := *e
	c.sameClient, c.prev, c.next, c.due = nil, nil, nil, -1
	return c
}
