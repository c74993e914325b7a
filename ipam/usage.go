package ipam

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"go4.org/netipx"
)

// Usage is everything that decides over the addresses of one subnet. Its methods are pure. Entries
// outside the subnet's prefix are ignored.
type Usage struct {
	Subnet      Subnet
	Ranges      []Range
	Routes      []StaticRoute // those whose source is the subnet
	Allocations []Allocation
	Reserved    []ReservedIP
	Neighbours  []Neighbour
	Exclude     []netip.Addr // addresses not to give out, for this question only
}

// Use is one object that occupies addresses of a subnet.
type Use struct {
	Range   netipx.IPRange
	Purpose Purpose // one purpose
	// Object is the *Range, *StaticRoute, *Allocation, *ReservedIP or *Neighbour in the Usage; nil
	// where the purpose says it all.
	Object fmt.Stringer
}

// String names the object, such as "dynamic range 10.0.0.10-10.0.0.99".
func (u Use) String() string {
	switch {
	case u.Object != nil:
		return u.Object.String()
	case u.Purpose == PurposeGateway:
		return "gateway " + u.Range.From().String()
	case u.Purpose == PurposeDNS:
		return "DNS server " + u.Range.From().String()
	case u.Purpose == PurposeAnycast:
		return "subnet-router anycast address " + u.Range.From().String()
	case u.Purpose == PurposeLowBlock:
		return "block " + u.Range.String() + " for addresses set by hand"
	}
	return u.Purpose.String() + " " + u.Range.String()
}

// Uses returns every object on the subnet that lies at least partly inside it, in no particular
// order.
func (u *Usage) Uses() []Use {
	p := u.Subnet.Prefix
	uses := make([]Use, 0, len(u.Ranges)+len(u.Routes)+len(u.Allocations)+len(u.Reserved)+len(u.Neighbours)+4)
	one := func(a netip.Addr, purpose Purpose, object fmt.Stringer) {
		// Objects outside are ignored: a subnet may have been made smaller.
		if p.Contains(a) {
			uses = append(uses, Use{netipx.IPRangeFrom(a, a), purpose, object})
		}
	}
	for i := range u.Ranges {
		r, purpose := &u.Ranges[i], PurposeReserved
		if r.Type == RangeDynamic {
			purpose = PurposeDynamic
		}
		if span, ok := clip(p, r.IPRange()); ok {
			uses = append(uses, Use{span, purpose, r})
		}
	}
	one(u.Subnet.Gateway, PurposeGateway, nil)
	for _, a := range u.Subnet.DNSServers {
		one(a, PurposeDNS, nil)
	}
	for i := range u.Routes {
		one(u.Routes[i].Gateway, PurposeRoute, &u.Routes[i])
	}
	for i := range u.Allocations {
		purpose := PurposeAssigned
		if u.Allocations[i].Type == AllocDiscovered {
			purpose = PurposeDiscovered
		}
		one(u.Allocations[i].Addr, purpose, &u.Allocations[i])
	}
	for i := range u.Reserved {
		one(u.Reserved[i].Addr, PurposeReservedIP, &u.Reserved[i])
	}
	for i := range u.Neighbours {
		one(u.Neighbours[i].Addr, PurposeNeighbour, &u.Neighbours[i])
	}
	for _, a := range u.Exclude {
		one(a, PurposeExcluded, nil)
	}
	return append(uses, builtInUses(p)...)
}

// builtInUses are those every IPv6 subnet of some length has.
func builtInUses(p netip.Prefix) []Use {
	if !p.Addr().Is6() || p.Bits() >= 127 {
		return nil // RFC 6164: both addresses of a /127 are ordinary
	}
	base := toU128(p.Addr())
	// RFC 4291 section 2.6.1: routers answer on the first address.
	uses := []Use{{netipx.IPRangeFrom(p.Addr(), p.Addr()), PurposeAnycast, nil}}
	// MAAS keeps the lowest 2^32 addresses of a /64, which people type in by hand.
	if p.Bits() == 64 {
		low := netipx.IPRangeFrom(base.next().addr(false), base.add(u128{0, 0xffffffff}).addr(false))
		uses = append(uses, Use{low, PurposeLowBlock, nil})
	}
	return uses
}

// clip cuts r to p.
func clip(p netip.Prefix, r netipx.IPRange) (netipx.IPRange, bool) {
	all := netipx.RangeOfPrefix(p)
	if !r.IsValid() || !all.Overlaps(r) {
		return netipx.IPRange{}, false
	}
	from, to := r.From(), r.To()
	// A range may reach beyond a subnet that was made smaller.
	if from.Less(all.From()) {
		from = all.From()
	}
	if all.To().Less(to) {
		to = all.To()
	}
	return netipx.IPRangeFrom(from, to), true
}

// Universe returns the addresses that a host of prefix p can have at all: without network and
// broadcast address on IPv4 (except /31, RFC 3021, and /32), without the first address on IPv6
// (except /127 and /128). It is not valid if p is not.
func Universe(p netip.Prefix) netipx.IPRange {
	if !p.IsValid() {
		return netipx.IPRange{}
	}
	r := netipx.RangeOfPrefix(p)
	// A /31 and a /127 have two hosts, a /32 and a /128 one.
	if p.Addr().BitLen()-p.Bits() <= 1 {
		return r
	}
	if p.Addr().Is4() {
		return netipx.IPRangeFrom(r.From().Next(), r.To().Prev())
	}
	return netipx.IPRangeFrom(r.From().Next(), r.To())
}

// Span is a run of addresses with the same purposes.
type Span struct {
	Range   netipx.IPRange
	Purpose Purpose // 0 = unused
}

// Spans cuts Universe into runs of equal purpose, in order and without gaps.
func (u *Usage) Spans() []Span {
	universe := Universe(u.Subnet.Prefix)
	if !universe.IsValid() {
		return nil
	}
	s := sweep{is4: u.Subnet.Prefix.Addr().Is4()}
	for _, use := range u.Uses() {
		if !universe.Overlaps(use.Range) {
			continue
		}
		s.edges = append(s.edges, edge{toU128(use.Range.From()), use.Purpose, 1})
		if use.Range.To().Less(universe.To()) {
			s.edges = append(s.edges, edge{toU128(use.Range.To()).next(), use.Purpose, -1})
		}
	}
	return s.run(toU128(universe.From()), toU128(universe.To()))
}

// sweep goes over the addresses once, counting the uses it is inside of.
type sweep struct {
	is4   bool
	edges []edge
	depth [16]int
	now   Purpose
	out   []Span
}

// edge is the address where a use begins (+1) or has ended (-1).
type edge struct {
	at    u128
	what  Purpose
	delta int
}

func (s *sweep) run(first, last u128) []Span {
	slices.SortFunc(s.edges, func(a, b edge) int { return a.at.cmp(b.at) })
	at := first
	for i := 0; i < len(s.edges); {
		next := s.edges[i].at
		if at.less(next) {
			s.emit(at, next.prev())
			at = next
		}
		for ; i < len(s.edges) && s.edges[i].at == next; i++ {
			s.apply(s.edges[i])
		}
	}
	if !last.less(at) {
		s.emit(at, last)
	}
	return s.out
}

func (s *sweep) apply(e edge) {
	bit := 0
	for e.what>>bit != 1 {
		bit++
	}
	s.depth[bit] += e.delta
	if s.depth[bit] > 0 {
		s.now |= e.what
	} else {
		s.now &^= e.what
	}
}

func (s *sweep) emit(from, to u128) {
	if n := len(s.out); n > 0 && s.out[n-1].Purpose == s.now {
		s.out[n-1].Range = netipx.IPRangeFrom(s.out[n-1].Range.From(), to.addr(s.is4))
		return
	}
	s.out = append(s.out, Span{netipx.IPRangeFrom(from.addr(s.is4), to.addr(s.is4)), s.now})
}

// FreeForReserved returns where a new reserved range may go.
func (u *Usage) FreeForReserved() *netipx.IPSet {
	if u.Subnet.Unmanaged {
		return u.where(0, PurposeReserved)
	}
	return u.where(0, anyRange)
}

// FreeForDynamic returns where a new dynamic range may go.
func (u *Usage) FreeForDynamic() *netipx.IPSet { return u.open(dynamicBlocked) }

// FreeForAuto returns the addresses that may be given out automatically.
func (u *Usage) FreeForAuto() *netipx.IPSet { return u.openAuto(autoBlocked) }

// Free returns the addresses without a holder: FreeForAuto plus observed neighbours and excluded
// addresses, which are the last resort.
func (u *Usage) Free() *netipx.IPSet { return u.openAuto(freeBlocked) }

// open returns what is open on the subnet and not used for any of blocked.
func (u *Usage) open(blocked Purpose) *netipx.IPSet {
	if u.Subnet.Unmanaged {
		return u.where(PurposeReserved, blocked)
	}
	return u.where(0, blocked|PurposeReserved)
}

// openAuto is open without the low block of a /64, which an operator of an unmanaged subnet may
// open by a reserved range.
func (u *Usage) openAuto(blocked Purpose) *netipx.IPSet {
	if u.Subnet.Unmanaged {
		return u.open(blocked)
	}
	return u.open(blocked | builtIn)
}

// where returns the addresses that have all purposes of must and none of not.
func (u *Usage) where(must, not Purpose) *netipx.IPSet {
	var b netipx.IPSetBuilder
	for _, s := range u.Spans() {
		if s.Purpose&must == must && s.Purpose&not == 0 {
			b.AddRange(s.Range)
		}
	}
	set, _ := b.IPSet() // fails on invalid ranges only; spans are valid
	return set
}

// usesOf returns the uses that overlap r and have one of the purposes, ordered by address and then
// by kind.
func (u *Usage) usesOf(r netipx.IPRange, purposes Purpose) []Use {
	var hit []Use
	for _, use := range u.Uses() {
		if use.Purpose&purposes != 0 && use.Range.Overlaps(r) {
			hit = append(hit, use)
		}
	}
	slices.SortFunc(hit, func(a, b Use) int {
		return cmp.Or(a.Range.From().Compare(b.Range.From()), cmp.Compare(a.Purpose, b.Purpose))
	})
	return hit
}
