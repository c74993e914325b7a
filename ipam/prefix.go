package ipam

import (
	"net/netip"

	"go4.org/netipx"
)

// FreePrefix returns a prefix of the given length inside parent that overlaps none of taken: the
// lowest of the smallest free block that is large enough, which keeps large blocks whole. False
// means that there is no room, or that bits and parent do not fit each other. Prefixes of taken may
// overlap, lie outside parent, or contain it.
func FreePrefix(parent netip.Prefix, bits int, taken ...netip.Prefix) (netip.Prefix, bool) {
	// A 4-in-6 parent would never meet the IPv4 prefixes that are written in the usual way.
	if !parent.IsValid() || parent.Addr().Is4In6() || bits < parent.Bits() || bits > parent.Addr().BitLen() {
		return netip.Prefix{}, false
	}
	var b netipx.IPSetBuilder
	b.AddPrefix(parent.Masked())
	for _, p := range taken {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.IsValid() {
			b.RemovePrefix(p.Masked())
		}
	}
	set, err := b.IPSet()
	if err != nil {
		return netip.Prefix{}, false
	}
	var best netip.Prefix
	for _, p := range set.Prefixes() { // in order, as large as they can be
		if p.Bits() <= bits && (!best.IsValid() || p.Bits() > best.Bits()) {
			best = p
		}
	}
	if !best.IsValid() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(best.Addr(), bits), true
}
