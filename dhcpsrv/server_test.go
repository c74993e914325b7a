package dhcpsrv_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
)

var (
	mac1   = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	mac2   = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 2}
	server = netip.MustParseAddr("192.0.2.1")
	ip     = netip.MustParseAddr
)

// office is a subnet with ten dynamic addresses on eth0, and one behind a relay.
func office() dhcpsrv.Snapshot {
	return dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "office", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth0", Server: server,
		Pools:   []dhcpsrv.Pool{{First: ip("192.0.2.100"), Last: ip("192.0.2.109")}},
		Routers: []netip.Addr{ip("192.0.2.254")}, DNS: []netip.Addr{server}, Domain: "office.test",
	}, {
		Name: "far", Prefix: netip.MustParsePrefix("198.51.100.0/24"), Server: server,
		Pools:   []dhcpsrv.Pool{{First: ip("198.51.100.10"), Last: ip("198.51.100.19")}},
		Routers: []netip.Addr{ip("198.51.100.1")},
	}}}
}

// newServer returns a server with a snapshot.
func newServer(t testing.TB, cfg dhcpsrv.Config, snap dhcpsrv.Snapshot) *dhcpsrv.Server {
	t.Helper()
	s, err := dhcpsrv.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(snap); err != nil {
		t.Fatal(err)
	}
	return s
}

// client sends messages to a server as one machine and remembers nothing: the tests say what it sends.
type client struct {
	t    testing.TB
	s    *dhcpsrv.Server
	mac  net.HardwareAddr
	link string
	mods []dhcpv4.Modifier // put into every message
}

func newClient(t testing.TB, s *dhcpsrv.Server, mac net.HardwareAddr, mods ...dhcpv4.Modifier) *client {
	return &client{t: t, s: s, mac: mac, link: "eth0", mods: mods}
}

// packet makes a message.
func (c *client) packet(kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	c.t.Helper()
	base := []dhcpv4.Modifier{dhcpv4.WithHwAddr(c.mac), dhcpv4.WithMessageType(kind), dhcpv4.WithBroadcast(false)}
	m, err := dhcpv4.New(append(append(base, c.mods...), mods...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// send gives a message to the server; nil is silence.
func (c *client) send(kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, dhcpsrv.Reply) {
	c.t.Helper()
	r, ok := c.s.Handle(context.Background(), dhcpsrv.Packet{Data: c.packet(kind, mods...).ToBytes(), Link: c.link})
	if !ok {
		return nil, r
	}
	m, err := dhcpv4.FromBytes(r.Data)
	if err != nil {
		c.t.Fatalf("reply to %v: %v", kind, err)
	}
	return m, r
}

// dora gets a lease the usual way.
func (c *client) dora() netip.Addr {
	c.t.Helper()
	offer, _ := c.send(dhcpv4.MessageTypeDiscover)
	if offer == nil || offer.MessageType() != dhcpv4.MessageTypeOffer {
		c.t.Fatalf("%v: no offer: %v", c.mac, offer)
	}
	return c.selecting(offer)
}

func (c *client) selecting(offer *dhcpv4.DHCPv4) netip.Addr {
	c.t.Helper()
	ack, _ := c.send(dhcpv4.MessageTypeRequest, withServer(offer.ServerIdentifier()), withWanted(offer.YourIPAddr))
	if ack == nil || ack.MessageType() != dhcpv4.MessageTypeAck || !ack.YourIPAddr.Equal(offer.YourIPAddr) {
		c.t.Fatalf("%v: offer of %v not acknowledged: %v", c.mac, offer.YourIPAddr, ack)
	}
	a, _ := netip.AddrFromSlice(ack.YourIPAddr.To4())
	return a
}

func withServer(a net.IP) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(a)) }
func withWanted(a net.IP) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(a)) }

func TestDORA(t *testing.T) {
	var events []dhcpsrv.Event
	store := new(dhcpsrv.MemStore)
	s := newServer(t, dhcpsrv.Config{Store: store, Events: func(ev dhcpsrv.Event) { events = append(events, ev) }}, office())
	c := newClient(t, s, mac1, dhcpv4.WithOption(dhcpv4.OptHostName("Web_1")))
	a := c.dora()
	l, ok := s.Lookup(a)
	if !ok || l.MAC.String() != mac1.String() || l.Hostname != "web-1" || l.Subnet != "office" || l.Link != "eth0" {
		t.Errorf("lease %v: %+v", ok, l)
	}
	if d := time.Until(l.End); d > dhcpsrv.DefaultLeaseTime || d < dhcpsrv.DefaultLeaseTime-time.Minute {
		t.Errorf("lease ends in %v", d)
	}
	if len(events) != 1 || events[0].Kind != dhcpsrv.Granted || events[0].Lease.Addr != a {
		t.Errorf("events %+v", events)
	}
	if again := c.dora(); again != a {
		t.Errorf("second time %v, want %v", again, a)
	}
	if len(events) != 2 || events[1].Kind != dhcpsrv.Renewed {
		t.Errorf("events %+v", events)
	}
}

func relayFrom(a netip.Addr) dhcpv4.Modifier { return dhcpv4.WithRelay(a.AsSlice()) }

func parse(t testing.TB, b []byte) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
