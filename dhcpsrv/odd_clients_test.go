package dhcpsrv_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/gomaas/maas/dhcpsrv"
)

// from hands a message to the server as if it came from an address.
func (c *client) from(src, dst string, m *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, dhcpsrv.Reply) {
	c.t.Helper()
	p := dhcpsrv.Packet{Data: m.ToBytes(), Link: c.link, Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddr(dst)}
	r, ok := c.s.Handle(context.Background(), p)
	if !ok {
		return nil, r
	}
	answer, err := dhcpv4.FromBytes(r.Data)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer, r
}

// A client answers at ciaddr only when it has that address. Whatever else it puts there, its reply goes to yiaddr by its link
// address, or to all.
func TestWhereRepliesGo(t *testing.T) {
	const all, held, other = "255.255.255.255", "192.0.2.100", "203.0.113.9"
	for _, tt := range []struct {
		name      string
		kind      dhcpv4.MessageType
		ciaddr    string
		src, dst  string
		server    bool // names the server
		wanted    bool // names the address in option 50
		broadcast bool
		to        string // "" = by the link address
		link      string
	}{
		{"DISCOVER", dhcpv4.MessageTypeDiscover, held, "0.0.0.0:68", all, false, false, false, "", "eth0"},
		{"DISCOVER of another network", dhcpv4.MessageTypeDiscover, other, "0.0.0.0:68", all, false, false, false, "", "eth0"},
		{"DISCOVER, broadcast", dhcpv4.MessageTypeDiscover, held, "0.0.0.0:68", all, false, false, true, all, "eth0"},
		{"SELECTING", dhcpv4.MessageTypeRequest, held, "0.0.0.0:68", all, true, true, false, "", "eth0"},
		{"SELECTING without option 50", dhcpv4.MessageTypeRequest, held, "0.0.0.0:68", all, true, false, false, "", "eth0"},
		{"SELECTING of another network", dhcpv4.MessageTypeRequest, other, "0.0.0.0:68", all, true, true, false, "", "eth0"},
		{"INIT-REBOOT", dhcpv4.MessageTypeRequest, held, "0.0.0.0:68", all, false, true, false, "", "eth0"},
		{"INIT-REBOOT, broadcast", dhcpv4.MessageTypeRequest, held, "0.0.0.0:68", all, false, true, true, all, "eth0"},
		{"a renewal of a client that lost its address", dhcpv4.MessageTypeRequest, held, "0.0.0.0:68", all, false, false, false, "", "eth0"},
		{"RENEWING", dhcpv4.MessageTypeRequest, held, held + ":68", "192.0.2.1", false, false, false, held, "eth0"},
		{"REBINDING", dhcpv4.MessageTypeRequest, held, held + ":68", all, false, false, false, held, "eth0"},
		{"RENEWING that names the server", dhcpv4.MessageTypeRequest, held, held + ":68", "192.0.2.1", true, false, false, held, "eth0"},
		{"INFORM", dhcpv4.MessageTypeInform, held, held + ":68", all, false, false, false, held, "eth0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, dhcpsrv.Config{}, office())
			c := newClient(t, s, mac1)
			lease := c.dora()
			if lease.String() != held { // the address of the table is the one that the client gets
				tt.ciaddr, tt.src = strings.Replace(tt.ciaddr, held, lease.String(), 1), strings.Replace(tt.src, held, lease.String(), 1)
				tt.to = strings.Replace(tt.to, held, lease.String(), 1)
			}
			var mods []dhcpv4.Modifier
			if tt.server {
				mods = append(mods, withServer(net.IP{192, 0, 2, 1}))
			}
			if tt.wanted {
				mods = append(mods, withWanted(lease.AsSlice()))
			}
			m := c.packet(tt.kind, append(mods, dhcpv4.WithBroadcast(tt.broadcast))...)
			m.ClientIPAddr = net.ParseIP(tt.ciaddr)
			answer, r := c.from(tt.src, tt.dst, m)
			if answer == nil || answer.MessageType() == dhcpv4.MessageTypeNak {
				t.Fatalf("answered %v", answer)
			}
			got, hw := r.Dst.Addr().String(), r.HW.String()
			switch {
			case r.Link != tt.link:
				t.Errorf("leaves on %q, want %q", r.Link, tt.link)
			case tt.to == "" && (hw != mac1.String() || got != lease.String()):
				t.Errorf("goes to %s, link address %q; want %v at %v", got, hw, lease, mac1)
			case tt.to != "" && (hw != "" || got != tt.to):
				t.Errorf("goes to %s, link address %q; want %s", got, hw, tt.to)
			}
		})
	}
}

// A ciaddr that the client does not hold selects no subnet either: the client is where its packet came from.
func TestForeignCIAddrSelectsNoSubnet(t *testing.T) {
	snap := office()
	snap.Subnets[1].Link, snap.Subnets[1].Server = "eth1", ip("198.51.100.2")
	s := newServer(t, dhcpsrv.Config{}, snap)
	c := newClient(t, s, mac1)
	c.link = "eth1"
	m := c.packet(dhcpv4.MessageTypeDiscover)
	m.ClientIPAddr = net.IP{192, 0, 2, 100} // of eth0
	if answer, _ := c.from("0.0.0.0:68", "255.255.255.255", m); answer == nil || !netip.MustParsePrefix("198.51.100.0/24").Contains(ip(answer.YourIPAddr.String())) {
		t.Errorf("answered %v", answer)
	}
}

// Option 118 selects the subnet before the interface and the relay's address, but not before link selection by a relay, and
// comes back as it was.
func TestSubnetSelectionOption(t *testing.T) {
	far, near := []byte{198, 51, 100, 77}, []byte{192, 0, 2, 0}
	relay := dhcpv4.WithRelay(net.IP{192, 0, 2, 254})
	linkSelection := dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(5), near)))
	for _, tt := range []struct {
		name   string
		choose []byte
		mods   []dhcpv4.Modifier
		want   string // prefix; "" = silence
	}{
		{"on a link", far, nil, "198.51.100.0/24"},
		{"its own link", near, nil, "192.0.2.0/24"},
		{"behind a relay", far, []dhcpv4.Modifier{relay}, "198.51.100.0/24"},
		{"the relay selects another", far, []dhcpv4.Modifier{relay, linkSelection}, "192.0.2.0/24"},
		{"no subnet has it", []byte{203, 0, 113, 1}, nil, ""},
		{"all zeros select nothing", []byte{0, 0, 0, 0}, nil, "192.0.2.0/24"},
		{"short", []byte{198, 51, 100}, nil, "192.0.2.0/24"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient(t, newServer(t, dhcpsrv.Config{}, office()), mac1, append(tt.mods, dhcpv4.WithGeneric(dhcpv4.OptionSubnetSelection, tt.choose))...)
			m, _ := c.send(dhcpv4.MessageTypeDiscover)
			if m == nil || tt.want == "" {
				if m != nil || tt.want != "" {
					t.Fatalf("answered %v, want an address of %q", m, tt.want)
				}
				return
			}
			if !netip.MustParsePrefix(tt.want).Contains(ip(m.YourIPAddr.String())) {
				t.Errorf("offered %v, want one of %s", m.YourIPAddr, tt.want)
			}
			valid := len(tt.choose) == 4 && tt.choose[0] != 0
			if got := m.Options.Get(dhcpv4.OptionSubnetSelection); valid && !bytes.Equal(got, tt.choose) {
				t.Errorf("comes back as %v", got)
			}
		})
	}
}

// A relay whose address is in no subnet is bound to one by the snapshot.
func TestRelaysOfASubnet(t *testing.T) {
	snap := office()
	snap.Subnets[1].Relays = []netip.Addr{ip("127.0.0.1"), ip("192.0.2.254")}
	c := newClient(t, newServer(t, dhcpsrv.Config{}, snap), mac1)
	for relay, want := range map[string]string{"127.0.0.1": "198.51.100.0/24", "192.0.2.254": "198.51.100.0/24", "192.0.2.253": "192.0.2.0/24"} {
		m, r := c.send(dhcpv4.MessageTypeDiscover, dhcpv4.WithRelay(net.ParseIP(relay)))
		if m == nil || !netip.MustParsePrefix(want).Contains(ip(m.YourIPAddr.String())) || r.Dst.Addr() != ip(relay) {
			t.Errorf("behind %s: %v to %v, want one of %s", relay, m, r.Dst, want)
		}
	}
	for name, change := range map[string]func(*dhcpsrv.Snapshot){
		"relay 127.0.0.1 already belongs to subnet": func(s *dhcpsrv.Snapshot) { s.Subnets[0].Relays = []netip.Addr{ip("127.0.0.1")} },
		"relay fe80::1 is not an IPv4 address":      func(s *dhcpsrv.Snapshot) { s.Subnets[0].Relays = []netip.Addr{ip("fe80::1")} },
		"relay 0.0.0.0 is not an IPv4 address":      func(s *dhcpsrv.Snapshot) { s.Subnets[0].Relays = []netip.Addr{netip.IPv4Unspecified()} },
	} {
		bad := office()
		bad.Subnets[1].Relays = []netip.Addr{ip("127.0.0.1")}
		change(&bad)
		if err := c.s.Update(bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a relay says of the link in DHCPv6: a link-local address says nothing, and a subnet may name its relays.
func TestLinkAddress6(t *testing.T) {
	snap := office6()
	snap.Subnets[1].Relays = []netip.Addr{ip("2001:db8:99::1"), ip("2001:db8:1::253")}
	snap.Subnets = append(snap.Subnets, dhcpsrv.Subnet{
		Name: "other6", Prefix: netip.MustParsePrefix("2001:db8:3::/64"), Link: "eth1", Server: ip("2001:db8:3::1"),
		Pools: []dhcpsrv.Pool{{First: ip("2001:db8:3::100"), Last: ip("2001:db8:3::107")}},
	})
	for _, tt := range []struct {
		name  string
		links []string // of the relays, the outermost first
		src   string
		want  string // prefix; "" = silence
	}{
		{"global", []string{"2001:db8:1::5"}, "2001:db8:1::5", "2001:db8:1::/64"},
		{"unspecified inside", []string{"2001:db8:1::5", "::"}, "2001:db8:1::5", "2001:db8:1::/64"},
		{"link-local inside", []string{"2001:db8:1::5", "fe80::5"}, "2001:db8:1::5", "2001:db8:1::/64"},
		{"link-local alone", []string{"fe80::5"}, "2001:db8:77::5", "2001:db8:1::/64"},
		{"a relay of the subnet by its link address", []string{"2001:db8:99::1"}, "2001:db8:99::1", "2001:db8:2::/64"},
		{"a relay of the subnet by its source", []string{"fe80::5"}, "2001:db8:1::253", "2001:db8:2::/64"},
		{"unknown", []string{"2001:db8:77::5"}, "2001:db8:77::5", ""},
		{"local on another link", []string{"2001:db8:3::5"}, "2001:db8:1::5", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClient6(t, newServer(t, dhcpsrv.Config{}, snap), mac1.String())
			c.wrap = func(m *dhcpv6.Message) dhcpv6.DHCPv6 {
				var d dhcpv6.DHCPv6 = m
				for _, link := range slices.Backward(tt.links) {
					r, err := dhcpv6.EncapsulateRelay(d, dhcpv6.MessageTypeRelayForward, net.ParseIP(link), net.ParseIP("fe80::9"))
					if err != nil {
						t.Fatal(err)
					}
					d = r
				}
				return d
			}
			p := c.packet(dhcpv6.MessageTypeSolicit, ia(1))
			p.Link, p.Src = "eth0", netip.AddrPortFrom(ip(tt.src), 547)
			r, ok := c.s.Handle6(t.Context(), p)
			if ok != (tt.want != "") {
				t.Fatalf("answered %t", ok)
			}
			if !ok {
				return
			}
			d, err := dhcpv6.FromBytes(r.Data)
			if err != nil {
				t.Fatal(err)
			}
			m, err := d.GetInnerMessage()
			if err != nil {
				t.Fatal(err)
			}
			if a := ip(m.Options.OneIANA().Options.OneAddress().IPv6Addr.String()); !netip.MustParsePrefix(tt.want).Contains(a) {
				t.Errorf("offered %v, want one of %s", a, tt.want)
			}
		})
	}
}

// Each identity association comes back, also those of types that are not served; and no client is
// told to prefer a server that gives nothing.
func TestForeignAssociations(t *testing.T) {
	pd := &dhcpv6.OptIAPD{IaId: [4]byte{0, 0, 0, 7}}
	ta := &dhcpv6.OptIATA{IaId: [4]byte{0, 0, 0, 8}}
	for _, tt := range []struct {
		kind    dhcpv6.MessageType
		opts    []dhcpv6.Option
		pd, ta  iana.StatusCode
		prefers bool
	}{
		{dhcpv6.MessageTypeSolicit, []dhcpv6.Option{pd}, iana.StatusNoPrefixAvail, 0, false},
		{dhcpv6.MessageTypeSolicit, []dhcpv6.Option{ta}, 0, iana.StatusNoAddrsAvail, false},
		{dhcpv6.MessageTypeSolicit, []dhcpv6.Option{ia(1), pd, ta}, iana.StatusNoPrefixAvail, iana.StatusNoAddrsAvail, true},
		{dhcpv6.MessageTypeSolicit, nil, 0, 0, false},
		{dhcpv6.MessageTypeRequest, []dhcpv6.Option{ia(1), pd}, iana.StatusNoPrefixAvail, 0, false},
		{dhcpv6.MessageTypeRequest, []dhcpv6.Option{ta}, 0, iana.StatusNoAddrsAvail, false},
		{dhcpv6.MessageTypeRenew, []dhcpv6.Option{ia(1), pd, ta}, iana.StatusNoBinding, iana.StatusNoBinding, false},
		{dhcpv6.MessageTypeRebind, []dhcpv6.Option{pd}, iana.StatusNoBinding, 0, false},
		{dhcpv6.MessageTypeRelease, []dhcpv6.Option{pd}, iana.StatusNoBinding, 0, false},
		{dhcpv6.MessageTypeDecline, []dhcpv6.Option{ta}, 0, iana.StatusNoBinding, false},
	} {
		t.Run(fmt.Sprint(tt.kind, len(tt.opts)), func(t *testing.T) {
			s := newServer(t, dhcpsrv.Config{}, office6())
			c := newClient6(t, s, mac1.String())
			m := c.ask(t, dhcpv6.MessageTypeSolicit, ia(1))
			opts := tt.opts
			if k := tt.kind; k != dhcpv6.MessageTypeSolicit && k != dhcpv6.MessageTypeRebind {
				opts = append(slices.Clone(opts), dhcpv6.OptServerID(m.Options.ServerID()))
			}
			m = c.ask(t, tt.kind, opts...)
			for code, want := range map[dhcpv6.OptionCode]iana.StatusCode{dhcpv6.OptionIAPD: tt.pd, dhcpv6.OptionIATA: tt.ta} {
				o := m.GetOneOption(code)
				if (o != nil) != (want != 0) {
					t.Errorf("%v: %v", code, o)
				} else if o != nil && statusOf(o) != want {
					t.Errorf("%v: status %v, want %v", code, statusOf(o), want)
				}
			}
			if has := m.GetOneOption(dhcpv6.OptionPreference) != nil; has != tt.prefers {
				t.Errorf("preference: %t, want %t", has, tt.prefers)
			}
		})
	}
}

// ask sends a message and returns the answer.
func (c *client6) ask(t *testing.T, kind dhcpv6.MessageType, opts ...dhcpv6.Option) *dhcpv6.Message {
	t.Helper()
	r, ok := c.s.Handle6(t.Context(), c.packet(kind, opts...))
	if !ok {
		t.Fatalf("%v: no answer", kind)
	}
	m, err := dhcpv6.MessageFromBytes(r.Data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// statusOf returns the status in an association.
func statusOf(o dhcpv6.Option) iana.StatusCode {
	switch x := o.(type) {
	case *dhcpv6.OptIAPD:
		return x.Options.Status().StatusCode
	case *dhcpv6.OptIATA:
		return x.Options.Options.GetOne(dhcpv6.OptionStatusCode).(*dhcpv6.OptStatusCode).StatusCode
	}
	return 0
}

// What firmware says of its architecture and of its classes, in all the places and forms.
func TestArchitectureAndClasses(t *testing.T) {
	var asked dhcpsrv.BootQuery
	boot := dhcpsrv.BootSelectorFunc(func(_ context.Context, q dhcpsrv.BootQuery) (dhcpsrv.BootAnswer, bool) {
		asked = q
		asked.Arch, asked.UserClasses = slices.Clone(q.Arch), slices.Clone(q.UserClasses)
		return dhcpsrv.BootAnswer{}, false
	})
	s := newServer(t, dhcpsrv.Config{Boot: boot}, office())
	for _, tt := range []struct {
		class, arch, user string
		want              []uint16
		classes           []string
		ipxe              bool
	}{
		{"PXEClient:Arch:00007:UNDI:003000", "", "", []uint16{7}, nil, false},
		{"PXEClient:Arch:00007:UNDI:003000", "\x00", "", []uint16{7}, nil, false},
		{"PXEClient:Arch:00000:UNDI:002001", "\x00\x07", "", []uint16{7}, nil, false},
		{"HTTPClient:Arch:00016", "", "", []uint16{16}, nil, false},
		{"PXEClient:Arch:xxxxx", "", "", nil, nil, false},
		{"PXEClient:Arch:99999", "", "", nil, nil, false},
		{"PXEClient", "", "", nil, nil, false},
		{"udhcp 1.36", "", "", nil, nil, false},
		{"PXEClient", "", "iPXE", nil, []string{"iPXE"}, true},
		{"PXEClient", "", "\x03foo\x04iPXE", nil, []string{"foo", "iPXE"}, true},
		{"PXEClient", "", "\x04iPXE", nil, []string{"iPXE"}, true},
		{"PXEClient", "", "\x03foo\x09cut", nil, []string{"\x03foo\x09cut"}, false},
		{"PXEClient", "", "text\x00", nil, []string{"text"}, false},
	} {
		mods := []dhcpv4.Modifier{dhcpv4.WithOption(dhcpv4.OptClassIdentifier(tt.class))}
		if tt.arch != "" {
			mods = append(mods, dhcpv4.WithGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte(tt.arch)))
		}
		if tt.user != "" {
			mods = append(mods, dhcpv4.WithGeneric(dhcpv4.OptionUserClassInformation, []byte(tt.user)))
		}
		newClient(t, s, mac1).send(dhcpv4.MessageTypeDiscover, mods...)
		if !slices.Equal(asked.Arch, tt.want) || !slices.Equal(asked.UserClasses, tt.classes) || asked.HasIPXE != tt.ipxe {
			t.Errorf("%q %q %q: architectures %v, classes %q, iPXE %t", tt.class, tt.arch, tt.user, asked.Arch, asked.UserClasses, asked.HasIPXE)
		}
	}
}

// A plain BOOTP client with a reservation is served whatever its vendor area holds.
func TestPlainBOOTP(t *testing.T) {
	snap := office()
	snap.Reservations = []dhcpsrv.Reservation{{MAC: mac1, Addr: ip("192.0.2.50")}}
	s := newServer(t, dhcpsrv.Config{}, snap)
	m, err := dhcpv4.New(dhcpv4.WithHwAddr(mac1))
	if err != nil {
		t.Fatal(err)
	}
	header := m.ToBytes()[:236]
	for name, vendor := range map[string][]byte{
		"none": nil, "zeros": make([]byte, 64), "CMU": append([]byte("CMU\x00"), make([]byte, 60)...), "text": []byte(strings.Repeat("vendor", 10)),
		"a cookie and nothing": {99, 130, 83, 99}, "a cookie and rubbish": {99, 130, 83, 99, 12, 250, 1},
	} {
		r, ok := s.Handle(t.Context(), dhcpsrv.Packet{Data: append(slices.Clone(header), vendor...), Link: "eth0"})
		if !ok {
			t.Errorf("%s: no answer", name)
			continue
		}
		answer, err := dhcpv4.FromBytes(r.Data)
		if err != nil || answer.YourIPAddr.String() != "192.0.2.50" || len(r.Data) < 300 {
			t.Errorf("%s: %v %v in %d bytes", name, answer, err, len(r.Data))
		}
	}
}

// A lease ends only by a message from the network in which it was given: a host of another VLAN cannot forge one.
func TestGivingBackFromElsewhere(t *testing.T) {
	const all = "255.255.255.255"
	for _, tt := range []struct {
		name     string
		kind     dhcpv4.MessageType
		behind   string // relay of the lease; "" = on eth0
		link     string
		src, dst string
		relay    string
		ends     bool
	}{
		{"release on the link", dhcpv4.MessageTypeRelease, "", "eth0", "LEASE:68", "192.0.2.1", "", true},
		{"release of another VLAN", dhcpv4.MessageTypeRelease, "", "eth1", "203.0.113.66:68", "192.0.2.1", "", false},
		{"release of another VLAN with its source forged", dhcpv4.MessageTypeRelease, "", "eth1", "LEASE:68", "192.0.2.1", "", false},
		{"decline on the link", dhcpv4.MessageTypeDecline, "", "eth0", "0.0.0.0:68", all, "", true},
		{"decline of another VLAN", dhcpv4.MessageTypeDecline, "", "eth1", "0.0.0.0:68", all, "", false},
		{"release behind a relay, by routes", dhcpv4.MessageTypeRelease, "198.51.100.1", "eth0", "LEASE:68", "192.0.2.1", "", true},
		{"release behind a relay, of another host", dhcpv4.MessageTypeRelease, "198.51.100.1", "eth0", "192.0.2.66:68", "192.0.2.1", "", false},
		{"decline through the relay", dhcpv4.MessageTypeDecline, "198.51.100.1", "eth0", "198.51.100.1:67", "192.0.2.1", "198.51.100.1", true},
		{"decline of a lease behind a relay, on the link", dhcpv4.MessageTypeDecline, "198.51.100.1", "eth0", "0.0.0.0:68", all, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			snap := office()
			snap.Subnets = append(snap.Subnets, dhcpsrv.Subnet{
				Name: "other", Prefix: netip.MustParsePrefix("203.0.113.0/24"), Link: "eth1", Server: ip("203.0.113.1"),
				Pools: []dhcpsrv.Pool{{First: ip("203.0.113.10"), Last: ip("203.0.113.19")}},
			})
			s := newServer(t, dhcpsrv.Config{}, snap)
			c := newClient(t, s, mac1)
			if tt.behind != "" {
				c.mods = []dhcpv4.Modifier{dhcpv4.WithRelay(net.ParseIP(tt.behind))}
			}
			lease := c.dora()
			c.mods, c.link = nil, tt.link
			m := c.packet(tt.kind, withServer(net.IP{192, 0, 2, 1}))
			if tt.relay != "" {
				m.GatewayIPAddr = net.ParseIP(tt.relay)
			}
			if tt.kind == dhcpv4.MessageTypeRelease {
				m.ClientIPAddr = lease.AsSlice()
			} else {
				m.UpdateOption(dhcpv4.OptRequestedIPAddress(lease.AsSlice()))
			}
			c.from(strings.Replace(tt.src, "LEASE", lease.String(), 1), tt.dst, m)
			if _, bound := s.Lookup(lease); bound == tt.ends {
				t.Errorf("bound afterwards: %t", bound)
			}
		})
	}
}

// A host cannot pose as a relay of another VLAN: a local subnet is served on its own link, or through a relay that the snapshot
// names.
func TestRelaysFromElsewhere(t *testing.T) {
	near := dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(5), []byte{192, 0, 2, 0})
	for _, tt := range []struct {
		name, link string
		mods       []dhcpv4.Modifier
		relays     []netip.Addr // of the subnet on eth0
		want       string
	}{
		{"its own link", "eth0", []dhcpv4.Modifier{dhcpv4.WithRelay(net.IP{192, 0, 2, 254})}, nil, "192.0.2.0/24"},
		{"a relay address of another VLAN", "eth1", []dhcpv4.Modifier{dhcpv4.WithRelay(net.IP{192, 0, 2, 254})}, nil, ""},
		{"link selection of another VLAN", "eth1", []dhcpv4.Modifier{dhcpv4.WithRelay(net.IP{203, 0, 113, 66}), dhcpv4.WithOption(dhcpv4.OptRelayAgentInfo(near))}, nil, ""},
		{"subnet selection of another VLAN", "eth1", []dhcpv4.Modifier{dhcpv4.WithGeneric(dhcpv4.OptionSubnetSelection, []byte{192, 0, 2, 0})}, nil, ""},
		{"a relay that the snapshot names", "eth1", []dhcpv4.Modifier{dhcpv4.WithRelay(net.IP{203, 0, 113, 254})}, []netip.Addr{ip("203.0.113.254")}, "192.0.2.0/24"},
		{"a relayed subnet", "eth1", []dhcpv4.Modifier{dhcpv4.WithRelay(net.IP{198, 51, 100, 1})}, nil, "198.51.100.0/24"},
		{"a link without subnets", "uplink", []dhcpv4.Modifier{dhcpv4.WithRelay(net.IP{192, 0, 2, 254})}, nil, "192.0.2.0/24"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			snap := office()
			snap.Subnets[0].Relays = tt.relays
			snap.Subnets = append(snap.Subnets, dhcpsrv.Subnet{
				Name: "other", Prefix: netip.MustParsePrefix("203.0.113.0/24"), Link: "eth1", Server: ip("203.0.113.1"),
				Pools: []dhcpsrv.Pool{{First: ip("203.0.113.10"), Last: ip("203.0.113.19")}},
			})
			s := newServer(t, dhcpsrv.Config{}, snap)
			c := newClient(t, s, mac1)
			c.link = tt.link
			m, _ := c.send(dhcpv4.MessageTypeDiscover, tt.mods...)
			if (m != nil) != (tt.want != "") || m != nil && !netip.MustParsePrefix(tt.want).Contains(ip(m.YourIPAddr.String())) {
				t.Errorf("answered %v, want an address of %q", m, tt.want)
			}
			if tt.want == "" && s.Stats().Reasons["elsewhere"] != 1 {
				t.Errorf("reasons %v", s.Stats().Reasons)
			}
		})
	}
}

// Clients keep at most a quarter of a pool out of use by declining: the address that was declined first is given out again.
func TestDeclinesAreBounded(t *testing.T) {
	var mu sync.Mutex
	states := map[string]dhcpsrv.EventKind{}
	s := newServer(t, dhcpsrv.Config{Events: func(e dhcpsrv.Event) {
		mu.Lock()
		defer mu.Unlock()
		states[e.Lease.Addr.String()] = e.Kind
	}}, office()) // a pool of ten
	var declined []netip.Addr
	for i := range byte(8) {
		c := newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 9, i})
		a := c.dora()
		declined = append(declined, a)
		m := c.packet(dhcpv4.MessageTypeDecline, withServer(net.IP{192, 0, 2, 1}), withWanted(a.AsSlice()))
		c.from("0.0.0.0:68", "255.255.255.255", m)
	}
	newClient(t, s, mac1).dora() // what ended is expired with the next packet
	out := 0
	for l := range s.Leases() {
		if l.State == dhcpsrv.Declined {
			out++
		}
	}
	if out > 3 {
		t.Errorf("%d of 10 addresses are out of use after 8 declines", out)
	}
	last := declined[len(declined)-1]
	if l, bound := s.Lookup(last); bound {
		t.Errorf("the address declined last is given out: %+v", l)
	}
	mu.Lock()
	defer mu.Unlock()
	if states[last.String()] != dhcpsrv.ClientDeclined {
		t.Errorf("the last event of %v is %v", last, states[last.String()])
	}
}

// When nothing else is left, the declined address that would be free first is probed again: it is given
// out if it does not answer, and stays out of use if it does.
func TestDeclinedAddressIsProbedAgain(t *testing.T) {
	snap := office()
	snap.Subnets[0].Pools = []dhcpsrv.Pool{{First: ip("192.0.2.100"), Last: ip("192.0.2.101")}}
	var mu sync.Mutex
	taken, probes := map[string]bool{"192.0.2.100": true, "192.0.2.101": true}, 0
	answers := func(a string, is bool) {
		mu.Lock()
		defer mu.Unlock()
		taken[a], probes = is, 0
	}
	prober := dhcpsrv.ProberFunc(func(_ context.Context, _ string, a netip.Addr) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		probes++
		return taken[a.String()], nil
	})
	s := newServer(t, dhcpsrv.Config{Prober: prober}, snap)
	discover := func(mac byte) bool {
		c := newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 8, mac})
		offer, _ := c.send(dhcpv4.MessageTypeDiscover)
		return offer != nil
	}
	if discover(1) {
		t.Error("an address that answers is offered")
	}
	answers("192.0.2.100", true)
	if discover(2) {
		t.Error("a declined address that still answers is offered")
	}
	mu.Lock()
	if probes == 0 || probes > 3 {
		t.Errorf("%d probes", probes)
	}
	mu.Unlock()
	answers("192.0.2.101", false)
	if a := newClient(t, s, mac1).dora(); a.String() != "192.0.2.101" {
		t.Errorf("got %v", a)
	}
	if discover(3) {
		t.Error("an address is offered although one is leased and the other answers")
	}

	// Without a prober a declined address waits for the end of its time.
	s = newServer(t, dhcpsrv.Config{}, snap)
	for i := range byte(2) {
		c := newClient(t, s, net.HardwareAddr{2, 0, 0, 0, 7, i})
		a := c.dora()
		if i == 0 {
			c.from("0.0.0.0:68", "255.255.255.255", c.packet(dhcpv4.MessageTypeDecline, withServer(net.IP{192, 0, 2, 1}), withWanted(a.AsSlice())))
		}
	}
	if offer, _ := newClient(t, s, mac1).send(dhcpv4.MessageTypeDiscover); offer != nil {
		t.Error("a declined address is offered unprobed")
	}
}
