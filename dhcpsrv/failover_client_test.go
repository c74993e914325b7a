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
	simNear   simKind = iota // IPv4, on the link
	simFar                   // IPv4, behind a relay in a VRF, with the same addresses
	simSix                   // IPv6, on the link
	simRouter                // IPv6, on the link; it gets a prefix, which is known here by its first address
	simKinds
)

func (k simKind) name() string { return [...]string{"near", "far", "six", "router"}[k] }

func (k simKind) prefix() netip.Prefix {
	return netip.MustParsePrefix([...]string{"192.0.2.0/24", "192.0.2.0/24", "2001:db8::/64", "2001:db8:1::/64"}[k])
}

func (k simKind) link() string { return [...]string{"eth0", "", "eth0", "eth1"}[k] }

// simAddr is the host'th address of a subnet.
func simAddr(k simKind, host int) netip.Addr {
	b := k.prefix().Addr().AsSlice()
	b[len(b)-1] = byte(host)
	a, _ := netip.AddrFromSlice(b)
	return a
}

func (k simKind) is6() bool { return k >= simSix }

func (k simKind) vrf() string { return [...]string{"", "tenant", "", ""}[k] }

// simLent is the n'th address that a client may lease, or the first address of such a prefix.
func simLent(k simKind, n int) netip.Addr {
	if k == simRouter {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0xf0, 7: byte(n)})
	}
	return simAddr(k, 10+n)
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
		c.reboot(simLent(c.kind, max(0, c.rng.IntN(36)-2)))
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
	if decline || c.kind.is6() {
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
	if c.kind.is6() {
		return run.s.Handle6(context.Background(), packet)
	}
	return run.s.Handle(context.Background(), packet)
}

func (c *simClient) packet(data []byte, n int, direct bool) dhcpsrv.Packet {
	p := dhcpsrv.Packet{Data: data, Link: c.kind.link(), Dst: netip.AddrFrom4([4]byte{255, 255, 255, 255})}
	switch {
	case c.kind.is6():
		p.Src, p.Dst = netip.MustParseAddrPort("[fe80::1]:546"), netip.MustParseAddr("ff02::1:2")
	case c.kind == simFar: // its renewals pass the relay as well: no route leads out of the VRF
		p.Src, p.Dst = netip.AddrPortFrom(simAddr(simFar, 254), 67), simAddr(c.kind, 1+n)
		p.Data = append(slices.Clone(data[:len(data)-1]), "\x52\x0b\x97\x07\x00tenant\x98\x00\xff"...)
		copy(p.Data[24:], simAddr(simFar, 254).AsSlice())
	case direct:
		p.Src, p.Dst = netip.AddrPortFrom(c.holds, 68), simAddr(c.kind, 1+n)
	}
	return p
}

func (c *simClient) read(b []byte) (r simReply) {
	if b == nil {
		return r
	}
	if c.kind.is6() {
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
	if ia := m.Options.OneIANA(); ia != nil || len(m.Options.IAPD()) > 0 {
		for _, a := range addressesOf(ia) {
			if a.ValidLifetime > 0 {
				r.addr, _ = netip.AddrFromSlice(a.IPv6Addr)
				r.life = a.ValidLifetime
			}
		}
		for _, p := range slices.Concat(prefixesOf(m)...) {
			if p.ValidLifetime > 0 {
				r.addr, _ = netip.AddrFromSlice(p.Prefix.IP)
				r.life = p.ValidLifetime
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
	ia := talk6{}.ia(a)
	if c.kind == simRouter {
		ia = pdBytes(a)
	}
	b = append(append(b, c.mac()...), ia...)
	if c.counts {
		b = binary.BigEndian.AppendUint16(append(b, 0, 8, 0, 2), uint16(waited/(10*time.Millisecond)))
	}
	if server != nil {
		b = append(binary.BigEndian.AppendUint16(append(b, 0, 2), uint16(len(server))), server...)
	}
	return b
}

// addressesOf returns the addresses of an association; nil = there is none.
func addressesOf(ia *dhcpv6.OptIANA) []*dhcpv6.OptIAAddress {
	if ia == nil {
		return nil
	}
	return ia.Options.Addresses()
}

// prefixesOf returns the prefixes of the associations of a message.
func prefixesOf(m *dhcpv6.Message) (all [][]*dhcpv6.OptIAPrefix) {
	for _, ia := range m.Options.IAPD() {
		all = append(all, ia.Options.Prefixes())
	}
	return all
}

// pdBytes is option 25 with a /64, if there is one.
func pdBytes(a netip.Addr) []byte {
	if !a.IsValid() {
		return []byte{0, 25, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	}
	b := []byte{0, 25, 0, 41, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 26, 0, 25, 0, 0, 0, 0, 0, 0, 0, 0, 64}
	return append(b, a.AsSlice()...)
}

func (c *simClient) discover(waited time.Duration) []byte {
	if c.kind.is6() {
		return c.v6(1, waited, netip.Addr{}, nil)
	}
	return c.v4(1, waited, netip.Addr{})
}

func (c *simClient) request(o simReply) []byte {
	if c.kind.is6() {
		return c.v6(3, 0, o.addr, o.duid)
	}
	return c.v4(3, 0, netip.Addr{}, append(opt4(54, o.server), opt4(50, o.addr)...)...)
}

func (c *simClient) extend(own bool) []byte {
	switch {
	case c.kind.is6() && own:
		return c.v6(5, 0, c.holds, c.duid)
	case c.kind.is6():
		return c.v6(6, 5*time.Second, c.holds, nil)
	}
	return c.v4(3, 0, c.holds)
}

func (c *simClient) recall(a netip.Addr) []byte {
	if c.kind.is6() {
		return c.v6(6, 0, a, nil)
	}
	return c.v4(3, 0, netip.Addr{}, opt4(50, a)...)
}

func (c *simClient) release(decline bool) []byte {
	switch {
	case c.kind.is6() && decline:
		return c.v6(9, 0, c.holds, c.duid)
	case c.kind.is6():
		return c.v6(8, 0, c.holds, c.duid)
	case decline:
		return c.v4(4, 0, netip.Addr{}, append(opt4(54, c.server), opt4(50, c.holds)...)...)
	}
	return c.v4(7, 0, c.holds, opt4(54, c.server)...)
}
