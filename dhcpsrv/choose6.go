package dhcpsrv

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// maxScan bounds the search for a free address after hashing has found none. No larger pool is full
// for so long a stretch in practice, and a smaller pool is searched whole.
const maxScan = 1 << 16

// choose picks the address for an IA in the order that [table.choose] has: reservation, live lease,
// held offer, previous lease, an address asked for, the place the key hashes to, the least recently
// used one.
func (t *table6) choose(d *decision6, ia *ia6, wanted []netip.Addr) bool {
	if d.refused {
		d.reason = nakRefused
		return false
	}
	if a := d.reserved(); a.IsValid() && !d.uses(a) {
		if t.mayTake(d, a, ia.key) && t.mayGive(d, ia, a) {
			return t.take(ia, a, byReservation)
		}
		d.note("reserved address %v is held by another client", a)
	}
	held, how := t.heldBy(d, ia)
	if held != nil && held.live(d.now) {
		return t.take(ia, held.lease.Addr, how)
	}
	if !t.spend(d, ia) {
		d.reason = dropQuota
		d.note("IA %08x: the quota of where the client is, is used up", ia.id)
		return false
	}
	if held != nil {
		return t.take(ia, held.lease.Addr, how)
	}
	for _, a := range wanted {
		if t.dynamic(d, a) && t.mayTake(d, a, ia.key) && t.mayGive(d, ia, a) && !d.uses(a) {
			return t.take(ia, a, byRequest)
		}
	}
	for sub := range d.subnets() {
		if a := t.pick(d, sub, ia.key); a.IsValid() {
			if probed := t.pickProbed(d, ia, sub, a); probed != a {
				return t.take(ia, probed, byStock)
			}
			return t.take(ia, a, byHash)
		}
	}
	return t.chooseOld(d, ia)
}

// chooseOld is [table.chooseOld] for IPv6.
func (t *table6) chooseOld(d *decision6, ia *ia6) bool {
	var offer, declined *entry6
	for sub := range d.subnets() {
		if e := t.oldest(d, ia, sub); e != nil {
			return t.take(ia, e.lease.Addr, byAge)
		}
		offer = firstToEnd(offer, t.oldestOf(d, ia, &sub.offers))
		declined = firstToEnd(declined, t.oldestOf(d, ia, &sub.declined))
	}
	if offer != nil && offer.lease.End.Sub(d.now) < d.hold-time.Duration(stealAfter) {
		return t.take(ia, offer.lease.Addr, bySteal)
	}
	if declined != nil && d.probes {
		return t.take(ia, declined.lease.Addr, byDecline)
	}
	if d.trace {
		d.note("IA %08x: no address is left", ia.id)
	}
	return false
}

// oldestOf returns the first entry of a list whose address the client of a decision may have, or
// nil.
func (t *table6) oldestOf(d *decision6, ia *ia6, l *list6) *entry6 {
	n := 0
	for el := l.Front(); el != nil && n < maxOldest; el, n = el.Next(), n+1 {
		if e := el.Value.(*entry6); t.dynamic(d, e.lease.Addr) && t.mayGive(d, ia, e.lease.Addr) && !d.uses(e.lease.Addr) {
			return e
		}
	}
	return nil
}

// firstToEnd returns the entry of two that ends first; nil ends last.
func firstToEnd(a, b *entry6) *entry6 {
	if a == nil || b != nil && b.lease.End.Before(a.lease.End) {
		return b
	}
	return a
}

func (t *table6) take(ia *ia6, a netip.Addr, how string) bool {
	ia.addr, ia.by, ia.sub = a, how, t.cur.find(a)
	return true
}

// subnets returns the subnets to search, the preferred one first.
func (d *decision6) subnets() iter.Seq[*subnet6] {
	return func(yield func(*subnet6) bool) {
		fits := func(sub *subnet6) bool { return d.res == nil || d.res.Subnet == "" || d.res.Subnet == sub.Name }
		if fits(d.sub) && !yield(d.sub) {
			return
		}
		for _, sub := range d.sub.seg.subnets {
			if sub != d.sub && fits(sub) && !yield(sub) {
				return
			}
		}
	}
}

// mayTake reports whether no other client holds an address. A reserved address passes from one
// stage of a machine to the next: firmware, installer and system have different DUIDs, and share
// the reservation by link address.
func (t *table6) mayTake(d *decision6, a netip.Addr, key []byte) bool {
	e := t.byAddr[a]
	if e == nil || e.mine(key) || !e.live(d.now) {
		return true
	}
	return e.lease.State != Declined && a == d.reserved() && t.sameMachine(d, e)
}

// sameMachine reports whether an entry belongs to a machine whose reservation the client has.
func (t *table6) sameMachine(d *decision6, e *entry6) bool {
	return slices.ContainsFunc(d.res.identities6(), func(id string) bool {
		return id == duidKey(e.lease.DUID) || id == macKey(e.lease.MAC) || e.lease.Subscriber != "" && id == "s"+e.lease.Subscriber
	})
}

// dynamic reports whether the client may get the address without holding it.
func (t *table6) dynamic(d *decision6, a netip.Addr) bool {
	sub := t.cur.find(a)
	if sub == nil || sub.seg != d.sub.seg || sub.pool(a) < 0 || !sub.opens(sub.pool(a), d.class) || a == sub.Server || a == sub.PartnerServer || t.cur.byAddr[a] != nil {
		return false
	}
	return d.res == nil || d.res.Subnet == "" || d.res.Subnet == sub.Name
}

// heldBy returns the IA's own entry of the shared network that it may keep: its lease, else its
// offer, else its previous lease.
func (t *table6) heldBy(d *decision6, ia *ia6) (best *entry6, how string) {
	rank := 0
	for e := range t.own(ia.key, d.sub.seg) {
		if d.uses(e.lease.Addr) || !t.dynamic(d, e.lease.Addr) || !t.mayGive(d, ia, e.lease.Addr) {
			continue
		}
		this, by := 1, byFormer
		if e.live(d.now) {
			this, by = 2, byOffer
			if e.lease.State == Bound {
				this, by = 3, byLease
			}
		}
		if this > rank || this == rank && e.lease.End.After(best.lease.End) {
			best, rank, how = e, this, by
		}
	}
	return best, how
}

// pick returns a never used address of the subnet's pools for a key. The same key gets the same
// address as long as it is free.
func (t *table6) pick(d *decision6, sub *subnet6, key []byte) netip.Addr {
	now := d.now.UnixNano()
	if sub.full(now) {
		return netip.Addr{}
	}
	if sub.classed() {
		return t.pickOpen(d, sub, key)
	}
	free := func(a netip.Addr) bool {
		return sub.mayPick(a, now) && t.byAddr[a] == nil && t.dynamic(d, a) && !d.uses(a)
	}
	h := hashKey(key)
	start := h % sub.total
	for range hashTries {
		if a := sub.at(h % sub.total); free(a) {
			return a
		}
		h = mix(h)
	}
	for n := range min(sub.total, maxScan) {
		if a := sub.at((start + n) % sub.total); free(a) {
			return a
		}
	}
	return netip.Addr{}
}

// withholdDeclined takes declined addresses back that could not be probed, since too many probes
// are under way or the message has too many identity associations.
func (d *decision6) withholdDeclined() {
	withheld := false
	for i := range d.ias {
		if ia := &d.ias[i]; ia.by == byDecline {
			ia.addr, ia.by, ia.sub, ia.act, ia.status = netip.Addr{}, "", nil, actNone, wire6.StatusNoAddrsAvail
			withheld = true
		}
	}
	if a, _ := d.first(); withheld && !a.IsValid() {
		d.reason = dropPoolExhausted
	}
}
