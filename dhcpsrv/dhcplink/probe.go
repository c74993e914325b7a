package dhcplink

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mdlayher/ndp"
)

// Waits of a [Prober]: machines on the link answer within milliseconds, machines behind a relay
// after a few hops.
const (
	DefaultNeighborWait = 300 * time.Millisecond
	DefaultEchoWait     = 500 * time.Millisecond
)

// Prober is a [dhcpsrv.BatchProber] that uses the means that reaches an address. On a link it sends
// an ARP probe, which does not claim an address itself (RFC 5227 section 2.1.1), or a neighbor
// solicitation (RFC 4861 section 7.2.2). Behind a relay it sends an ICMP echo request, which a
// machine may choose not to answer. It needs CAP_NET_RAW, and works on Linux only. The zero value
// is ready; a Prober must not be copied after its first use.
//
// Probes of one link and family that are under way at the same time share a socket, which is closed
// after the last of them.
type Prober struct {
	Wait time.Duration // for an answer; 0 = DefaultNeighborWait, or DefaultEchoWait behind a relay; the context limits it

	mu     sync.Mutex
	asking map[means]*asking
}

// means names the way in which addresses are probed.
type means struct {
	link string // "" = by the routes of the host
	v6   bool
}

// Probe implements [dhcpsrv.Prober].
func (p *Prober) Probe(ctx context.Context, link string, addr netip.Addr) (bool, error) {
	_, inUse, err := p.ProbeOwner(ctx, link, addr)
	return inUse, err
}

// ProbeOwner implements [dhcpsrv.OwnerProber]. It knows the owner on a link, and not behind a
// relay.
func (p *Prober) ProbeOwner(ctx context.Context, link string, addr netip.Addr) (owner net.HardwareAddr, inUse bool, err error) {
	found, err := p.ProbeBatch(ctx, link, []netip.Addr{addr.Unmap()})
	owner, inUse = found[addr.Unmap()]
	return owner, inUse, err
}

// ProbeBatch implements [dhcpsrv.BatchProber]. The addresses are of one family.
func (p *Prober) ProbeBatch(ctx context.Context, link string, addrs []netip.Addr) (inUse map[netip.Addr]net.HardwareAddr, err error) {
	if len(addrs) == 0 {
		return nil, nil
	}
	wait := p.Wait
	switch {
	case wait != 0:
	case link == "":
		wait = DefaultEchoWait
	default:
		wait = DefaultNeighborWait
	}
	by := means{link, addrs[0].Is6()}
	a, err := p.acquire(by)
	if err != nil || a == nil {
		return nil, probeError(by, addrs[0], err)
	}
	defer p.release(by, a)
	b := a.expect(addrs)
	defer a.forget(b, addrs)
	if err := a.conn.ask(addrs); err != nil {
		return nil, probeError(by, addrs[0], err)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-b.all:
	case <-a.failed:
		return nil, probeError(by, addrs[0], a.err)
	}
	return a.found(b), nil
}

func probeError(by means, addr netip.Addr, err error) error {
	switch {
	case err == nil:
		return nil
	case by.link == "":
		return fmt.Errorf("dhcplink: probe %v: %w", addr, err)
	}
	return fmt.Errorf("dhcplink: probe %v on %q: %w", addr, by.link, err)
}

// probeConn sends probes and receives what proves that an address is in use.
type probeConn interface {
	ask(addrs []netip.Addr) error
	hear() (addr netip.Addr, owner net.HardwareAddr, err error) // an invalid addr proves nothing
	Close() error
}

// asking is a socket with the probes that wait for answers on it.
type asking struct {
	conn   probeConn
	users  int // guarded by the lock of the Prober
	failed chan struct{}
	err    error // once failed is closed
	reader sync.WaitGroup

	mu      sync.Mutex
	waiting map[netip.Addr][]*probeBatch
}

// probeBatch is the addresses of one call.
type probeBatch struct {
	left  int // addresses without an answer
	inUse map[netip.Addr]net.HardwareAddr
	all   chan struct{} // closed when each address has answered
}

// acquire returns the socket for some means, opened if no other probe uses one. It returns nil
// where no such probe exists, as on an interface without Ethernet addresses.
func (p *Prober) acquire(by means) (*asking, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.asking[by]; a != nil {
		a.users++
		return a, nil
	}
	conn, err := openProbe(by)
	if err != nil || conn == nil {
		return nil, err
	}
	a := &asking{conn: conn, users: 1, failed: make(chan struct{}), waiting: make(map[netip.Addr][]*probeBatch)}
	if p.asking == nil {
		p.asking = make(map[means]*asking)
	}
	p.asking[by] = a
	a.reader.Go(func() {
		err := a.read()
		p.mu.Lock()
		if p.asking[by] == a {
			delete(p.asking, by) // the next probe opens another
		}
		p.mu.Unlock()
		a.err = err
		close(a.failed)
	})
	return a, nil
}

// release closes the socket after the last probe.
func (p *Prober) release(by means, a *asking) {
	p.mu.Lock()
	a.users--
	last := a.users == 0
	if last && p.asking[by] == a {
		delete(p.asking, by)
	}
	p.mu.Unlock()
	if last {
		a.conn.Close()
		a.reader.Wait()
	}
}

// read enters answers until the socket is closed or fails, and returns why.
func (a *asking) read() error {
	for {
		addr, owner, err := a.conn.hear()
		if err != nil {
			return err
		}
		if addr.IsValid() {
			a.answered(addr, owner)
		}
	}
}

func (a *asking) answered(addr netip.Addr, owner net.HardwareAddr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.waiting[addr] {
		if _, known := b.inUse[addr]; known {
			continue
		}
		if b.inUse == nil {
			b.inUse = make(map[netip.Addr]net.HardwareAddr)
		}
		b.inUse[addr] = owner
		if b.left--; b.left == 0 {
			close(b.all)
		}
	}
}

// expect enters a batch before its probes are sent.
func (a *asking) expect(addrs []netip.Addr) *probeBatch {
	b := &probeBatch{left: len(addrs), all: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, addr := range addrs {
		a.waiting[addr] = append(a.waiting[addr], b)
	}
	return b
}

func (a *asking) forget(b *probeBatch, addrs []netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, addr := range addrs {
		list := a.waiting[addr]
		for i := range list {
			if list[i] == b {
				list = append(list[:i], list[i+1:]...)
				break
			}
		}
		if a.waiting[addr] = list; len(list) == 0 {
			delete(a.waiting, addr)
		}
	}
}

// found returns the answers to a batch so far.
func (a *asking) found(b *probeBatch) map[netip.Addr]net.HardwareAddr {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := b.inUse
	b.inUse, b.left = nil, -1 // a late answer must not change what the caller has
	return found
}

// Types of ICMP messages (RFC 792, 4443, 4861).
const (
	icmpEchoReply         = 0
	icmpEchoRequest       = 8
	icmp6EchoRequest      = 128
	icmp6EchoReply        = 129
	icmp6NeighborAdvert   = 136
	echoCookie            = 4 // offset of the random bytes, in place of identifier and sequence
	echoTarget            = 8 // offset of the address that is asked about
	echoLen               = echoTarget + 16
	neighborSolicitTarget = 8
)

// newCookie returns random bytes by which answers to the echo requests of one socket are known.
func newCookie() (cookie [4]byte) {
	rand.Read(cookie[:])
	return cookie
}

// echoRequest returns an echo request that carries the address it is sent to, which the answer
// repeats. The kernel fills in the checksum for IPv6 only.
func echoRequest(addr netip.Addr, cookie [4]byte) []byte {
	b := make([]byte, echoLen)
	copy(b[echoCookie:], cookie[:])
	to := addr.As16()
	copy(b[echoTarget:], to[:])
	if b[0] = icmpEchoRequest; addr.Is6() {
		b[0] = icmp6EchoRequest
		return b
	}
	binary.BigEndian.PutUint16(b[2:], ^fold(sum(0, b)))
	return b
}

// echoShows returns the address that an ICMP message proves to be in use, or an invalid one.
func echoShows(b []byte, cookie [4]byte) netip.Addr {
	if len(b) < echoLen || b[0] != icmpEchoReply && b[0] != icmp6EchoReply || [4]byte(b[echoCookie:]) != cookie {
		return netip.Addr{}
	}
	return netip.AddrFrom16([16]byte(b[echoTarget:])).Unmap()
}

// neighborSolicit returns a message that asks for the link address of an IPv6 address and carries
// the sender's own.
func neighborSolicit(mac net.HardwareAddr, addr netip.Addr) ([]byte, error) {
	return ndp.MarshalMessage(&ndp.NeighborSolicitation{TargetAddress: addr, Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac}}})
}

// neighborShows returns the address that an ICMP message proves to be in use, or an invalid one,
// and the link address of its owner if the message has it.
func neighborShows(b []byte) (addr netip.Addr, owner net.HardwareAddr) {
	m, err := ndp.ParseMessage(b)
	advert, is := m.(*ndp.NeighborAdvertisement)
	if err != nil || !is {
		return netip.Addr{}, nil
	}
	for _, o := range advert.Options {
		if a, is := o.(*ndp.LinkLayerAddress); is && a.Direction == ndp.Target {
			owner = a.Addr
		}
	}
	return advert.TargetAddress, owner
}
