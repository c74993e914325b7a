package ipam

import (
	"net/netip"

	"go4.org/netipx"
)

// SuggestedGateway returns an address that would do as the subnet's gateway: on IPv4 the first
// address if unused, else the last, else the first unused one; on IPv6 the subnet-router anycast
// address. It is the zero Addr if the subnet has a gateway, or no address to spare.
func (u *Usage) SuggestedGateway() netip.Addr {
	if u.Subnet.Gateway.IsValid() {
		return netip.Addr{}
	}
	return suggestedGateway(u.Subnet.Prefix, u.Spans())
}

func suggestedGateway(p netip.Prefix, spans []Span) netip.Addr {
	if len(spans) == 0 {
		return netip.Addr{}
	}
	if p.Addr().Is6() {
		// Both addresses of a /127 are hosts (RFC 6164).
		if p.Bits() >= 127 {
			return netip.Addr{}
		}
		return p.Addr()
	}
	first, last := spans[0], spans[len(spans)-1]
	// Gateways are at the edges by custom: the first address, or the last.
	if unused(first) {
		return first.Range.From()
	}
	if unused(last) {
		return last.Range.To()
	}
	for _, s := range spans {
		if unused(s) {
			return s.Range.From()
		}
	}
	return netip.Addr{}
}

func unused(s Span) bool { return s.Purpose&^notUsed == 0 }

// SuggestedDynamicRange returns a good place for the first dynamic range: a quarter of the subnet
// at the end of its largest unused block, but never more than half of what is free, and clear of
// the suggested gateway. It is not valid if there is a dynamic range already, or no room for one.
func (u *Usage) SuggestedDynamicRange() netipx.IPRange {
	spans := u.Spans()
	for _, s := range spans {
		if s.Purpose&PurposeDynamic != 0 {
			return netipx.IPRange{}
		}
	}
	block, free, total := largestUnused(spans)
	if !block.IsValid() {
		return netipx.IPRange{}
	}
	// The user who takes both suggestions must not get an overlap.
	if !u.Subnet.Gateway.IsValid() {
		block = without(block, suggestedGateway(u.Subnet.Prefix, spans))
	}
	if !block.IsValid() {
		return netipx.IPRange{}
	}
	last := toU128(block.To())
	quarter, half := total.half().half(), free.half()
	var from u128
	switch n := length(block); {
	// The end of the block stays clear of the low addresses, which people give out by hand.
	case quarter.less(n):
		from = last.sub(quarter)
	case !n.less(half):
		if half == (u128{}) {
			return netipx.IPRange{}
		}
		from = last.sub(half).next()
	default:
		from = toU128(block.From())
	}
	r := netipx.IPRangeFrom(from.addr(block.From().Is4()), block.To())
	if r.From().Is6() && length(r).less(u128{0, minDynamic6}) {
		return netipx.IPRange{}
	}
	return r
}

// largestUnused returns the last one of the longest unused runs.
func largestUnused(spans []Span) (block netipx.IPRange, free, total u128) {
	var longest u128
	for _, s := range spans {
		n := length(s.Range)
		total = total.add(n)
		if !unused(s) {
			continue
		}
		free = free.add(n)
		// On a tie the later run: it is further away from the hand-made addresses.
		if s.Purpose == 0 && !n.less(longest) {
			block, longest = s.Range, n
		}
	}
	return block, free, total
}

// without drops a from the edge of r it lies on; the zero range if nothing is left.
func without(r netipx.IPRange, a netip.Addr) netipx.IPRange {
	switch {
	case r.From() == a && r.To() == a:
		return netipx.IPRange{}
	case r.From() == a:
		return netipx.IPRangeFrom(a.Next(), r.To())
	case r.To() == a:
		return netipx.IPRangeFrom(r.From(), a.Prev())
	}
	return r
}
