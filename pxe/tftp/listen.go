package tftp

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// Listen opens a UDP socket for Serve, usually on port 69. Address is as in net.ListenPacket; ":69"
// takes IPv4 and IPv6.
func Listen(address string) (*net.UDPConn, error) {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// port receives requests. For a UDP socket it learns which address of this machine they were sent
// to, so that the answer can come from there.
type port struct {
	conn net.PacketConn
	udp  *net.UDPConn // nil for other conns
	self netip.Addr   // the conn's own address, invalid for the wildcard
	oob  []byte
}

const receiveBuffer = 4 << 20 // a rack powered on at once sends its requests within milliseconds

func newPort(conn net.PacketConn) *port {
	p := &port{conn: conn}
	if a := addrOf(conn.LocalAddr()); a.IsValid() && !a.IsUnspecified() {
		p.self = a
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return p
	}
	p.udp = udp
	p.oob = make([]byte, 128)
	_ = udp.SetReadBuffer(receiveBuffer)
	if !p.self.IsValid() {
		// Each fails on a socket of the other family.
		_ = ipv4.NewPacketConn(udp).SetControlMessage(ipv4.FlagDst, true)
		_ = ipv6.NewPacketConn(udp).SetControlMessage(ipv6.FlagDst, true)
	}
	return p
}

// receive waits for a packet.
func (p *port) receive(b []byte) (n int, from netip.AddrPort, addr net.Addr, local netip.Addr, err error) {
	if p.udp == nil {
		n, addr, err = p.conn.ReadFrom(b)
		if err == nil {
			from = addrPortOf(addr)
		}
		return n, from, addr, p.self, err
	}
	n, oobn, _, from, err := p.udp.ReadMsgUDPAddrPort(b, p.oob)
	if err != nil {
		return 0, from, nil, local, err
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	local = p.self
	if !local.IsValid() {
		local = destination(p.oob[:oobn], from.Addr())
	}
	return n, from, nil, local, nil
}

// destination finds the address a packet was sent to in its control message. It is invalid for
// broadcast and multicast, which cannot be answered from.
func destination(oob []byte, from netip.Addr) netip.Addr {
	var ip net.IP
	var c4 ipv4.ControlMessage
	var c6 ipv6.ControlMessage
	if c6.Parse(oob) == nil && c6.Dst != nil {
		ip = c6.Dst
	} else if c4.Parse(oob) == nil {
		ip = c4.Dst
	}
	a, _ := netip.AddrFromSlice(ip)
	a = a.Unmap()
	if !a.IsValid() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.Addr{}
	}
	if a.Is6() && a.IsLinkLocalUnicast() {
		a = a.WithZone(from.Zone())
	}
	return a
}

// addrPortOf reads an address of any packet network.
func addrPortOf(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case nil:
	case interface{ AddrPort() netip.AddrPort }:
		ap = a.AddrPort()
	default:
		ap, _ = netip.ParseAddrPort(a.String())
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func addrOf(a net.Addr) netip.Addr { return addrPortOf(a).Addr() }
