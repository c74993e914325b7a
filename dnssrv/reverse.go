package dnssrv

import (
	"net/netip"
	"strconv"
	"strings"
)

// PTRName returns the name of the reverse record of addr, such as "7.2.0.192.in-addr.arpa.", and ""
// if addr is not valid.
func PTRName(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	addr = addr.Unmap()
	labels := addr.BitLen() / 8
	if addr.Is6() {
		labels = 32
	}
	return reverseName(addr, labels)
}

// PTRAddr is the address whose PTRName this is, in lower case and with or without the final dot;
// false when it is none.
func PTRAddr(name string) (netip.Addr, bool) {
	p, ok := parseReverse(strings.TrimSuffix(name, ".") + ".")
	return p.Addr(), ok && p.IsSingleIP()
}

// ReverseZones returns the names of the zones that together hold the reverse records of a prefix:
// one at the next octet (IPv4) or nibble (IPv6) boundary inside it, so several when the prefix ends
// between boundaries. A prefix longer than /24, or /124, gets the zone that encloses it.
func ReverseZones(prefix netip.Prefix) []string {
	prefix = prefix.Masked()
	unit, most := 8, 24
	if prefix.Addr().Is6() {
		unit, most = 4, 124
	}
	bits := min((prefix.Bits()+unit-1)/unit*unit, most)
	if bits == 0 {
		bits = unit
	}
	var zones []string
	for addr := prefix.Addr(); addr.IsValid() && (prefix.Contains(addr) || len(zones) == 0); addr = nextBlock(addr, bits) {
		zones = append(zones, reverseName(addr, bits/unit))
	}
	return zones
}

// nextBlock returns the first address of the block after addr's, not valid if there is none.
func nextBlock(addr netip.Addr, bits int) netip.Addr {
	b := addr.AsSlice()
	step := byte(1) << (7 - (bits-1)%8)
	for i := (bits - 1) / 8; i >= 0; i-- {
		b[i] += step
		if b[i] >= step { // no carry
			next, _ := netip.AddrFromSlice(b)
			return next
		}
		step = 1
	}
	return netip.Addr{}
}

// reverseName is the reverse name of the first n octets (IPv4) or nibbles (IPv6) of addr.
func reverseName(addr netip.Addr, n int) string {
	var name strings.Builder
	b := addr.AsSlice()
	for i := n - 1; i >= 0; i-- {
		if addr.Is4() {
			name.WriteString(strconv.Itoa(int(b[i])))
		} else {
			nibble := b[i/2] >> 4
			if i%2 == 1 {
				nibble = b[i/2] & 15
			}
			name.WriteByte("0123456789abcdef"[nibble])
		}
		name.WriteByte('.')
	}
	if addr.Is4() {
		return name.String() + "in-addr.arpa."
	}
	return name.String() + "ip6.arpa."
}
