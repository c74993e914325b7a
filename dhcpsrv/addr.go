package dhcpsrv

import (
	"encoding/binary"
	"math/bits"
	"net"
	"net/netip"
)

// addr4 is an IPv4 address as a number, which tables use as key and ranges count with: a map key of
// four bytes is hashed faster than a netip.Addr.
type addr4 uint32

// addr4From converts an address; anything that is not IPv4 is 0.
func addr4From(a netip.Addr) addr4 {
	if !a.Is4() {
		return 0
	}
	v := a.As4()
	return addr4(binary.BigEndian.Uint32(v[:]))
}

func (a addr4) addr() netip.Addr {
	var v [4]byte
	binary.BigEndian.PutUint32(v[:], uint32(a))
	return netip.AddrFrom4(v)
}

// prefixRange returns the first and the last address of a masked IPv4 prefix.
func prefixRange(p netip.Prefix) (lo, hi addr4) {
	lo = addr4From(p.Addr())
	return lo, lo | addr4(uint32(1)<<(32-p.Bits())-1)
}

// add6 returns the address n places after a.
func add6(a netip.Addr, n uint64) netip.Addr {
	b := a.As16()
	low, carry := bits.Add64(binary.BigEndian.Uint64(b[8:]), n, 0)
	binary.BigEndian.PutUint64(b[8:], low)
	binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])+carry)
	return netip.AddrFrom16(b)
}

// span6 returns how many addresses lie from first to last, both counted, at most 2^62.
func span6(first, last netip.Addr) uint64 {
	f, l := first.As16(), last.As16()
	low, borrow := bits.Sub64(binary.BigEndian.Uint64(l[8:]), binary.BigEndian.Uint64(f[8:]), 0)
	high, _ := bits.Sub64(binary.BigEndian.Uint64(l[:8]), binary.BigEndian.Uint64(f[:8]), borrow)
	if high > 0 || low >= 1<<62 {
		return 1 << 62
	}
	return low + 1
}

// is6 reports whether an address is an IPv6 one, IPv4-mapped addresses excluded.
func is6(a netip.Addr) bool { return a.Is6() && !a.Is4In6() }

// macOf6 returns the link address that an interface identifier was made from (RFC 4291 appendix A),
// or nil. Some firmware makes its link-local address this way and sends its link address nowhere
// else.
func macOf6(a netip.Addr) net.HardwareAddr {
	b := a.As16()
	if !a.IsLinkLocalUnicast() || b[11] != 0xff || b[12] != 0xfe {
		return nil
	}
	return net.HardwareAddr{b[8] ^ 2, b[9], b[10], b[13], b[14], b[15]}
}

// macOfDUID returns the link address in a DUID of type 1 or 3 on Ethernet (RFC 8415 section 11), or
// nil.
func macOfDUID(duid []byte) net.HardwareAddr {
	switch {
	case len(duid) == 14 && string(duid[:4]) == "\x00\x01\x00\x01":
		return net.HardwareAddr(duid[8:])
	case len(duid) == 10 && string(duid[:4]) == "\x00\x03\x00\x01":
		return net.HardwareAddr(duid[4:])
	}
	return nil
}
