package boottest

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// queueLen is how many datagrams wait in a conn; further ones are lost, as in a full socket buffer.
const queueLen = 4096

type datagram struct {
	from netip.AddrPort
	to   netip.Addr
	data []byte
	due  time.Time
}

// packetConn is a UDP port of a node.
type packetConn struct {
	node *Node
	port uint16

	queue  chan datagram
	once   sync.Once
	closed chan struct{}
	read   deadline

	mu   sync.Mutex // held while reading
	head *datagram  // taken from the queue before its time
}

func newPacketConn(n *Node, port uint16) *packetConn {
	return &packetConn{node: n, port: port, queue: make(chan datagram, queueLen), closed: make(chan struct{})}
}

// receive waits for a datagram.
func (c *packetConn) receive() (datagram, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.head == nil {
		select {
		case <-c.closed:
			return datagram{}, net.ErrClosed
		case <-c.read.wait():
			return datagram{}, os.ErrDeadlineExceeded
		case d := <-c.queue:
			c.head = &d
		}
	}
	if err := until(c.head.due, c.closed, func() error { return net.ErrClosed }, &c.read); err != nil {
		return datagram{}, err
	}
	d := *c.head
	c.head = nil
	return d, nil
}

// send delivers a datagram, or loses it. With hw it goes to that link address.
func (c *packetConn) send(b []byte, src netip.Addr, dst netip.AddrPort, hw net.HardwareAddr) error {
	select {
	case <-c.closed:
		return net.ErrClosed
	default:
	}
	if !src.IsValid() {
		if src = c.node.Addr(); !src.IsValid() {
			src = netip.IPv4Unspecified()
		}
	}
	seg := c.node.seg
	for _, n := range seg.receivers(c.node, dst.Addr().Unmap(), hw) {
		if seg.lost() {
			continue
		}
		n.mu.Lock()
		to := n.udp[dst.Port()]
		n.mu.Unlock()
		if to == nil {
			continue
		}
		d := datagram{netip.AddrPortFrom(src, c.port), dst.Addr().Unmap(), bytes.Clone(b), seg.due(n, len(b)+28)}
		select {
		case to.queue <- d:
		default:
		}
	}
	return nil
}

// ReadFrom implements net.PacketConn.
func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	d, err := c.receive()
	if err != nil {
		return 0, nil, c.wrap("read", err)
	}
	return copy(b, d.data), net.UDPAddrFromAddrPort(d.from), nil
}

// WriteTo implements net.PacketConn.
func (c *packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, err := netip.ParseAddrPort(addr.String())
	if err == nil {
		err = c.send(b, netip.Addr{}, to, nil)
	}
	if err != nil {
		return 0, c.wrap("write", err)
	}
	return len(b), nil
}

func (c *packetConn) wrap(op string, err error) error {
	return &net.OpError{Op: op, Net: "udp", Addr: c.LocalAddr(), Err: err}
}

// Close implements net.PacketConn.
func (c *packetConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.node.mu.Lock()
		defer c.node.mu.Unlock()
		if c.node.udp[c.port] == c {
			delete(c.node.udp, c.port)
		}
	})
	return nil
}

// LocalAddr implements net.PacketConn.
func (c *packetConn) LocalAddr() net.Addr {
	a := c.node.Addr()
	if !a.IsValid() {
		a = netip.IPv4Unspecified()
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, c.port))
}

// SetDeadline implements net.PacketConn.
func (c *packetConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (c *packetConn) SetReadDeadline(t time.Time) error {
	c.read.set(t)
	return nil
}

// SetWriteDeadline implements net.PacketConn. Writes never block.
func (c *packetConn) SetWriteDeadline(time.Time) error { return nil }

// connected is a packetConn that talks to one address.
type connected struct {
	*packetConn
	to *net.UDPAddr
}

func (c *connected) Read(b []byte) (int, error) {
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil || from.String() == c.to.String() {
			return n, err
		}
	}
}

func (c *connected) Write(b []byte) (int, error) { return c.WriteTo(b, c.to) }

func (c *connected) RemoteAddr() net.Addr { return c.to }

// DHCPConn is the DHCP server port of a node, with the methods of dhcpsrv.Conn.
type DHCPConn struct{ c *packetConn }

// ReadDHCP waits for a datagram and tells where it came in and where it was sent to.
func (d *DHCPConn) ReadDHCP(b []byte) (n int, link string, src netip.AddrPort, dst netip.Addr, err error) {
	m, err := d.c.receive()
	if err != nil {
		return 0, "", netip.AddrPort{}, netip.Addr{}, d.c.wrap("read", err)
	}
	return copy(b, m.data), d.c.node.seg.Link, m.from, m.to, nil
}

// WriteDHCP sends a datagram; with hw to that link address, whatever address its host has. The link "" is the segment.
func (d *DHCPConn) WriteDHCP(b []byte, link string, src netip.Addr, dst netip.AddrPort, hw net.HardwareAddr) error {
	if link != "" && link != d.c.node.seg.Link {
		return d.c.wrap("write", net.InvalidAddrError("no link "+link))
	}
	if err := d.c.send(b, src, dst, hw); err != nil {
		return d.c.wrap("write", err)
	}
	return nil
}

// Close closes the port.
func (d *DHCPConn) Close() error { return d.c.Close() }
