package simulate

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/rpc"
)

// cables is the state of the networks between the processes of a site, by the names of both ends.
type cables struct {
	seed uint64

	mu    sync.Mutex // guards the fields below
	cut   map[string]chan struct{}
	slow  time.Duration // up to which a call is late
	lossy uint64        // of 100 calls, how many lose their answer
	deaf  map[string]bool
	count map[string]int // questions asked of chance
	conns map[string][]net.Conn
}

func newCables(seed uint64) *cables {
	return &cables{
		seed: seed, cut: make(map[string]chan struct{}), deaf: make(map[string]bool), count: make(map[string]int), conns: make(map[string][]net.Conn),
	}
}

func between(a, b string) string { return min(a, b) + " - " + max(a, b) }

// part cuts the cable between two processes, or joins it.
func (c *cables) part(a, b string, cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := between(a, b)
	was, isCut := c.cut[key], false
	select {
	case <-was:
		isCut = true
	default:
	}
	switch {
	case cut && was == nil:
		was = make(chan struct{})
		c.cut[key] = was
		fallthrough
	case cut && !isCut:
		close(was)
		for _, conn := range c.conns[key] {
			conn.Close()
		}
		c.conns[key] = nil
	case !cut && isCut:
		c.cut[key] = make(chan struct{})
	}
}

// whole returns a channel that is closed when the cable is cut.
func (c *cables) whole(a, b string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := between(a, b)
	if c.cut[key] == nil {
		c.cut[key] = make(chan struct{})
	}
	return c.cut[key]
}

func (c *cables) parted(a, b string) bool {
	select {
	case <-c.whole(a, b):
		return true
	default:
		return false
	}
}

func (c *cables) trouble(slow time.Duration, lossy uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slow, c.lossy = slow, lossy
}

func (c *cables) deafen(rack string, deaf bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf[rack] = deaf
}

func (c *cables) hears(rack string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.deaf[rack]
}

// call returns how late a call is, and whether its answer is lost. The n-th call of one name has
// the same fate in each run, whatever runs beside it.
func (c *cables) call(name string) (late time.Duration, lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count[name]++
	h := fnv.New64a()
	fmt.Fprint(h, c.seed, name, c.count[name])
	r := rand.New(rand.NewPCG(h.Sum64(), 0))
	late = time.Millisecond + time.Duration(r.Uint64N(1000))*time.Microsecond
	if c.slow > 0 {
		late += time.Duration(r.Int64N(int64(c.slow)))
	}
	return late, r.Uint64N(100) < c.lossy
}

// A wire is a connection of a rack to a region, over a cable.
type wire struct {
	rpc.Conn
	cables *cables
	rack   *rackNode
	name   string
	cut    <-chan struct{}
	end    *life // of the region
}

// over runs a call on the wire.
func (l *wire) over(ctx context.Context, what string, call func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-l.cut:
		case <-l.end.ctx.Done():
		case <-ctx.Done():
		}
		cancel()
	}()
	defer func() { cancel(); <-gone }()
	late, lost := l.cables.call(l.name + " " + what)
	if err := wait(ctx, late); err != nil {
		return l.because(err)
	}
	err := call(ctx)
	if lost {
		return rpc.ErrUnavailable
	}
	return l.because(err)
}

// because turns an end by the cable or the region into the error that a broken connection has.
func (l *wire) because(err error) error {
	if !errors.Is(err, context.Canceled) {
		return err
	}
	select {
	case <-l.cut:
		return rpc.ErrUnavailable
	case <-l.end.ctx.Done():
		return rpc.ErrUnavailable
	default:
		return err
	}
}

func (l *wire) Next(ctx context.Context, topic string, from rpc.Position) (u rpc.Update, err error) {
	err = l.over(ctx, "next "+topic, func(ctx context.Context) error {
		u, err = l.Conn.Next(ctx, topic, from)
		return err
	})
	return u, err
}

func (l *wire) Deliver(ctx context.Context, facts []rpc.Fact) error {
	ahead := time.Duration(l.rack.ahead.Load())
	facts = slices.Clone(facts)
	for i := range facts { // as the clock of a host of its own would have stamped them
		facts[i].Time, facts[i].Behind = facts[i].Time.Add(ahead), -ahead
	}
	return l.over(ctx, "deliver", func(ctx context.Context) error { return l.Conn.Deliver(ctx, facts) })
}

func (l *wire) Call(ctx context.Context, method string, in []byte) (out []byte, err error) {
	err = l.over(ctx, method, func(ctx context.Context) error {
		out, err = l.Conn.Call(ctx, method, in)
		return err
	})
	return out, err
}

func (l *wire) Accept(ctx context.Context, m *rpc.Methods) error {
	return l.over(ctx, "accept", func(ctx context.Context) error { return l.Conn.Accept(ctx, m) })
}

// port is the DHCP port of a rack, which hears clients while its switch port works.
type port struct {
	*boottest.DHCPConn
	cables *cables
	rack   string
	late   time.Duration // after which it hears: no two racks of a network answer at one instant
	life   *life
}

func (p port) ReadDHCP(b []byte) (n int, link string, src netip.AddrPort, dst netip.Addr, err error) {
	for {
		n, link, src, dst, err = p.DHCPConn.ReadDHCP(b)
		time.Sleep(p.late)
		if err != nil || p.cables.hears(p.rack) && !p.life.over() {
			return n, link, src, dst, err
		}
	}
}

func (p port) WriteDHCP(b []byte, link string, src netip.Addr, dst netip.AddrPort, hw net.HardwareAddr) error {
	if !p.cables.hears(p.rack) || p.life.over() {
		return nil
	}
	return p.DHCPConn.WriteDHCP(b, link, src, dst, hw)
}

// dialRack connects a rack to another one, which it reaches if it is on the same network.
func (c *cables) dialRack(n *rackNode) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		p := n.partner()
		if p == nil || !strings.HasPrefix(address, p.addr.String()+":") || c.parted(n.name, p.name) {
			return nil, errors.New("simulated: no route to host")
		}
		conn, err := n.node.DialContext(ctx, network, address)
		if err == nil {
			c.mu.Lock()
			key := between(n.name, p.name)
			c.conns[key] = append(c.conns[key], conn)
			c.mu.Unlock()
		}
		return conn, err
	}
}

// wait lets time pass, until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
