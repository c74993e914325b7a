package dhcpsrv

import (
	"encoding/binary"
	"net/netip"
)

// addr4 is an IPv4 address as a number: what tables are keyed by and ranges are counted with.
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
