package dhcpsrv

import (
	"net/netip"

	"github.com/gomaas/maas/dhcpsrv/internal/stock"
)

// aheadOf returns what was probed ahead in the pool of an address, and its place there; nil when it
// is in no pool.
func (s *space) aheadOf(a addr4) (*ahead, uint64) {
	if i, n, ok := s.index(a); ok {
		return &s.ahead[n], uint64(i - s.ranges[n].base)
	}
	return nil, 0
}

// probedAhead reports whether an address counts as free by a probe.
func (t *table) probedAhead(a addr4, now int64) bool {
	if !t.ahead {
		return false
	}
	sub := t.cur.find(a)
	if sub == nil {
		return false
	}
	at, place := sub.space.aheadOf(a)
	return at != nil && at.has(place, now)
}

// pickProbed returns an address that was probed ahead for a client that would get a without one:
// itself, or else the nearest in its pool, or one of another pool that is open to the client.
func (t *table) pickProbed(d *decision, sub *subnet, a addr4) (addr4, bool) {
	i, own, ok := sub.space.index(a)
	if !t.ahead || !ok {
		return 0, false
	}
	from := uint64(i - sub.space.ranges[own].base)
	for k := range sub.space.ranges {
		n := (own + k) % len(sub.space.ranges)
		r := sub.space.ranges[n]
		if sub.classed() && !sub.opens(n, d.class) {
			continue
		}
		fits := func(p uint64) bool { return t.mayGive(d, r.lo+addr4(p)) }
		if p, ok := sub.space.ahead[n].free.Near(min(from, uint64(r.hi-r.lo)), d.now, fits); ok {
			return r.lo + addr4(p), true
		}
	}
	return 0, false
}

// hear takes an address that no client has out of the stock.
func (t *table) hear(a addr4, until int64) {
	if sub := t.cur.find(a); sub != nil && !(t.byAddr[a] != nil && t.byAddr[a].state != Ended) {
		if at, place := sub.space.aheadOf(a); at != nil {
			at.heard(place, until)
		}
	}
}

// candidates returns the addresses to probe next, up to most, and marks them as being probed.
// Places of a stock that are old soon are probed again.
func (t *table) candidates(now, soon int64, most int) (lots []*lot) {
	for _, sub := range t.cur.subnets {
		if mode, _ := sub.seg.modeNow(); mode != ModeServe || !sub.mayPick(now) || !sub.canProbe() {
			continue
		}
		exhausted := sub.exhausted(now)
		for n, r := range sub.space.ranges {
			l := &lot{ahead: &sub.space.ahead[n], old: exhausted, link: sub.Link, subnet: sub.Name}
			free := func(p uint64) bool {
				a := r.lo + addr4(p)
				return !sub.space.isTaken(r.base+int(p)) && sub.mayPickAddr(a, now)
			}
			l.gather(uint64(r.hi-r.lo)+1, now, soon, most, free, uint64(sub.space.free), func() []uint64 { return t.endedIn(sub, r, now) })
			for _, p := range l.places {
				l.addrs = append(l.addrs, (r.lo + addr4(p)).addr())
			}
			if most -= len(l.places); len(l.places) > 0 {
				lots = append(lots, l)
			}
		}
	}
	return lots
}

// exhausted reports whether a subnet has no address left that no client has had.
func (s *subnet) exhausted(now int64) bool {
	p := s.partner
	if p == nil || p.takesOver(now) {
		return s.space.free == 0
	}
	return s.space.parities[p.bit] == 0
}

// mayPick reports whether this server gives never used addresses of the subnet to clients now.
func (s *subnet) mayPick(now int64) bool {
	return s.partner == nil || s.partner.owns(s.partner.bit, now) || s.partner.takesOver(now)
}

// mayPickAddr reports whether a never used address may go to any client.
func (s *subnet) mayPickAddr(a addr4, now int64) bool {
	return s.partner == nil || s.partner.owns(byte(a&1), now) || s.partner.takesOver(now)
}

// endedIn returns the places of a pool whose ended leases are the least recently used ones, which
// clients get first when no other address is left.
func (t *table) endedIn(sub *subnet, r addrRange, now int64) (places []uint64) {
	for half := range sub.space.ended {
		n := 0
		for e := sub.space.ended[half].first; e != nil && n < maxOldest; e, n = e.next, n+1 {
			if e.addr >= r.lo && e.addr <= r.hi && sub.mayPickAddr(e.addr, now) && (sub.partner == nil || e.confirmed || sub.partner.takesOver(now)) {
				places = append(places, uint64(e.addr-r.lo))
			}
		}
	}
	return places
}

// keepAhead moves what was probed ahead from the pools of another snapshot.
func (t *table) keepAhead(was []*subnet) {
	for _, old := range was {
		for n := range old.space.ahead {
			r := old.space.ranges[n]
			moveStock(&old.space.ahead[n].free, func(p uint64) (*stock.Stock, uint64, uint64) {
				a := r.lo + addr4(p)
				sub := t.cur.find(a)
				if sub == nil || sub.Link != old.Link || sub.space == old.space {
					return nil, 0, 0
				}
				i, m, ok := sub.space.index(a)
				if !ok || sub.space.isTaken(i) {
					return nil, 0, 0
				}
				to := sub.space.ranges[m]
				return &sub.space.ahead[m].free, uint64(a - to.lo), uint64(to.hi-to.lo) + 1
			})
		}
	}
}

// moveStock enters the places of a stock into the stocks that find returns for them.
func moveStock(from *stock.Stock, find func(uint64) (to *stock.Stock, place, size uint64)) {
	for p, until := range from.All() {
		if to, place, size := find(p); to != nil {
			to.Begin(place, size)
			to.End(place, false, until)
		}
	}
}

// The same for IPv6.

func (s *subnet6) aheadOf(a netip.Addr) (*ahead, uint64) {
	if n := s.pool(a); n >= 0 {
		return &s.ahead[n], span6(s.Pools[n].First, a) - 1
	}
	return nil, 0
}

func (t *table6) probedAhead(a netip.Addr, now int64) bool {
	if !t.ahead {
		return false
	}
	sub := t.cur.find(a)
	if sub == nil {
		return false
	}
	at, place := sub.aheadOf(a)
	return at != nil && at.has(place, now)
}

func (t *table6) pickProbed(d *decision6, ia *ia6, sub *subnet6, a netip.Addr) netip.Addr {
	own := sub.pool(a)
	if !t.ahead || own < 0 {
		return a
	}
	from := span6(sub.Pools[own].First, a) - 1
	for k := range sub.Pools {
		n := (own + k) % len(sub.Pools)
		if sub.classed() && !sub.opens(n, d.class) {
			continue
		}
		fits := func(p uint64) bool {
			a := add6(sub.Pools[n].First, p)
			return t.byAddr[a] == nil && t.dynamic(d, a) && t.mayGive(d, ia, a) && !d.uses(a)
		}
		if p, ok := sub.ahead[n].free.Near(min(from, sub.sizes[n]-1), d.now.UnixNano(), fits); ok {
			return add6(sub.Pools[n].First, p)
		}
	}
	return a
}

func (t *table6) hear(a netip.Addr, until int64) {
	if sub := t.cur.find(a); sub != nil && !(t.byAddr[a] != nil && t.byAddr[a].lease.State != Ended) {
		if at, place := sub.aheadOf(a); at != nil {
			at.heard(place, until)
		}
	}
}

func (t *table6) candidates(now, soon int64, most int) (lots []*lot) {
	for _, sub := range t.cur.subnets {
		if p := sub.partner; p != nil && !p.owns(p.bit, now) && !p.takesOver(now) {
			continue
		}
		exhausted := sub.full(now)
		for n, size := range sub.sizes {
			first := sub.Pools[n].First
			l := &lot{ahead: &sub.ahead[n], old: exhausted, link: sub.Link, subnet: sub.Name}
			free := func(p uint64) bool {
				a := add6(first, p)
				return t.byAddr[a] == nil && t.pooled(sub, a) && a != sub.PartnerServer && sub.mayPick(a, now)
			}
			l.gather(size, now, soon, most, free, sub.total-sub.used[0]-sub.used[1], func() []uint64 { return t.endedIn(sub, n, now) })
			for _, p := range l.places {
				l.addrs = append(l.addrs, add6(first, p))
			}
			if most -= len(l.places); len(l.places) > 0 {
				lots = append(lots, l)
			}
		}
	}
	return lots
}

func (t *table6) endedIn(sub *subnet6, pool int, now int64) (places []uint64) {
	for half := range sub.ended {
		n := 0
		for el := sub.ended[half].Front(); el != nil && n < maxOldest; el, n = el.Next(), n+1 {
			e := el.Value.(*entry6)
			if a := e.lease.Addr; sub.pool(a) == pool && sub.mayPick(a, now) && (sub.partner == nil || e.confirmed || sub.partner.takesOver(now)) {
				places = append(places, span6(sub.Pools[pool].First, a)-1)
			}
		}
	}
	return places
}

func (t *table6) keepAhead(was []*subnet6) {
	for _, old := range was {
		for n := range old.ahead {
			moveStock(&old.ahead[n].free, func(p uint64) (*stock.Stock, uint64, uint64) {
				a := add6(old.Pools[n].First, p)
				sub := t.cur.find(a)
				if sub == nil || sub == old || sub.Link != old.Link || t.byAddr[a] != nil || !t.pooled(sub, a) {
					return nil, 0, 0
				}
				m := sub.pool(a)
				return &sub.ahead[m].free, span6(sub.Pools[m].First, a) - 1, sub.sizes[m]
			})
		}
	}
}
