package dhcpsrv_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/gomaas/maas/dhcpsrv"
)

// One port of a relay with ever new link addresses gets three addresses, its neighbour still gets one, and when a lease
// ends the port gets another.
func TestCircuitQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		snap := office()
		snap.Subnets[1].CircuitQuota = 3
		s := newServer(t, dhcpsrv.Config{}, snap)
		relay := dhcpv4.WithRelay(net.IP{198, 51, 100, 1})
		at := func(port string, n byte) *client {
			return newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 0, n}, relay, withRelayAgent(1, []byte(port)))
		}
		free := ip("198.51.100.10")
		for n := range byte(3) {
			at("port 1", n).dora()
		}
		for _, ok := s.Lookup(free); ok; _, ok = s.Lookup(free) {
			free = free.Next()
		}
		for n := byte(3); n < 50; n++ {
			if offer, _ := at("port 1", n).send(dhcpv4.MessageTypeDiscover); offer != nil {
				t.Fatalf("client %d got an offer", n)
			}
			if ack, _ := at("port 1", n).send(dhcpv4.MessageTypeRequest, withWanted(free.AsSlice())); ack != nil {
				t.Fatalf("client %d got %v", n, ack)
			}
		}
		if got := s.Stats().Reasons["quota"]; got != 94 {
			t.Errorf("quota counted %d times", got)
		}
		at("port 1", 0).dora() // a client with an address keeps it
		at("port 2", 60).dora()
		if err := s.Update(snap); err != nil { // nor does a new snapshot forget
			t.Fatal(err)
		}
		if offer, _ := at("port 1", 70).send(dhcpv4.MessageTypeDiscover); offer != nil {
			t.Error("offer after the update")
		}
		time.Sleep(time.Hour)
		at("port 1", 70).dora()
	})
}

// A renewal goes past the relay, which alone knows the client's place: the lease stays at that
// place, and takes none of another. Once the relay names another port, the lease moves there.
func TestCircuitQuotaAfterRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		snap := office()
		snap.Subnets[1].CircuitQuota, snap.Subnets[1].LinkQuota = 3, 1
		s := newServer(t, dhcpsrv.Config{}, snap)
		relay := dhcpv4.WithRelay(net.IP{198, 51, 100, 1})
		at := func(port string, n byte) *client {
			line := dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, []byte(port)), dhcpv4.OptGeneric(dhcpv4.SubscriberIDSubOption, []byte("line of "+port)))
			return newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 0, n}, relay, dhcpv4.WithOption(line))
		}
		for n := range byte(3) {
			a := at("port 1", n).dora()
			direct := newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 0, n}).packet(dhcpv4.MessageTypeRequest, withCIAddr(a))
			if _, ok := s.Handle(t.Context(), dhcpsrv.Packet{Data: direct.ToBytes(), Link: "eth0", Dst: server}); !ok {
				t.Fatalf("client %d: not renewed", n)
			}
			if l, _ := s.Lookup(a); string(l.CircuitID) != "port 1" || l.Relay != ip("198.51.100.1") || l.Subscriber != "line of port 1" {
				t.Errorf("renewed: %+v", l)
			}
		}
		if offer, _ := at("port 1", 9).send(dhcpv4.MessageTypeDiscover); offer != nil {
			t.Error("offer beyond the quota of the port")
		}
		newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 1, 1}, relay).dora() // of no port
		if l, _ := s.Lookup(at("port 2", 0).dora()); string(l.CircuitID) != "port 2" {
			t.Errorf("moved: %+v", l)
		}
		at("port 1", 9).dora()
	})
}

func TestCircuitQuota6(t *testing.T) {
	snap := office6()
	snap.Subnets[1].CircuitQuota = 3
	s := newServer(t, dhcpsrv.Config{}, snap)
	at := func(port string, n byte) *client6 {
		c := newClient6(t, s, net.HardwareAddr{2, 0, 0, 0, 0, n}.String())
		c.wrap = func(m *dhcpv6.Message) dhcpv6.DHCPv6 {
			r, err := dhcpv6.EncapsulateRelay(m, dhcpv6.MessageTypeRelayForward, net.ParseIP("2001:db8:2::1"), net.ParseIP("fe80::5"))
			if err != nil {
				t.Fatal(err)
			}
			r.AddOption(dhcpv6.OptInterfaceID([]byte(port)))
			return r
		}
		return c
	}
	at("port 1", 1).bind(ia(1))
	if got := addrs(at("port 1", 2).bind(ia(1), ia(2), ia(3))); len(got) != 2 {
		t.Errorf("of three IAs with two places left %d got an address", len(got))
	}
	if adv := at("port 1", 3).send(dhcpv6.MessageTypeSolicit, ia(1)); len(addrs(adv)) != 0 {
		t.Errorf("over the quota: %v", addrs(adv))
	}
	at("port 1", 1).bind(ia(1))
	at("port 2", 4).bind(ia(1))
	if s.Stats().Reasons["quota"] == 0 {
		t.Error("not counted")
	}
}

// A host on the link with ever new link addresses gets as many addresses as the link may have, whatever circuits it makes up;
// so does one behind a relay that names no circuit, and neither takes from the other.
func TestLinkQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		snap := office()
		for i := range snap.Subnets {
			snap.Subnets[i].LinkQuota = 2
		}
		snap.Reservations = append(snap.Reservations, dhcpsrv.Reservation{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 99}, Addr: ip("192.0.2.77")})
		s := newServer(t, dhcpsrv.Config{}, snap)
		relay := dhcpv4.WithRelay(net.IP{198, 51, 100, 1})
		for name, with := range map[string][]dhcpv4.Modifier{"link": nil, "relay": {relay}} {
			got := 0
			for n := range byte(20) {
				c := newClient(t, s, net.HardwareAddr{2, 0, 0, 0, byte(len(name)), n}, with...)
				circuit := withRelayAgent(1, []byte{'p', n})
				if name == "relay" {
					circuit = func(*dhcpv4.DHCPv4) {}
				}
				if offer, _ := c.send(dhcpv4.MessageTypeDiscover, circuit); offer != nil {
					got++
				}
			}
			if got != 2 {
				t.Errorf("%s: %d of 20 got an address", name, got)
			}
		}
		newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 0, 1}, relay, withRelayAgent(1, []byte("port 1"))).dora()
		newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 0, 99}).dora()
		if got := s.Stats().Reasons["quota"]; got != 36 {
			t.Errorf("quota counted %d times", got)
		}
	})
}

func TestLinkQuota6(t *testing.T) {
	snap := office6()
	snap.Subnets[0].LinkQuota = 2
	s := newServer(t, dhcpsrv.Config{}, snap)
	got := 0
	for n := range byte(20) {
		got += len(addrs(newClient6(t, s, net.HardwareAddr{2, 0, 0, 0, 0, n}.String()).send(dhcpv6.MessageTypeSolicit, ia(1))))
	}
	if got != 2 {
		t.Errorf("%d of 20 got an address", got)
	}
	snap.Subnets[0].LinkQuota = -1
	if err := s.Update(snap); err == nil || !strings.Contains(err.Error(), "negative LinkQuota -1") {
		t.Errorf("negative: %v", err)
	}
}

// Reserved addresses do not count, from when they are reserved until they are not any more.
func TestQuotaWithoutReserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		snap := office()
		snap.Subnets[0].LinkQuota = 2
		known := func(n byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, 90 + n} }
		s := newServer(t, dhcpsrv.Config{}, snap)
		offered := func(n byte) bool {
			offer, _ := newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 0, n}).send(dhcpv4.MessageTypeDiscover)
			return offer != nil
		}
		reserved := snap
		for n := range byte(2) {
			a := newClient(t, s, known(n)).dora()
			reserved.Reservations = append(reserved.Reservations, dhcpsrv.Reservation{MAC: known(n), Addr: a})
		}
		if offered(1) {
			t.Error("offer beyond the quota")
		}
		if err := s.Update(reserved); err != nil {
			t.Fatal(err)
		}
		newClient(t, s, known(0)).dora()
		if !offered(1) || !offered(2) || offered(3) {
			t.Error("leases of reserved addresses count")
		}
		time.Sleep(time.Minute) // the offers lapse
		if err := s.Update(snap); err != nil {
			t.Fatal(err)
		}
		if offered(4) {
			t.Error("leases of addresses that are not reserved any more do not count")
		}
	})
}

func TestQuotaWithoutReserved6(t *testing.T) {
	snap := office6()
	snap.Subnets[0].LinkQuota = 1
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 90}
	snap.Reservations = append(snap.Reservations, dhcpsrv.Reservation{MAC: mac, Addr: ip("2001:db8:1::77")})
	s := newServer(t, dhcpsrv.Config{}, snap)
	newClient6(t, s, mac.String()).bind(ia(1))
	for n, want := range []int{1, 0} {
		adv := newClient6(t, s, net.HardwareAddr{2, 0, 0, 0, 0, byte(n)}.String()).send(dhcpv6.MessageTypeSolicit, ia(1))
		if len(addrs(adv)) != want {
			t.Errorf("client %d got %v", n, addrs(adv))
		}
	}
}

// One address of a relay serves two shared networks, by link selection: what is leased in one does not count in the other.
func TestLinkQuotaOfSelectedLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		snap := office()
		snap.Subnets[0].LinkQuota = 5
		snap.Subnets[1].LinkQuota = 2
		far := snap.Subnets[1]
		far.Name, far.Prefix, far.Server = "farther", netip.MustParsePrefix("203.0.113.0/24"), ip("203.0.113.2")
		far.Routers, far.Pools = nil, []dhcpsrv.Pool{{First: ip("203.0.113.10"), Last: ip("203.0.113.19")}}
		snap.Subnets = append(snap.Subnets, far)
		s := newServer(t, dhcpsrv.Config{}, snap)
		for i, sub := range snap.Subnets {
			net4, got := sub.Prefix.Addr().As4(), 0
			for n := range byte(7) {
				c := newClient(t, s, net.HardwareAddr{2, 0, 0, 0, byte(i), n}, dhcpv4.WithRelay(net.IP{10, 9, 9, 9}), withRelayAgent(5, net4[:]))
				if offer, _ := c.send(dhcpv4.MessageTypeDiscover); offer != nil {
					got++
				}
			}
			if got != sub.LinkQuota {
				t.Errorf("subnet %q: %d of 7 got an address, not %d", sub.Name, got, sub.LinkQuota)
			}
		}
	})
}

// A client whose pool is gone gets another address for its lease; so it does for each, and no
// client gets a further one.
func TestQuotaAfterPoolIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		snap := office()
		snap.Subnets[0].LinkQuota = 1
		s := newServer(t, dhcpsrv.Config{}, snap)
		c := newClient(t, s, mac1)
		former := c.dora()
		snap = office()
		snap.Subnets[0].LinkQuota = 1
		snap.Subnets[0].Pools = []dhcpsrv.Pool{{First: ip("192.0.2.200"), Last: ip("192.0.2.209")}}
		if err := s.Update(snap); err != nil {
			t.Fatal(err)
		}
		if a := c.dora(); a == former {
			t.Errorf("still %v", a)
		}
		if _, runs := s.Lookup(former); runs {
			t.Error("the former lease goes on")
		}
		if offer, _ := newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 0, 9}).send(dhcpv4.MessageTypeDiscover); offer != nil {
			t.Error("another client got an address beyond the quota")
		}
	})
}

func TestQuotaAfterPoolIsGone6(t *testing.T) {
	snap := office6()
	snap.Subnets[0].LinkQuota = 2
	s := newServer(t, dhcpsrv.Config{}, snap)
	c := newClient6(t, s, mac1.String())
	if got := addrs(c.bind(ia(1), ia(2))); len(got) != 2 {
		t.Fatalf("got %v", got)
	}
	snap = office6()
	snap.Subnets[0].LinkQuota = 2
	snap.Subnets[0].Pools = []dhcpsrv.Pool{{First: ip("2001:db8:1::a000"), Last: ip("2001:db8:1::a00f")}}
	if err := s.Update(snap); err != nil {
		t.Fatal(err)
	}
	if got := addrs(c.bind(ia(1), ia(2), ia(3))); len(got) != 2 {
		t.Errorf("in their stead: %v", got)
	}
}

func TestClientRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, dhcpsrv.Config{ClientRate: 5}, office())
		answered := func(c *client, n int) (count int) {
			for range n {
				if offer, _ := c.send(dhcpv4.MessageTypeDiscover); offer != nil {
					count++
				}
			}
			return count
		}
		loud, quiet := newClient(t, s, mac1), newClient(t, s, net.HardwareAddr{2, 9, 9, 9, 9, 9})
		if got := answered(loud, 100); got != 5 {
			t.Errorf("%d of 100 answered", got)
		}
		if got := answered(quiet, 1); got != 1 {
			t.Error("another client was held back")
		}
		if got := s.Stats().Reasons["rate"]; got != 95 {
			t.Errorf("counted %d times", got)
		}
		time.Sleep(2 * time.Second)
		if got := answered(loud, 3); got != 3 {
			t.Errorf("after a pause %d of 3 answered", got)
		}
	})
}
