package dhcpsrv_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/gomaas/maas/dhcpsrv"
)

// simKind holds the state of a client.
type simKind int

const (
	simNear simKind = iota // IPv4, on the link
	simFar                 // IPv4, behind a relay
	simSix                 // IPv6, on the link
	simKinds
)

func (k simKind) name() string { return [...]string{"near", "far", "six"}[k] }

func (k simKind) prefix() netip.Prefix {
	return netip.MustParsePrefix([...]string{"192.0.2.0/24", "198.51.100.0/24", "2001:db8::/64"}[k])
}

func (k simKind) link() string { return [...]string{"eth0", "", "eth0"}[k] }

// simAddr is the host'th address of a subnet.
func simAddr(k simKind, host int) netip.Addr {
	b := k.prefix().Addr().AsSlice()
	b[len(b)-1] = byte(host)
	a, _ := netip.AddrFromSlice(b)
	return a
}

// simClient is a client that does what clients do. It holds an address from the moment of its request.
type simClient struct {
	p      *pair
	n      byte
	rng    *rand.Rand
	kind   simKind
	counts bool // it says how long it has waited
	fixed  netip.Addr

	holds  netip.Addr
	server netip.Addr
	duid   []byte // of the server, IPv6
	until  time.Time
}

func (c *simClient) mac() net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, c.n} }

// simReply holds what a client reads from an answer.
type simReply struct {
	offer, ack, nak bool
	addr, server    netip.Addr
	duid            []byte
	life            time.Duration
}

// act does one thing.
func (c *simClient) act() {
	held := c.holds.IsValid() && time.Now().Before(c.until)
	switch n := c.rng.IntN(10); {
	case !held || n < 3:
		c.boot()
	case n < 7:
		c.renew()
	case n == 7:
		c.reboot(c.holds)
	case n == 8:
		c.giveBack(c.rng.IntN(3) == 0)
	default:
		c.reboot(simAddr(c.kind, 8+c.rng.IntN(36)))
	}
}

// boot gets a lease as firmware does, which has forgotten what it held.
func (c *simClient) boot() {
	c.holds = netip.Addr{}
	began := time.Now()
	well := c.p.reachable()
	for try := range 10 {
		if try > 0 {
			time.Sleep(4 * time.Second)
		}
		offers := c.ask(nil, c.discover(time.Since(began)))
		if len(offers) == 0 || !offers[0].offer {
			continue
		}
		o := offers[c.rng.IntN(len(offers))]
		if c.take(c.ask(nil, c.request(o))) {
			return
		}
	}
	if well != nil && c.p.reachable() == well && c.p.pool == roomy {
		why := well.run.s.Explain(context.Background(), c.packet(c.discover(time.Since(began)), well.n, false))
		c.p.t.Errorf("client %d got no lease, though %s hears it: %+v %v %q", c.n, simNames[well.n], well.run.s.Partners(), why.Reason, why.Steps)
	}
}

// renew asks the server of the lease, then all.
func (c *simClient) renew() {
	if c.take(c.ask(&c.server, c.extend(true))) || !c.holds.IsValid() || c.rng.IntN(2) == 0 {
		return
	}
	c.take(c.ask(nil, c.extend(false)))
}

// reboot asks for an address it says it had (INIT-REBOOT, or REBIND).
func (c *simClient) reboot(a netip.Addr) {
	if c.holds != a {
		c.holds = netip.Addr{}
	}
	c.take(c.ask(nil, c.recall(a)))
}

func (c *simClient) giveBack(decline bool) {
	b := c.release(decline)
	c.p.logf("client %d gives %v back, decline %v", c.n, c.holds, decline)
	c.holds = netip.Addr{}
	if decline || c.kind == simSix {
		c.ask(nil, b)
		return
	}
	c.ask(&c.server, b)
}

// take believes the first answer.
func (c *simClient) take(replies []simReply) bool {
	for _, r := range replies {
		switch {
		case r.nak:
			c.holds = netip.Addr{}
			return true
		case r.ack && r.addr.IsValid():
			c.holds, c.server, c.duid, c.until = r.addr, r.server, r.duid, time.Now().Add(r.life-2*time.Second)
			c.p.logf("client %d holds %v by %v for %v", c.n, r.addr, r.server, r.life)
			return true
		}
	}
	return false
}

// ask sends a packet to a server, or to all, and returns the answers in the order of their arrival. Now and then the packet
// comes twice.
func (c *simClient) ask(to *netip.Addr, data []byte) (replies []simReply) {
	answers := make(chan simReply, len(c.p.racks))
	for n, r := range c.p.racks {
		run, deaf := r.run, r.deaf
		if run == nil || deaf || to != nil && *to != simAddr(c.kind, 1+n) {
			answers <- simReply{}
			continue
		}
		way, twice := time.Duration(c.rng.IntN(20))*time.Millisecond, c.rng.IntN(10) == 0
		packet := c.packet(data, n, to != nil)
		go func() {
			time.Sleep(way)
			reply, ok := c.handle(run, packet)
			if !ok || run.dead.Load() {
				reply.Data = nil
			}
			if twice {
				c.handle(run, packet)
			}
			answers <- c.read(reply.Data)
		}()
	}
	for range c.p.racks {
		if r := <-answers; r.offer || r.ack || r.nak {
			replies = append(replies, r)
		}
	}
	return replies
}

func (c *simClient) handle(run *process, packet dhcpsrv.Packet) (dhcpsrv.Reply, bool) {
	if run.dead.Load() {
		return dhcpsrv.Reply{}, false
	}
	if c.kind == simSix {
		return run.s.Handle6(context.Background(), packet)
	}
	return run.s.Handle(context.Background(), packet)
}

func (c *simClient) packet(data []byte, n int, direct bool) dhcpsrv.Packet {
	p := dhcpsrv.Packet{Data: data, Link: c.kind.link(), Dst: netip.AddrFrom4([4]byte{255, 255, 255, 255})}
	switch {
	case c.kind == simSix:
		p.Src, p.Dst = netip.MustParseAddrPort("[fe80::1]:546"), netip.MustParseAddr("ff02::1:2")
	case direct:
		p.Src, p.Dst = netip.AddrPortFrom(c.holds, 68), simAddr(c.kind, 1+n)
	case c.kind == simFar:
		p.Src, p.Dst = netip.AddrPortFrom(simAddr(simFar, 254), 67), simAddr(c.kind, 1+n)
		p.Data = slices.Clone(data)
		copy(p.Data[24:], simAddr(simFar, 254).AsSlice())
	}
	return p
}

func (c *simClient) read(b []byte) (r simReply) {
	if b == nil {
		return r
	}
	if c.kind == simSix {
		return c.read6(b)
	}
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		c.p.t.Errorf("unreadable answer: %v", err)
		return r
	}
	r.offer, r.ack, r.nak = m.MessageType() == dhcpv4.MessageTypeOffer, m.MessageType() == dhcpv4.MessageTypeAck, m.MessageType() == dhcpv4.MessageTypeNak
	r.addr, _ = netip.AddrFromSlice(m.YourIPAddr.To4())
	r.server, _ = netip.AddrFromSlice(m.ServerIdentifier().To4())
	r.life = m.IPAddressLeaseTime(0)
	return r
}

func (c *simClient) read6(b []byte) (r simReply) {
	m, err := dhcpv6.MessageFromBytes(b)
	if err != nil {
		c.p.t.Errorf("unreadable answer: %v", err)
		return r
	}
	r.duid = m.Options.ServerID().ToBytes()
	if ia := m.Options.OneIANA(); ia != nil {
		for _, a := range ia.Options.Addresses() {
			if a.ValidLifetime > 0 {
				r.addr, _ = netip.AddrFromSlice(a.IPv6Addr)
				r.life = a.ValidLifetime
			}
		}
		r.offer = m.MessageType == dhcpv6.MessageTypeAdvertise && r.addr.IsValid()
		r.ack = m.MessageType == dhcpv6.MessageTypeReply && r.addr.IsValid()
		r.nak = m.MessageType == dhcpv6.MessageTypeReply && !r.addr.IsValid()
	}
	return r
}

// v4 makes a message; where it goes in the header is the client's own address.
func (c *simClient) v4(kind byte, waited time.Duration, ciaddr netip.Addr, options ...byte) []byte {
	b := make([]byte, 240, 300)
	copy(b, []byte{1, 1, 6, 0})
	binary.BigEndian.PutUint32(b[4:], c.rng.Uint32())
	if c.counts {
		binary.BigEndian.PutUint16(b[8:], uint16(waited/time.Second))
	}
	if ciaddr.IsValid() {
		copy(b[12:], ciaddr.AsSlice())
	}
	copy(b[28:], c.mac())
	copy(b[236:], "\x63\x82\x53\x63")
	return append(append(append(b, 53, 1, kind), options...), 255)
}

func opt4(code byte, a netip.Addr) []byte { return append([]byte{code, 4}, a.AsSlice()...) }

// v6 makes a message with one identity association.
func (c *simClient) v6(kind byte, waited time.Duration, a netip.Addr, server []byte) []byte {
	b := []byte{kind, 1, 2, c.n, 0, 1, 0, 10, 0, 3, 0, 1}
	b = append(append(b, c.mac()...), talk6{}.ia(a)...)
	if c.counts {
		b = binary.BigEndian.AppendUint16(append(b, 0, 8, 0, 2), uint16(waited/(10*time.Millisecond)))
	}
	if server != nil {
		b = append(binary.BigEndian.AppendUint16(append(b, 0, 2), uint16(len(server))), server...)
	}
	return b
}

func (c *simClient) discover(waited time.Duration) []byte {
	if c.kind == simSix {
		return c.v6(1, waited, netip.Addr{}, nil)
	}
	return c.v4(1, waited, netip.Addr{})
}

func (c *simClient) request(o simReply) []byte {
	if c.kind == simSix {
		return c.v6(3, 0, o.addr, o.duid)
	}
	return c.v4(3, 0, netip.Addr{}, append(opt4(54, o.server), opt4(50, o.addr)...)...)
}

func (c *simClient) extend(own bool) []byte {
	switch {
	case c.kind == simSix && own:
		return c.v6(5, 0, c.holds, c.duid)
	case c.kind == simSix:
		return c.v6(6, 5*time.Second, c.holds, nil)
	}
	return c.v4(3, 0, c.holds)
}

func (c *simClient) recall(a netip.Addr) []byte {
	if c.kind == simSix {
		return c.v6(6, 0, a, nil)
	}
	return c.v4(3, 0, netip.Addr{}, opt4(50, a)...)
}

func (c *simClient) release(decline bool) []byte {
	switch {
	case c.kind == simSix && decline:
		return c.v6(9, 0, c.holds, c.duid)
	case c.kind == simSix:
		return c.v6(8, 0, c.holds, c.duid)
	case decline:
		return c.v4(4, 0, netip.Addr{}, append(opt4(54, c.server), opt4(50, c.holds)...)...)
	}
	return c.v4(7, 0, c.holds, opt4(54, c.server)...)
}
