package dhcpsrv_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/dhcpsrv"
)

// TestUpdateRefuses checks that every mistake is refused with the object's name, and that the server goes on as before.
func TestUpdateRefuses(t *testing.T) {
	sub := func(change func(*dhcpsrv.Subnet)) func(*dhcpsrv.Snapshot) {
		return func(s *dhcpsrv.Snapshot) { change(&s.Subnets[0]) }
	}
	reservation := func(r dhcpsrv.Reservation) func(*dhcpsrv.Snapshot) {
		return func(s *dhcpsrv.Snapshot) { s.Reservations = append(s.Reservations, r) }
	}
	tests := []struct {
		want   string // in the error
		change func(*dhcpsrv.Snapshot)
	}{
		{`subnet 192.0.2.0/24: has no name`, sub(func(s *dhcpsrv.Subnet) { s.Name = "" })},
		{`subnet "far": two subnets`, sub(func(s *dhcpsrv.Subnet) { s.Name = "far" })},
		{`subnet "office": server address 192.0.2.1 is not an IPv6`, sub(func(s *dhcpsrv.Subnet) { s.Prefix = netip.MustParsePrefix("2001:db8::/64") })},
		{`subnet "far": prefix 198.51.100.0/24 overlaps 198.0.0.0/8 of subnet "office"`, sub(func(s *dhcpsrv.Subnet) { s.Prefix, s.Pools = netip.MustParsePrefix("198.0.0.0/8"), nil })},
		{`subnet "office": has no server address`, sub(func(s *dhcpsrv.Subnet) { s.Server = netip.Addr{} })},
		{`subnet "office": pool 192.0.2.100-192.0.2.255 leaves`, sub(func(s *dhcpsrv.Subnet) { s.Pools[0].Last = ip("192.0.2.255") })},
		{`subnet "office": pool 192.0.2.9-192.0.2.1 is not a range`, sub(func(s *dhcpsrv.Subnet) { s.Pools[0].First, s.Pools[0].Last = ip("192.0.2.9"), ip("192.0.2.1") })},
		{`subnet "office": pool 192.0.2.109-192.0.2.120 overlaps pool 192.0.2.100-192.0.2.109`, sub(func(s *dhcpsrv.Subnet) {
			s.Pools = append(s.Pools, dhcpsrv.Pool{First: ip("192.0.2.109"), Last: ip("192.0.2.120")})
		})},
		{`subnet "office": MTU 12`, sub(func(s *dhcpsrv.Subnet) { s.MTU = 12 })},
		{`subnet "office": LeaseTime 1ms`, sub(func(s *dhcpsrv.Subnet) { s.LeaseTime = 1e6 })},
		{`subnet "office": DNS server 2001:db8::1`, sub(func(s *dhcpsrv.Subnet) { s.DNS = []netip.Addr{ip("2001:db8::1")} })},
		{`subnet "office": route`, sub(func(s *dhcpsrv.Subnet) { s.Routes = []dhcpsrv.Route{{Dest: netip.MustParsePrefix("10.0.0.0/8")}} })},
		{`subnet "office": option 53 is made by the server`, sub(func(s *dhcpsrv.Subnet) { s.Options = dhcpsrv.Options{dhcpsrv.Uint8Option(53, 1)} })},
		{`pool 192.0.2.100-192.0.2.109: option 6 is given twice`, sub(func(s *dhcpsrv.Subnet) {
			s.Pools[0].Options = dhcpsrv.Options{dhcpsrv.AddrOption(6, server), dhcpsrv.AddrOption(6, server)}
		})},
		{`site: option 43 has 2000 bytes`, func(s *dhcpsrv.Snapshot) { s.Options = dhcpsrv.Options{{Code: 43, Data: make([]byte, 2000)}} }},
		{`link "eth0" already belongs to shared network "a", not "b"`, func(s *dhcpsrv.Snapshot) {
			s.Subnets[0].SharedNetwork = "a"
			s.Subnets[1].Link, s.Subnets[1].SharedNetwork = "eth0", "b"
		}},
		{`reservation "db": names neither`, reservation(dhcpsrv.Reservation{Name: "db", Addr: ip("192.0.2.5")})},
		{`reservation 52:54:00:00:00:01: 10.0.0.1 is in no subnet`, reservation(dhcpsrv.Reservation{MAC: mac1, Addr: ip("10.0.0.1")})},
		{`reservation 52:54:00:00:00:01: 192.0.2.255 is the network or broadcast`, reservation(dhcpsrv.Reservation{MAC: mac1, Addr: ip("192.0.2.255")})},
		{`reservation 52:54:00:00:00:01: 192.0.2.1 is the address of this server`, reservation(dhcpsrv.Reservation{MAC: mac1, Addr: server})},
		{`reservation 52:54:00:00:00:01: 192.0.2.5 is in subnet "office", not in "far"`, reservation(dhcpsrv.Reservation{MAC: mac1, Subnet: "far", Addr: ip("192.0.2.5")})},
		{`reservation 52:54:00:00:00:01: there is no subnet "none"`, reservation(dhcpsrv.Reservation{MAC: mac1, Subnet: "none"})},
		{`reservation client 0102: 192.0.2.5 is already reserved for 52:54:00:00:00:01`, func(s *dhcpsrv.Snapshot) {
			reserveFor(mac1, "192.0.2.5")(s)
			s.Reservations = append(s.Reservations, dhcpsrv.Reservation{ClientID: []byte{1, 2}, Addr: ip("192.0.2.5")})
		}},
		{`reservation "x": the same client already has reservation 52:54:00:00:00:01 there`, func(s *dhcpsrv.Snapshot) {
			reserveFor(mac1, "192.0.2.5")(s)
			s.Reservations = append(s.Reservations, dhcpsrv.Reservation{Name: "x", MAC: mac2, Aliases: []net.HardwareAddr{mac1}, Addr: ip("192.0.2.6")})
		}},
	}
	s := newServer(t, dhcpsrv.Config{}, office())
	for _, tt := range tests {
		snap := office()
		tt.change(&snap)
		err := s.Update(snap)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v\nwant %s", err, tt.want)
		}
	}
	newClient(t, s, mac1).dora() // from the snapshot before
}

func TestUpdateKeepsLeases(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, office())
	c := newClient(t, s, mac1)
	a := c.dora()
	if err := s.Update(dhcpsrv.Snapshot{}); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Lookup(a); !ok {
		t.Error("lease lost with its subnet")
	}
	if err := s.Update(office()); err != nil {
		t.Fatal(err)
	}
	if b := c.dora(); b != a {
		t.Errorf("%v after the subnet came back, was %v", b, a)
	}
}
