package boottest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Node is a host on a segment.
type Node struct {
	seg *Segment
	mac net.HardwareAddr

	local netip.Addr // the link-local address, on a segment of IPv6
	relay *relay     // not nil for a router

	mu       sync.Mutex
	addr     netip.Addr // invalid = none yet
	udp      map[uint16]*packetConn
	tcp      map[uint16]*listener
	streams  map[*stream]bool
	nextPort uint16
	busy     time.Time // until when its line is taken by what was sent before
}

// MAC returns the node's link address.
func (n *Node) MAC() net.HardwareAddr { return n.mac }

// Addr returns the node's address; invalid while it has none.
func (n *Node) Addr() netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr
}

// source returns the address that the node sends from to another.
func (n *Node) source(dst netip.Addr) netip.Addr {
	a := n.Addr()
	switch {
	case n.local.IsValid() && (!a.IsValid() || dst.IsLinkLocalUnicast() || dst.IsMulticast()):
		return n.local
	case !a.IsValid():
		return netip.IPv4Unspecified()
	}
	return a
}

// setAddr gives the node an address, or none.
func (n *Node) setAddr(a netip.Addr) error {
	n.seg.mu.Lock()
	defer n.seg.mu.Unlock()
	// The segment has no ARP, so a duplicate is noticed here and nowhere else.
	if other := n.seg.byIP[a]; other != nil && other != n {
		return fmt.Errorf("%v of %v is already in use by %v", a, n.mac, other.mac)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.seg.byIP, n.addr)
	if n.addr = a; a.IsValid() {
		n.seg.byIP[a] = n
	}
	return nil
}

// DHCP opens the DHCP server port, 67 or, on a segment of IPv6, 547. The conn implements
// dhcpsrv.Conn.
func (n *Node) DHCP() (*DHCPConn, error) {
	if n.local.IsValid() {
		return n.dhcp(547)
	}
	return n.dhcp(67)
}

// DHCPBoot opens port 4011, where firmware asks a proxyDHCP server again.
func (n *Node) DHCPBoot() (*DHCPConn, error) { return n.dhcp(4011) }

func (n *Node) dhcp(port uint16) (*DHCPConn, error) {
	c, err := n.listenUDP(port)
	if err != nil {
		return nil, err
	}
	return &DHCPConn{c}, nil
}

// ListenPacket opens a UDP port of the node. Network is "udp", "udp4" or "udp6", address ":port" or
// "addr:port" with the node's own address; port 0 takes a free one. The conn's LocalAddr is the
// node's address, never the wildcard.
func (n *Node) ListenPacket(network, address string) (net.PacketConn, error) {
	port, err := n.parseLocal(network, "udp", address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	c, err := n.listenUDP(port)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	return c, nil
}

// Listen opens a TCP port of the node. Network is "tcp", "tcp4" or "tcp6"; address is as for
// ListenPacket.
func (n *Node) Listen(network, address string) (net.Listener, error) {
	port, err := n.parseLocal(network, "tcp", address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == 0 {
		port = n.freePort(func(p uint16) bool { return n.tcp[p] != nil })
	}
	if n.tcp[port] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: syscall.EADDRINUSE}
	}
	l := &listener{node: n, addr: netip.AddrPortFrom(n.addr, port), backlog: make(chan *stream, 128), closed: make(chan struct{})}
	n.tcp[port] = l
	return l, nil
}

// DialContext opens a TCP stream, or a UDP conn that talks to one address. It has the shape that
// http.Transport wants.
func (n *Node) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) { return nil, &net.OpError{Op: "dial", Net: network, Err: err} }
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fail(err)
	}
	switch network {
	case "udp", "udp4", "udp6":
		c, err := n.listenUDP(0)
		if err != nil {
			return fail(err)
		}
		return &connected{c, netip.AddrPortFrom(to.Addr().Unmap(), to.Port())}, nil
	case "tcp", "tcp4", "tcp6":
		c, err := n.dialTCP(ctx, to)
		if err != nil {
			return fail(err)
		}
		return c, nil
	}
	return fail(net.UnknownNetworkError(network))
}

// parseLocal checks the arguments of a listen call and returns the port.
func (n *Node) parseLocal(network, kind, address string) (uint16, error) {
	if network != kind && network != kind+"4" && network != kind+"6" {
		return 0, net.UnknownNetworkError(network)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	if host == "" {
		host = "0.0.0.0"
	}
	a, err := netip.ParseAddrPort(net.JoinHostPort(host, service))
	if err != nil {
		return 0, err
	}
	if own := n.Addr(); !a.Addr().IsUnspecified() && a.Addr().Unmap() != own {
		return 0, fmt.Errorf("%w: the node has %v, not %v", syscall.EADDRNOTAVAIL, own, a.Addr())
	}
	return a.Port(), nil
}

// freePort returns a port that is not taken; the caller holds n.mu.
func (n *Node) freePort(taken func(uint16) bool) uint16 {
	for {
		// Ports begin where Linux takes them from, so that none collides with one that a server
		// listens on.
		if n.nextPort++; n.nextPort < 32768 {
			n.nextPort = 32768
		}
		if !taken(n.nextPort) {
			return n.nextPort
		}
	}
}

func (n *Node) listenUDP(port uint16) (*packetConn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == 0 {
		port = n.freePort(func(p uint16) bool { return n.udp[p] != nil })
	}
	if n.udp[port] != nil {
		return nil, syscall.EADDRINUSE
	}
	c := newPacketConn(n, port)
	n.udp[port] = c
	return c, nil
}

// reset ends all that the node has open, as a power cut does, and takes its address away.
func (n *Node) reset() {
	n.mu.Lock()
	conns, listeners, streams := n.udp, n.tcp, n.streams
	n.udp, n.tcp, n.streams = make(map[uint16]*packetConn), make(map[uint16]*listener), nil
	n.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	for _, l := range listeners {
		l.Close()
	}
	// The other side of a real connection would notice only by its timeouts; a reset makes tests
	// quicker.
	for s := range streams {
		s.abort(errReset)
	}
	n.setAddr(netip.Addr{}) // cannot fail: only valid addresses conflict
}

var errReset = errors.New("connection reset by peer")
