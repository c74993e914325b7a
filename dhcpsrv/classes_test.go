package dhcpsrv_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/gomaas/maas/dhcpsrv"
)

func classes() dhcpsrv.Snapshot {
	snap := office()
	six := office6().Subnets[0]
	six.Pools = append(six.Pools, dhcpsrv.Pool{First: ip("2001:db8:1::200"), Last: ip("2001:db8:1::201"), Class: "switches"})
	snap.Subnets = append(snap.Subnets, six)
	snap.Subnets[0].Pools = []dhcpsrv.Pool{
		{First: ip("192.0.2.100"), Last: ip("192.0.2.109")},
		{First: ip("192.0.2.200"), Last: ip("192.0.2.201"), Class: "switches"},
	}
	snap.Classes = []dhcpsrv.Class{
		{Name: "strangers", MACPrefix: net.HardwareAddr{2, 6, 6}, Ignore: true},
		{Name: "switches", VendorClass: "onie_vendor:", Options: dhcpsrv.Options{dhcpsrv.TextOption(114, "http://onie")},
			Options6: dhcpsrv.Options{dhcpsrv.TextOption(59, "http://onie6")}},
		{Name: "ipxe", UserClass: "iPXE", Options: dhcpsrv.Options{dhcpsrv.TextOption(114, "ipxe")}},
		{Name: "arm", Arch: []uint16{11, 19}, Options: dhcpsrv.Options{dhcpsrv.TextOption(114, "arm")}},
		{Name: "port 7", CircuitID: []byte("eth7"), Options: dhcpsrv.Options{dhcpsrv.TextOption(114, "port 7")}},
		{Name: "arm of one make", Arch: []uint16{11}, MACPrefix: net.HardwareAddr{2, 7}, Options: dhcpsrv.Options{dhcpsrv.TextOption(114, "never")}},
	}
	return snap
}

func TestClasses(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, classes())
	ask := dhcpv4.WithRequestedOptions(dhcpv4.GenericOptionCode(114))
	vendor := func(v string) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptClassIdentifier(v)) }
	onie := vendor("onie_vendor:x86_64-acme")
	for i, tt := range []struct {
		name   string
		mac    net.HardwareAddr
		mods   []dhcpv4.Modifier
		option string
		pool   string // prefix of the address; "" = silence
	}{
		{"none", macOf(1), nil, "", "192.0.2.10"},
		{"switch", macOf(2), []dhcpv4.Modifier{onie}, "http://onie", "192.0.2.20"},
		{"another switch", macOf(3), []dhcpv4.Modifier{onie}, "http://onie", "192.0.2.20"},
		{"no pool left", macOf(4), []dhcpv4.Modifier{onie}, "", ""},
		{"user class", macOf(5), []dhcpv4.Modifier{dhcpv4.WithUserClass("iPXE", false)}, "ipxe", "192.0.2.10"},
		{"arch", macOf(6), []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptClientArch(iana.EFI_ARM64))}, "arm", "192.0.2.10"},
		{"arch in the vendor class", macOf(7), []dhcpv4.Modifier{vendor("PXEClient:Arch:00011:UNDI:003000")}, "arm", "192.0.2.10"},
		{"the first class", net.HardwareAddr{2, 7, 0, 0, 0, 1}, []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptClientArch(iana.EFI_ARM64))}, "arm", "192.0.2.10"},
		{"circuit", macOf(8), []dhcpv4.Modifier{dhcpv4.WithRelay(net.IP{192, 0, 2, 254}), dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, []byte("eth7"))))}, "port 7", "192.0.2.10"},
		{"ignored", net.HardwareAddr{2, 6, 6, 0, 0, 1}, []dhcpv4.Modifier{onie}, "", ""},
	} {
		c := newClient(t, s, tt.mac, append(tt.mods, ask)...)
		offer, _ := c.send(dhcpv4.MessageTypeDiscover)
		if (offer == nil) != (tt.pool == "") {
			t.Errorf("%d %s: offer %v", i, tt.name, offer)
			continue
		}
		if offer == nil {
			continue
		}
		a := c.selecting(offer)
		if got := string(offer.Options.Get(dhcpv4.GenericOptionCode(114))); got != tt.option || !strings.HasPrefix(a.String(), tt.pool) {
			t.Errorf("%s: option %q and address %v, want %q and %s", tt.name, got, a, tt.option, tt.pool)
		}
	}
	if n := s.Stats().Reasons["class-ignored"]; n != 1 {
		t.Errorf("%d ignored", n)
	}
	// The installed system of a switch sends another class, and moves to the ordinary pool.
	if nak, _ := newClient(t, s, macOf(2)).send(dhcpv4.MessageTypeRequest, withWanted(net.IP{192, 0, 2, 200})); nak == nil || nak.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("an address of another class: %v", nak)
	}
	// Released addresses of the class are given out again.
	for l := range s.Leases(dhcpsrv.LeaseFilter{State: dhcpsrv.Bound, Prefix: netip.MustParsePrefix("192.0.2.200/31")}) {
		if err := s.Release(t.Context(), l.Addr); err != nil {
			t.Fatal(err)
		}
	}
	if a := newClient(t, s, macOf(4), onie).dora(); !strings.HasPrefix(a.String(), "192.0.2.20") {
		t.Errorf("got %v", a)
	}
}

func TestClasses6(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, classes())
	onie := &dhcpv6.OptVendorClass{EnterpriseNumber: 42623, Data: [][]byte{[]byte("onie_vendor:x86")}}
	c := newClient6(t, s, "02:00:00:00:00:01")
	m := c.send(dhcpv6.MessageTypeSolicit, ia(1), onie)
	if a := addrs(m); len(a) != 1 || !strings.HasPrefix(a[0], "2001:db8:1::20") || m.Options.BootFileURL() != "http://onie6" {
		t.Errorf("switch: %v, %q", a, m.Options.BootFileURL())
	}
	m = newClient6(t, s, "02:00:00:00:00:02").send(dhcpv6.MessageTypeSolicit, ia(1))
	if a := addrs(m); len(a) != 1 || !strings.HasPrefix(a[0], "2001:db8:1::10") || m.Options.BootFileURL() != "" {
		t.Errorf("another client: %v", a)
	}
	if m := newClient6(t, s, "02:06:06:00:00:02").send(dhcpv6.MessageTypeSolicit, ia(1)); m != nil {
		t.Errorf("ignored: %v", m)
	}
}

func TestClassesRefused(t *testing.T) {
	for want, change := range map[string]func(*dhcpsrv.Snapshot){
		"has no name":          func(s *dhcpsrv.Snapshot) { s.Classes[1].Name = "" },
		"two classes":          func(s *dhcpsrv.Snapshot) { s.Classes[1].Name = "ipxe" },
		"selects every client": func(s *dhcpsrv.Snapshot) { s.Classes[1].VendorClass = "" },
		"option 53":            func(s *dhcpsrv.Snapshot) { s.Classes[1].Options[0].Code = 53 },
		"option 1 of DHCPv6":   func(s *dhcpsrv.Snapshot) { s.Classes[1].Options6[0].Code = 1 },
		`no class "routers"`:   func(s *dhcpsrv.Snapshot) { s.Subnets[0].Pools[0].Class = "routers" },
		`no class "bridges"`:   func(s *dhcpsrv.Snapshot) { s.Subnets[2].Pools[0].Class = "bridges" },
	} {
		snap := classes()
		change(&snap)
		s, err := dhcpsrv.New(dhcpsrv.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Update(snap); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A boot selector knows the relay, and its DHCPv6 options are sent.
func TestBootOptions6AndRelay(t *testing.T) {
	var asked dhcpsrv.BootQuery
	s := newServer(t, dhcpsrv.Config{Boot: dhcpsrv.BootSelectorFunc(func(_ context.Context, q dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
		asked = q
		asked.CircuitID, asked.RemoteID = slices.Clone(q.CircuitID), slices.Clone(q.RemoteID)
		return dhcpsrv.BootAnswer{Options6: dhcpsrv.Options{{Code: 24, Data: []byte("\x04boot\x00")}, {Code: 2, Data: []byte("not mine to set")}}}, true
	})}, classes())
	m := newClient6(t, s, "02:00:00:00:00:01").send(dhcpv6.MessageTypeSolicit, ia(1))
	if l := m.Options.DomainSearchList(); l == nil || !slices.Equal(l.Labels, []string{"boot"}) {
		t.Errorf("search list %v", l)
	}
	relayed := newClient(t, s, macOf(1), dhcpv4.WithRelay(net.IP{192, 0, 2, 254}), dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(
		dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, []byte("eth7")), dhcpv4.OptGeneric(dhcpv4.AgentRemoteIDSubOption, []byte("leaf1")))))
	relayed.send(dhcpv4.MessageTypeDiscover)
	if asked.Relay != ip("192.0.2.254") || string(asked.CircuitID) != "eth7" || string(asked.RemoteID) != "leaf1" {
		t.Errorf("asked %+v", asked)
	}
}

// The server's own address is given to no client, even if a pool holds it.
func TestPoolWithTheServer(t *testing.T) {
	snap := office()
	snap.Subnets[0].Pools = []dhcpsrv.Pool{{First: server, Last: server.Next()}}
	s := newServer(t, dhcpsrv.Config{}, snap)
	for i := range uint32(4) {
		if offer, _ := newClient(t, s, macOf(i)).send(dhcpv4.MessageTypeDiscover); offer != nil && offer.YourIPAddr.Equal(net.IP(server.AsSlice())) {
			t.Errorf("client %d was offered the address of the server", i)
		}
	}
}
