package boottest

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// queueLen is the number of datagrams that wait in a conn; further ones are lost, as in a full
// socket buffer.
const queueLen = 4096

type datagram struct {
	from netip.AddrPort
	to   netip.Addr
	data []byte
	due  time.Time
	buf  *[packetSize]byte // holds data, if it has one receiver; nil otherwise
}

// packetSize is the largest datagram of an Ethernet without fragments.
const packetSize = 1500

// packets are buffers of datagrams that were read, as for chunks of streams.
var packets = sync.Pool{New: func() any { return new([packetSize]byte) }}

// release gives the buffer of a datagram back. Its data must not be used afterwards.
func (d datagram) release() {
	if d.buf != nil {
		packets.Put(d.buf)
	}
}

// packetConn is a UDP port of a node.
type packetConn struct {
	node *Node
	port uint16

	once   sync.Once
	closed chan struct{}
	read   deadline
	wake   chan struct{} // something arrived

	mu      sync.Mutex
	waiting []datagram // the earliest first
}

func newPacketConn(n *Node, port uint16) *packetConn {
	return &packetConn{node: n, port: port, wake: make(chan struct{}, 1), closed: make(chan struct{})}
}

// receive waits for a datagram.
func (c *packetConn) receive() (datagram, error) {
	for {
		d, due, ok := c.take()
		if ok {
			return d, nil
		}
		var arrives <-chan time.Time
		var timer *time.Timer
		if !due.IsZero() {
			timer = time.NewTimer(time.Until(due))
			arrives = timer.C
		}
		var err error
		select {
		case <-c.closed:
			err = net.ErrClosed
		case <-c.read.wait():
			err = os.ErrDeadlineExceeded
		case <-c.wake:
		case <-arrives:
		}
		if timer != nil {
			timer.Stop()
		}
		if err != nil {
			return datagram{}, err
		}
	}
}

// take returns a datagram that has arrived, or the time at which the next one will.
func (c *packetConn) take() (d datagram, due time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case isClosed(c.closed), len(c.waiting) == 0:
		return d, due, false
	case !arrived(c.waiting[0].due):
		return d, c.waiting[0].due, false
	}
	d = c.waiting[0]
	c.waiting = slices.Delete(c.waiting, 0, 1)
	if len(c.waiting) > 0 { // for another reader
		c.signal()
	}
	return d, due, true
}

// arrived reports whether a due time has come; the zero time always has.
func arrived(due time.Time) bool { return due.IsZero() || !time.Now().Before(due) }

// put queues a datagram by the time it arrives; one that finds the queue full is lost.
func (c *packetConn) put(d datagram) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) >= queueLen {
		return
	}
	// Sorted by arrival: with Jitter a later datagram may overtake an earlier one.
	i := len(c.waiting)
	for i > 0 && c.waiting[i-1].due.After(d.due) {
		i--
	}
	c.waiting = slices.Insert(c.waiting, i, d)
	c.signal()
}

func (c *packetConn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// send delivers a datagram, or loses it. With hw it goes to that link address.
func (c *packetConn) send(b []byte, src netip.Addr, dst netip.AddrPort, hw net.HardwareAddr) error {
	select {
	case <-c.closed:
		return net.ErrClosed
	default:
	}
	to := netip.AddrPortFrom(dst.Addr().Unmap().WithZone(""), dst.Port())
	if !src.IsValid() {
		src = c.node.source(to.Addr())
	}
	seg := c.node.seg
	// 28 are the headers of IPv4 and UDP. No error comes back, as from a tunnel that drops what is
	// too large.
	if seg.MTU > 0 && len(b)+28 > seg.MTU {
		return nil
	}
	var data []byte // one copy for all receivers, which only read it
	var buf *[packetSize]byte
	receivers := seg.receivers(c.node, to.Addr(), hw)
	for _, n := range receivers {
		n.mu.Lock()
		at := n.udp[to.Port()]
		n.mu.Unlock()
		relayed := n.relay != nil && to.Port() == n.relay.port
		// A datagram for a closed port is lost without a word; firmware ignores the ICMP error.
		if at == nil && !relayed || seg.lost() || n.seg != seg && n.seg.lost() {
			continue
		}
		switch {
		case data != nil:
		case len(receivers) == 1 && !relayed && len(b) <= packetSize:
			buf = packets.Get().(*[packetSize]byte)
			data = buf[:copy(buf[:], b)]
		default:
			data = bytes.Clone(b)
		}
		d := datagram{netip.AddrPortFrom(src, c.port), to.Addr(), data, seg.due(n, len(b)+28), buf}
		if n.seg != seg && n.seg.Delay > 0 {
			if d.due.IsZero() {
				d.due = time.Now()
			}
			d.due = d.due.Add(n.seg.Delay)
		}
		if relayed {
			n.relay.take(d)
		} else {
			at.put(d)
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
	defer d.release()
	return copy(b, d.data), net.UDPAddrFromAddrPort(d.from), nil
}

// WriteTo implements net.PacketConn.
func (c *packetConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	if !ok {
		return 0, c.wrap("write", net.InvalidAddrError(addr.String()+" is no UDP address"))
	}
	if err := c.send(b, netip.Addr{}, to.AddrPort(), nil); err != nil {
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
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.node.source(netip.Addr{}), c.port))
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
	to netip.AddrPort
}

func (c *connected) Read(b []byte) (int, error) {
	for {
		d, err := c.receive()
		if err != nil {
			return 0, c.wrap("read", err)
		}
		if d.from == c.to {
			defer d.release()
			return copy(b, d.data), nil
		}
	}
}

func (c *connected) Write(b []byte) (int, error) { return c.WriteTo(b, c.RemoteAddr()) }

func (c *connected) RemoteAddr() net.Addr { return net.UDPAddrFromAddrPort(c.to) }

// DHCPConn is the DHCP server port of a node, with the methods of dhcpsrv.Conn.
type DHCPConn struct{ c *packetConn }

// ReadDHCP waits for a datagram and returns the link it arrived on and the address it was sent to.
func (d *DHCPConn) ReadDHCP(b []byte) (n int, link string, src netip.AddrPort, dst netip.Addr, err error) {
	m, err := d.c.receive()
	if err != nil {
		return 0, "", netip.AddrPort{}, netip.Addr{}, d.c.wrap("read", err)
	}
	defer m.release()
	return copy(b, m.data), d.c.node.seg.Link, m.from, m.to, nil
}

// WriteDHCP sends a datagram; with hw to that link address, whatever address its host has. The link
// "" is the segment.
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
