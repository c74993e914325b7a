package dhcpsrv_test

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/gomaas/maas/dhcpsrv"
)

// TestFQDN asks with each wish of RFC 4702: the side that enters the name, and the form of the
// name.
func TestFQDN(t *testing.T) {
	snap := office()
	snap.Reservations = []dhcpsrv.Reservation{{MAC: mac2, Addr: ip("192.0.2.50"), Hostname: "db1"}}
	s := newServer(t, dhcpsrv.Config{}, snap)
	for _, test := range []struct {
		name      string
		mac       net.HardwareAddr
		sent, got string
	}{
		{"the client would, wire form", mac1, "\x04\x00\x00\x04Node", "\x07\xff\xff\x04node\x06office\x04test\x00"},
		{"the server shall, text", mac1, "\x01\x00\x00Node", "\x01\xff\xffnode.office.test"},
		{"nobody shall", mac1, "\x08\x00\x00Node", "\x08\xff\xffnode.office.test"},
		{"a full name", mac1, "\x05\x00\x00\x01a\x01b\x00", "\x05\xff\xff\x01a\x01b\x00"},
		{"a reserved name", mac2, "\x05\x00\x00\x04Node", "\x05\xff\xff\x03db1\x06office\x04test\x00"},
		{"no name", mac1, "\x05\x00\x00", "\x05\xff\xff"},
		{"cut off", mac1, "\x05\x00", ""},
		{"too long", mac1, "\x01\x00\x00" + strings.Repeat("x", 250), "\x01\xff\xff" + strings.Repeat("x", 63) + ".office.test"},
	} {
		m, _ := newClient(t, s, test.mac).send(dhcpv4.MessageTypeDiscover, dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionFQDN, []byte(test.sent))))
		if got := string(m.Options.Get(dhcpv4.OptionFQDN)); got != test.got {
			t.Errorf("%s: %q, want %q", test.name, got, test.got)
		}
	}
	if m, _ := newClient(t, s, mac1).send(dhcpv4.MessageTypeDiscover); m.Options.Has(dhcpv4.OptionFQDN) {
		t.Error("answered without being asked")
	}
}

func TestFQDN6(t *testing.T) {
	snap := office6()
	snap.Reservations = []dhcpsrv.Reservation{{MAC: mac2, Addr: ip("2001:db8:1::50"), Hostname: "db1"}}
	s := newServer(t, dhcpsrv.Config{}, snap)
	name := func(flags byte, label string) dhcpv6.Option {
		return &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionFQDN, OptionData: append([]byte{flags, byte(len(label))}, label...)}
	}
	send := func(c *client6, asked bool, flags byte) []byte {
		p := c.packet(dhcpv6.MessageTypeSolicit, name(flags, "Node"), ia(1))
		if asked { // one option more in the request option, the last but two
			p.Data = bytes.Replace(p.Data, []byte{0, 56, 0, 59}, []byte{0, 56, 0, 39}, 1)
		}
		r, ok := s.Handle6(t.Context(), p)
		m, err := dhcpv6.MessageFromBytes(r.Data)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if o := m.GetOneOption(dhcpv6.OptionFQDN); o != nil {
			return o.ToBytes()
		}
		return nil
	}
	c := newClient6(t, s, mac1.String())
	if got := send(c, false, 0); got != nil {
		t.Errorf("not asked for, told %q", got)
	}
	if got := send(c, true, 0); string(got) != "\x03\x04node\x06office\x04test\x00" {
		t.Errorf("the client would: %q", got)
	}
	if got := send(c, true, 4); string(got) != "\x04\x04node\x06office\x04test\x00" {
		t.Errorf("nobody shall: %q", got)
	}
	if got := send(newClient6(t, s, mac2.String()), true, 1); string(got) != "\x01\x03db1\x06office\x04test\x00" {
		t.Errorf("a reserved name: %q", got)
	}
}

// TestSubscriber gives whatever machine is on a line its address, also after a restart.
func TestSubscriber(t *testing.T) {
	snap := office()
	snap.Subnets = append(snap.Subnets, office6().Subnets...)
	snap.Reservations = []dhcpsrv.Reservation{
		{Subscriber: "line 7", Addr: ip("198.51.100.77")}, {Subscriber: "line 7", Addr: ip("2001:db8:2::77")},
		{MAC: mac2, Addr: ip("198.51.100.78")},
	}
	path := filepath.Join(t.TempDir(), "leases")
	journal := openJournal(t, path)
	s := newServer(t, dhcpsrv.Config{Store: journal}, snap)
	line := []dhcpv4.Modifier{relayFrom(ip("198.51.100.1")), withRelayAgent(6, []byte("line 7"))}
	if got := newClient(t, s, mac1, line...).dora(); got != ip("198.51.100.77") {
		t.Errorf("first machine: %v", got)
	}
	if got := newClient(t, s, mac2, line...).dora(); got != ip("198.51.100.78") {
		t.Errorf("the link address comes first: %v", got)
	}
	x := s.Explain(t.Context(), dhcpsrv.Packet{Data: newClient(t, s, mac1, line...).packet(dhcpv4.MessageTypeDiscover).ToBytes()})
	if x.Reservation != `subscriber "line 7"` || x.Steps[1] != `client by subscriber "line 7"` {
		t.Errorf("explained as %+v", x)
	}
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	s = newServer(t, dhcpsrv.Config{Store: openJournal(t, path)}, snap)
	if got := newClient(t, s, macOf(9), line...).dora(); got != ip("198.51.100.77") {
		t.Errorf("another machine after a restart: %v", got)
	}
	for _, mac := range []string{"02:00:00:00:00:01", "02:00:00:00:00:02"} {
		c := newClient6(t, s, mac)
		c.wrap = func(m *dhcpv6.Message) dhcpv6.DHCPv6 {
			relay, err := dhcpv6.EncapsulateRelay(m, dhcpv6.MessageTypeRelayForward, net.ParseIP("2001:db8:2::1"), net.ParseIP("fe80::5"))
			if err != nil {
				t.Fatal(err)
			}
			relay.AddOption(&dhcpv6.OptionGeneric{OptionCode: 38, OptionData: []byte("line 7")})
			return relay
		}
		if got := addrs(c.bind(ia(1))); got[0] != "2001:db8:2::77" {
			t.Errorf("%s: %v", mac, got)
		}
	}
}

func TestClientName(t *testing.T) {
	long := strings.Repeat("x", 63)
	for _, tt := range []struct{ hostname, domain, want string }{
		{"Laptop", "maas", "laptop.maas"},
		{" laptop ", "Lab.Example", "laptop.lab.example"},
		{"web-1.corp.example", "maas", "web-1.maas"},
		{"laptop", "", "laptop"},
		{"9p", "maas", "9p.maas"},
		{long, "maas", long + ".maas"},
		{long + "x", "maas", long + ".maas"},
		{long[:62] + "-x", "maas", long[:62] + ".maas"},
		{"", "maas", ""},
		{".maas", "maas", ""},
		{"(none)", "maas", ""},
		{"WPAD", "maas", ""},
		{"isatap.corp.example", "maas", ""},
		{"localhost", "", ""},
		{"wpad2", "maas", "wpad2.maas"},
		{"-x", "maas", ""},
		{"x-", "maas", ""},
		{"a_b", "maas", ""},
		{"münchen", "maas", ""},
		{"a b", "maas", ""},
		{"a\x00", "maas", ""},
	} {
		if got := dhcpsrv.ClientName(tt.hostname, tt.domain); got != tt.want {
			t.Errorf("ClientName(%q, %q) = %q, want %q", tt.hostname, tt.domain, got, tt.want)
		}
	}
}
