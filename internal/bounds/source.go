package bounds

import (
	"net"
	"net/netip"
)

// Source returns the smallest network that a host can have all addresses of: the address itself for
// IPv4, and the /64 for IPv6. The zero Addr has the zero Prefix.
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

// addrOf returns the address of a connection's client, and the zero Addr if it is no IP address,
// such as a UNIX socket's.
func addrOf(addr net.Addr) netip.Addr {
	var at netip.AddrPort
	switch a := addr.(type) {
	case nil:
	case *net.TCPAddr:
		at = a.AddrPort()
	default:
		at, _ = netip.ParseAddrPort(addr.String())
	}
	return at.Addr().Unmap().WithZone("")
}
