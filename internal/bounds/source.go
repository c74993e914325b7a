package bounds

import (
	"net"
	"net/netip"
)

// Source returns the network that counts as one source: the address itself for IPv4, and the /64
// for IPv6, all addresses of which belong to one host that wants them. The zero Addr has the zero
// Prefix.
func Source(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	source, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return source
}

// sourceOf returns the source of a connection, and the zero Prefix for one without an IP address,
// such as a UNIX socket's.
func sourceOf(addr net.Addr) netip.Prefix {
	switch a := addr.(type) {
	case nil:
		return netip.Prefix{}
	case *net.TCPAddr:
		return Source(a.AddrPort().Addr())
	}
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.Prefix{}
	}
	return Source(at.Addr())
}
