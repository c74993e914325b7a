package dhcpsrv_test

import (
	"net"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
)

func clientID(id ...byte) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptClientIdentifier(id))
}

func TestReservation(t *testing.T) {
	snap := office()
	snap.Reservations = []dhcpsrv.Reservation{
		{Name: "outside", MAC: mac1, Addr: ip("192.0.2.50"), Hostname: "db1"},
		{Name: "by id", ClientID: []byte{0xff, 1, 2, 3}, Addr: ip("192.0.2.105")},
		{Name: "far", MAC: mac1, Addr: ip("198.51.100.77")},
		{Name: "bond", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Aliases: []net.HardwareAddr{{2, 0, 0, 0, 0, 2}}, Addr: ip("192.0.2.60")},
		{Name: "name only", MAC: mac2, Hostname: "anywhere"},
	}
	s := newServer(t, dhcpsrv.Config{}, snap)
	for _, tt := range []struct {
		name string
		mac  net.HardwareAddr
		mods []dhcpv4.Modifier
		want string
	}{
		{"outside the pools", mac1, nil, "192.0.2.50"},
		{"by client identifier, inside a pool", net.HardwareAddr{2, 9, 9, 9, 9, 9}, []dhcpv4.Modifier{clientID(0xff, 1, 2, 3)}, "192.0.2.105"},
		{"in the subnet of the relay", mac1, []dhcpv4.Modifier{dhcpv4.WithRelay(net.IP{198, 51, 100, 1})}, "198.51.100.77"},
		{"first member of a bond", net.HardwareAddr{2, 0, 0, 0, 0, 1}, nil, "192.0.2.60"},
		{"second member of a bond", net.HardwareAddr{2, 0, 0, 0, 0, 2}, nil, "192.0.2.60"},
	} {
		if got := newClient(t, s, tt.mac, tt.mods...).dora(); got != ip(tt.want) {
			t.Errorf("%s: got %v, want %s", tt.name, got, tt.want)
		}
	}
	m, _ := newClient(t, s, mac2).send(dhcpv4.MessageTypeDiscover, dhcpv4.WithRequestedOptions(dhcpv4.OptionHostName))
	if m.HostName() != "anywhere" || !net.IP.Equal(m.YourIPAddr.Mask(net.CIDRMask(24, 32)), net.IP{192, 0, 2, 0}) {
		t.Errorf("reservation without address: %v", m)
	}
	for i := range 8 { // of ten one is reserved and one on offer
		if a := newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 1, byte(i)}).dora(); a == ip("192.0.2.105") {
			t.Error("a reserved address was given to another client")
		}
	}
}

// TestReservationWins: a reservation made while the client holds a dynamic lease takes over at the next renewal, and the
// dynamic lease is released.
func TestReservationWins(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, office())
	c := newClient(t, s, mac1)
	a := c.dora()
	snap := office()
	reserveFor(mac1, "192.0.2.50")(&snap)
	if err := s.Update(snap); err != nil {
		t.Fatal(err)
	}
	if m, _ := c.send(dhcpv4.MessageTypeRequest, withCIAddr(a)); m == nil || m.MessageType() != dhcpv4.MessageTypeNak {
		t.Fatalf("renewal answered with %v", m)
	}
	if b := c.dora(); b != ip("192.0.2.50") {
		t.Fatalf("got %v", b)
	}
	if l, ok := s.Lookup(a); ok {
		t.Errorf("the dynamic lease is still there: %+v", l)
	}
}

// TestReservationTaken: while another client holds a reserved address its owner works with a pool address; once the other
// client had to give it up, the owner gets it.
func TestReservationTaken(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, office())
	squatter := newClient(t, s, mac1)
	a := squatter.dora()
	snap := office()
	reserveFor(mac2, a.String())(&snap)
	if err := s.Update(snap); err != nil {
		t.Fatal(err)
	}
	owner := newClient(t, s, mac2)
	if b := owner.dora(); b == a {
		t.Fatalf("%v given to two clients", a)
	}
	if m, _ := squatter.send(dhcpv4.MessageTypeRequest, withCIAddr(a)); m == nil || m.MessageType() != dhcpv4.MessageTypeNak {
		t.Fatalf("renewal of another's address answered with %v", m)
	}
	if b := squatter.dora(); b == a {
		t.Fatal("the squatter got the reserved address again")
	}
	if b := owner.dora(); b != a {
		t.Errorf("the owner got %v, want %v", b, a)
	}
}

// TestIdentity: firmware, loader and system of one machine send different client identifiers.
func TestIdentity(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, office())
	a := newClient(t, s, mac1).dora()
	if b := newClient(t, s, mac1, clientID(0xff, 1, 2, 3)).dora(); b != a {
		t.Errorf("by link address: %v and %v", a, b)
	}
	snap := office()
	snap.Subnets[0].ByClientID = true
	s = newServer(t, dhcpsrv.Config{}, snap)
	a = newClient(t, s, mac1, clientID(0xff, 1)).dora()
	if b := newClient(t, s, mac1, clientID(0xff, 2)).dora(); b == a {
		t.Errorf("by client identifier: both %v", a)
	}
	if b := newClient(t, s, mac2, clientID(0xff, 1)).dora(); b != a {
		t.Errorf("one client identifier: %v and %v", a, b)
	}
}
