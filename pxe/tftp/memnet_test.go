package tftp_test

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// memNet is a network of packet conns in memory, with delay, loss and
// reordering. It waits by the time package only, so that it runs in a synctest
// bubble.
type memNet struct {
	delay  time.Duration // one way
	jitter time.Duration // added at random; more than the spacing of packets reorders them
	loss   float64
	// drop decides about single packets before loss does.
	drop func(from, to netip.AddrPort, p []byte) bool

	mu    sync.Mutex
	rand  *rand.Rand
	conns map[netip.AddrPort]*memConn
	sent  int
	last  time.Time // latest delivery
}

func newMemNet() *memNet {
	return &memNet{conns: make(map[netip.AddrPort]*memConn), rand: rand.New(rand.NewPCG(1, 2))}
}

func (n *memNet) listen(addr string) *memConn {
	c := &memConn{net: n, addr: netip.MustParseAddrPort(addr), in: make(chan memPacket, 1024),
		closed: make(chan struct{}), deadline: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[c.addr] = c
	return c
}

func (n *memNet) send(from, to netip.AddrPort, p []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent++
	if n.drop != nil && n.drop(from, to, p) || n.rand.Float64() < n.loss {
		return
	}
	c := n.conns[to]
	if c == nil {
		return
	}
	d := n.delay
	if n.jitter > 0 {
		d += time.Duration(n.rand.Int64N(int64(n.jitter)))
	} else if next := time.Until(n.last) + 1; d > 0 {
		// Timers of one instant fire in any order.
		d = max(d, next)
		n.last = time.Now().Add(d)
	}
	m := memPacket{from, append([]byte(nil), p...)}
	if d == 0 {
		c.push(m)
		return
	}
	time.AfterFunc(d, func() { c.push(m) })
}

type memPacket struct {
	from netip.AddrPort
	data []byte
}

type memConn struct {
	net  *memNet
	addr netip.AddrPort
	in   chan memPacket

	once   sync.Once
	closed chan struct{}

	mu       sync.Mutex
	timer    *time.Timer
	deadline chan struct{} // closed when the deadline has passed
}

func (c *memConn) push(m memPacket) {
	select {
	case c.in <- m:
	default: // the receive buffer is full
	}
}

func (c *memConn) ReadFrom(b []byte) (int, net.Addr, error) {
	c.mu.Lock()
	deadline := c.deadline
	c.mu.Unlock()
	select {
	case <-c.closed:
		return 0, nil, net.ErrClosed
	case <-deadline:
		return 0, nil, os.ErrDeadlineExceeded
	case m := <-c.in:
		return copy(b, m.data), net.UDPAddrFromAddrPort(m.from), nil
	}
}

func (c *memConn) WriteTo(b []byte, to net.Addr) (int, error) {
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
	}
	c.net.send(c.addr, to.(*net.UDPAddr).AddrPort(), b)
	return len(b), nil
}

func (c *memConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.net.mu.Lock()
		delete(c.net.conns, c.addr)
		c.net.mu.Unlock()
	})
	return nil
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	select {
	case <-c.deadline:
		c.deadline = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return nil
	}
	ch := c.deadline
	if d := time.Until(t); d > 0 {
		c.timer = time.AfterFunc(d, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if ch == c.deadline {
				select {
				case <-ch:
				default:
					close(ch)
				}
			}
		})
	} else {
		close(ch)
	}
	return nil
}

func (c *memConn) LocalAddr() net.Addr                { return net.UDPAddrFromAddrPort(c.addr) }
func (c *memConn) SetDeadline(t time.Time) error      { return c.SetReadDeadline(t) }
func (c *memConn) SetWriteDeadline(t time.Time) error { return nil }
