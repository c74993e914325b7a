package dhcpsrv

import "time"

// Ways in which an address is chosen, for explanations.
const (
	byReservation = "reservation"
	byLease       = "lease"
	byOffer       = "offer"
	byFormer      = "former lease"
	byRequest     = "requested"
	byHash        = "pool"
	byStock       = "pool, the nearest that was probed ahead"
	byAge         = "least recently used"
	bySteal       = "oldest offer"
	byDecline     = "declined address that is probed again"
)

// stealAfter is the time during which an offer is safe from other clients when no other address is
// left: firmware takes up to 4 s to accept.
const stealAfter = int64(6 * time.Second)

// choose picks the address to offer to a client: reservation, live lease, held offer, previous
// lease, the address it asks for, the place its key hashes to, the least recently used one. It
// changes nothing; ok is false when none is left.
func (t *table) choose(d *decision, wanted addr4) (ok bool) {
	if d.res != nil && d.res.Addr.IsValid() {
		a := addr4From(d.res.Addr)
		if holder := t.blocker(a, d.key, d.now); holder == nil && t.mayGive(d, a) {
			return d.take(a, byReservation)
		} else if d.trace && holder == nil {
			d.note("reserved address %v: the partner has not confirmed that the former lease is over", a.addr())
		} else if d.trace {
			d.note("reserved address %v is %s until %s", a.addr(), holder.describe(), until(holder))
		}
	}
	if e, how := t.heldBy(d); e != nil && (e.live(d.now) || !t.overQuota(d)) {
		return d.take(e.addr, how)
	}
	if t.overQuota(d) {
		d.reason = dropQuota
		return false
	}
	if wanted != 0 && t.isFree(d, wanted) {
		return d.take(wanted, byRequest)
	}
	if t.chooseFrom(d, d.sub) {
		return true
	}
	for _, sub := range d.seg.subnets {
		if sub != d.sub && t.chooseFrom(d, sub) {
			return true
		}
	}
	return t.chooseOld(d)
}

// blocker returns the entry that keeps an address from the client, or nil.
func (t *table) blocker(a addr4, key []byte, now int64) *entry {
	if e := t.byAddr[a]; e != nil && !e.mine(key) && e.live(now) {
		return e
	}
	return nil
}

// heldBy returns the client's own entry of the shared network that it may keep: its lease, else its
// offer, else its previous lease.
func (t *table) heldBy(d *decision) (best *entry, how string) {
	rank := 0
	for e := range t.own(d.key, d.seg) {
		if !t.dynamic(d, e.addr) || !t.mayGive(d, e.addr) {
			continue
		}
		this, by := 1, byFormer
		if e.live(d.now) {
			this, by = 2, byOffer
			if e.state == Bound {
				this, by = 3, byLease
			}
		}
		if this > rank || this == rank && e.end > best.end {
			best, rank, how = e, this, by
		}
	}
	return best, how
}

// dynamic reports whether the client may get the address without holding it: it is in a pool of the
// shared network and not reserved for another client.
func (t *table) dynamic(d *decision, a addr4) bool {
	sub := t.cur.find(a)
	if sub == nil || sub.seg != d.seg {
		return false
	}
	if res := t.cur.byAddr[a]; res != nil {
		return res == d.res
	}
	if d.res != nil && d.res.Subnet != "" && d.res.Subnet != sub.Name {
		return false
	}
	_, pool, ok := sub.space.index(a)
	return ok && sub.opens(pool, d.class) && !sub.isServer(a)
}

func (t *table) isFree(d *decision, a addr4) bool {
	return t.dynamic(d, a) && t.blocker(a, d.key, d.now) == nil && t.mayGive(d, a)
}

func (t *table) chooseFrom(d *decision, sub *subnet) bool {
	if d.res != nil && d.res.Subnet != "" && d.res.Subnet != sub.Name {
		return false
	}
	var a addr4
	ok := false
	if sub.classed() {
		a, ok = t.pickOpen(d, sub)
	} else {
		a, ok = sub.pick(d.key, d.now)
	}
	if !ok {
		return false
	}
	if probed, ok := t.pickProbed(d, sub, a); ok && probed != a {
		return d.take(probed, byStock)
	}
	return d.take(a, byHash)
}

// chooseOld takes over the address of an ended lease, or of the oldest offer that its client did
// not accept, or the declined address that would be free first. A declined address must be probed.
func (t *table) chooseOld(d *decision) bool {
	var ended, offer, declined *entry
	for _, sub := range d.seg.subnets {
		if d.res != nil && d.res.Subnet != "" && d.res.Subnet != sub.Name {
			continue
		}
		if sub.classed() {
			ended = sooner(ended, t.oldestOpen(d, &sub.space.ended[0]))
			ended = sooner(ended, t.oldestOpen(d, &sub.space.ended[1]))
		} else {
			ended = sooner(ended, sub.oldest(d.now))
		}
		offer = sooner(offer, t.oldestOpen(d, &sub.space.offers))
		declined = sooner(declined, t.oldestOpen(d, &sub.space.declined))
	}
	if ended != nil {
		return d.take(ended.addr, byAge)
	}
	if offer != nil && offer.end-d.now < d.hold-stealAfter {
		return d.take(offer.addr, bySteal)
	}
	// Three datagrams decline an address, and any host can send them.
	if declined != nil && d.probes {
		return d.take(declined.addr, byDecline)
	}
	return false
}

// oldestOpen returns the first entry of a list whose address the client of a decision may have, or
// nil.
func (t *table) oldestOpen(d *decision, l *list) *entry {
	n := 0
	for e := l.first; e != nil && n < maxOldest; e, n = e.next, n+1 {
		if t.dynamic(d, e.addr) && t.mayGive(d, e.addr) {
			return e
		}
	}
	return nil
}

// sooner returns the entry of two that ends first; nil ends last.
func sooner(a, b *entry) *entry {
	if a == nil || b != nil && b.end < a.end {
		return b
	}
	return a
}

func (e *entry) describe() string {
	switch e.state {
	case Declined:
		return "declined"
	case offered:
		return "on offer to another client"
	}
	return "leased by another client"
}

func until(e *entry) string { return time.Unix(0, e.end).UTC().Format(time.RFC3339) }
