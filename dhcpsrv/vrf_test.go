package dhcpsrv_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/gomaas/maas/dhcpsrv"
)

// tenants is one prefix of each family in the global routing domain and in two VRFs, behind relays.
func tenants() (snap dhcpsrv.Snapshot) {
	for _, vrf := range []string{"", "red", "00005e:0000002a"} {
		snap.Subnets = append(snap.Subnets, dhcpsrv.Subnet{
			Name: "four" + vrf, VRF: vrf, Prefix: netip.MustParsePrefix("10.0.0.0/24"), Server: ip("10.0.0.1"),
			Pools: []dhcpsrv.Pool{{First: ip("10.0.0.100"), Last: ip("10.0.0.101")}},
		}, dhcpsrv.Subnet{
			Name: "six" + vrf, VRF: vrf, Prefix: netip.MustParsePrefix("2001:db8::/64"), Server: ip("2001:db8::1"),
			Pools:    []dhcpsrv.Pool{{First: ip("2001:db8::100"), Last: ip("2001:db8::101")}},
			Delegate: []dhcpsrv.PrefixPool{{Prefix: netip.MustParsePrefix("2001:db8:f000::/63"), Length: 64}},
		})
	}
	return snap
}

// relayed is option 82 of the relay 10.0.0.254 with suboptions.
func relayed(sub ...string) dhcpv4.Modifier {
	return func(m *dhcpv4.DHCPv4) {
		dhcpv4.WithRelay(net.IP{10, 0, 0, 254})(m)
		m.UpdateOption(dhcpv4.Option{Code: dhcpv4.OptionRelayAgentInformation, Value: dhcpv4.OptionGeneric{Data: []byte(strings.Join(sub, ""))}})
	}
}

func sub(code byte, value string) string { return string([]byte{code, byte(len(value))}) + value }

const (
	vssRed = "\x00red"
	vssVPN = "\x01\x00\x00\x5e\x00\x00\x00\x2a"
)

func TestVRFsAreServedApart(t *testing.T) {
	var events []dhcpsrv.Event
	path := filepath.Join(t.TempDir(), "leases")
	store := openJournal(t, path)
	cfg := dhcpsrv.Config{Store: store, Events: func(e dhcpsrv.Event) { events = append(events, e) }}
	s := newServer(t, cfg, tenants())
	for _, tt := range []struct{ name, vss, vrf string }{
		{"global", "", ""}, {"red", vssRed, "red"}, {"VPN identifier", vssVPN, "00005e:0000002a"},
	} {
		// The same two clients, and so the same two addresses, in each.
		got := map[netip.Addr]string{}
		for _, mac := range []net.HardwareAddr{mac1, mac2} {
			agent := sub(1, "port 7")
			if tt.vss != "" {
				agent = sub(152, "") + sub(151, tt.vss) + agent
			}
			c := newClient(t, s, mac, relayed(agent))
			a := c.dora()
			got[a] = mac.String()
			m, _ := c.send(dhcpv4.MessageTypeRequest, withCIAddr(a))
			if v, want := m.Options.Get(dhcpv4.OptionRelayAgentInformation), agent[min(2, len(agent))*min(1, len(tt.vss)):]; string(v) != want {
				t.Errorf("%s: option 82 returns as %q, want %q", tt.name, v, want)
			}
			if l, ok := s.VRF(tt.vrf).Lookup(a); !ok || l.MAC.String() != mac.String() || l.VRF != tt.vrf || l.Subnet != "four"+tt.vrf || string(l.CircuitID) != "port 7" {
				t.Errorf("%s: lease %+v, %v", tt.name, l, ok)
			}
			if e := events[len(events)-1]; e.Lease.VRF != tt.vrf {
				t.Errorf("%s: event %+v", tt.name, e)
			}
			x := s.Explain(t.Context(), dhcpsrv.Packet{Data: c.packet(dhcpv4.MessageTypeDiscover).ToBytes(), Link: "eth0"})
			if x.VRF != tt.vrf || x.Subnet != "four"+tt.vrf || x.Addr != a {
				t.Errorf("%s: explained %+v", tt.name, x)
			}
		}
		if len(got) != 2 {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	count := func(s *dhcpsrv.Server) (n []int) {
		for _, vrf := range []string{"", "red", "00005e:0000002a", "none"} {
			n = append(n, len(slices.Collect(s.VRF(vrf).Leases(dhcpsrv.LeaseFilter{State: dhcpsrv.Bound}))))
		}
		return append(n, len(slices.Collect(s.Leases(dhcpsrv.LeaseFilter{State: dhcpsrv.Bound}))))
	}
	if got := count(s); !slices.Equal(got, []int{2, 2, 2, 0, 6}) {
		t.Errorf("leases %v", got)
	}
	// One of three leases of an address ends.
	if err := s.VRF("red").Release(t.Context(), ip("10.0.0.100")); err != nil {
		t.Fatal(err)
	}
	if err := s.VRF("none").Release(t.Context(), ip("10.0.0.100")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	again := newServer(t, dhcpsrv.Config{Store: openJournal(t, path)}, tenants())
	if got := count(again); !slices.Equal(got, []int{2, 1, 2, 0, 5}) {
		t.Errorf("leases after a restart %v", got)
	}
	// Without its subnets a VRF keeps its leases, and gets them back with the subnets.
	if err := again.Update(dhcpsrv.Snapshot{}); err != nil {
		t.Fatal(err)
	}
	if m, _ := newClient(t, again, mac1, relayed(sub(151, vssRed))).send(dhcpv4.MessageTypeDiscover); m != nil {
		t.Errorf("without subnets: %v", m)
	}
	if err := again.Update(tenants()); err != nil {
		t.Fatal(err)
	}
	if got := count(again); !slices.Equal(got, []int{2, 1, 2, 0, 5}) {
		t.Errorf("leases after updates %v", got)
	}
}

func TestVRFSelection(t *testing.T) {
	snap := tenants()
	snap.Subnets = append(snap.Subnets, dhcpsrv.Subnet{
		Name: "green", VRF: "green", Prefix: netip.MustParsePrefix("10.0.0.0/24"), Link: "eth7", Server: ip("10.0.0.2"),
		Pools: []dhcpsrv.Pool{{First: ip("10.0.0.100"), Last: ip("10.0.0.199")}},
	})
	s := newServer(t, dhcpsrv.Config{}, snap)
	vss := func(v string) dhcpv4.Modifier { return dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(221), []byte(v)) }
	for name, tt := range map[string]struct {
		link   string
		mods   []dhcpv4.Modifier
		subnet string
		reason string
		echo   string // option 221
	}{
		"no selection":                  {"eth0", []dhcpv4.Modifier{relayed(sub(1, "x"))}, "four", "", ""},
		"the global one":                {"eth0", []dhcpv4.Modifier{relayed(sub(151, "\xff"))}, "four", "", ""},
		"a name with a zero":            {"eth0", []dhcpv4.Modifier{relayed(sub(151, vssRed+"\x00"))}, "fourred", "", ""},
		"a VPN identifier as text":      {"eth0", []dhcpv4.Modifier{relayed(sub(151, "\x0000005e:0000002a"))}, "four00005e:0000002a", "", ""},
		"an unknown name":               {"eth0", []dhcpv4.Modifier{relayed(sub(151, "\x00blue"))}, "", "unknown-vrf", ""},
		"an unknown VPN":                {"eth0", []dhcpv4.Modifier{relayed(sub(151, "\x01\x00\x00\x5e\x00\x00\x00\x2b"))}, "", "unknown-vrf", ""},
		"an unknown type":               {"eth0", []dhcpv4.Modifier{relayed(sub(151, "\x02red"))}, "", "unknown-vrf", ""},
		"empty":                         {"eth0", []dhcpv4.Modifier{relayed(sub(151, ""))}, "", "unknown-vrf", ""},
		"a client's":                    {"eth0", []dhcpv4.Modifier{relayed(sub(1, "x")), vss(vssRed)}, "fourred", "", vssRed},
		"a client's beside a relay's":   {"eth0", []dhcpv4.Modifier{relayed(sub(151, vssVPN)), vss(vssRed)}, "four00005e:0000002a", "", ""},
		"an unknown one of a client":    {"eth0", []dhcpv4.Modifier{relayed(sub(1, "x")), vss("\x00blue")}, "", "unknown-vrf", ""},
		"the link's":                    {"eth7", nil, "green", "", ""},
		"a client's against the link":   {"eth7", []dhcpv4.Modifier{vss(vssRed)}, "", "elsewhere", ""},
		"a relay's against the link":    {"eth7", []dhcpv4.Modifier{relayed(sub(151, vssRed))}, "", "elsewhere", ""},
		"a relay's like the link's":     {"eth7", []dhcpv4.Modifier{relayed(sub(151, "\x00green"))}, "green", "", ""},
		"a local one from another link": {"eth0", []dhcpv4.Modifier{relayed(sub(151, "\x00green"))}, "green", "", ""},
	} {
		c := newClient(t, s, mac1, tt.mods...)
		c.link = tt.link
		p := dhcpsrv.Packet{Data: c.packet(dhcpv4.MessageTypeDiscover).ToBytes(), Link: tt.link}
		x := s.Explain(t.Context(), p)
		if reason := x.Reason.String(); x.Subnet != tt.subnet || tt.reason != "" && reason != tt.reason {
			t.Errorf("%s: subnet %q, reason %s", name, x.Subnet, reason)
		}
		m, _ := c.send(dhcpv4.MessageTypeDiscover)
		if (m != nil) != (tt.subnet != "") {
			t.Errorf("%s: answer %v", name, m)
		} else if m != nil && string(m.Options.Get(dhcpv4.GenericOptionCode(221))) != tt.echo {
			t.Errorf("%s: option 221 is %q", name, m.Options.Get(dhcpv4.GenericOptionCode(221)))
		}
	}
	if n := s.Stats().Reasons["unknown-vrf"]; n != 5 {
		t.Errorf("%d packets of unknown VRFs", n)
	}
}

func TestVRFsOfIPv6(t *testing.T) {
	s := newServer(t, dhcpsrv.Config{}, tenants())
	for _, tt := range []struct {
		name, vrf            string
		inner, outer, client string
		silent               bool
	}{
		{name: "global"}, {name: "the relay's", vrf: "red", inner: vssRed}, {name: "the outer relay's", vrf: "red", outer: vssRed},
		{name: "the inner one first", vrf: "red", inner: vssRed, outer: vssVPN}, {name: "the client's", vrf: "red", client: vssRed},
		{name: "the relay's first", vrf: "00005e:0000002a", inner: vssVPN, client: vssRed}, {name: "unknown", inner: "\x00blue", silent: true},
	} {
		c := newClient6(t, s, "02:00:00:00:00:01")
		var opts []dhcpv6.Option
		vss := func(v string) dhcpv6.Option {
			return &dhcpv6.OptionGeneric{OptionCode: 68, OptionData: []byte(v)}
		}
		if tt.client != "" {
			opts = append(opts, vss(tt.client))
		}
		c.wrap = func(m *dhcpv6.Message) dhcpv6.DHCPv6 {
			inner, err := dhcpv6.EncapsulateRelay(m, dhcpv6.MessageTypeRelayForward, net.ParseIP("2001:db8::fe"), net.ParseIP("fe80::5"))
			if err != nil {
				t.Fatal(err)
			}
			if tt.inner != "" {
				inner.AddOption(vss(tt.inner))
			}
			outer, err := dhcpv6.EncapsulateRelay(inner, dhcpv6.MessageTypeRelayForward, net.IPv6unspecified, net.ParseIP("fe80::6"))
			if err != nil {
				t.Fatal(err)
			}
			if tt.outer != "" {
				outer.AddOption(vss(tt.outer))
			}
			return outer
		}
		if tt.silent {
			if m := c.send(dhcpv6.MessageTypeSolicit, append(opts, ia(1))...); m != nil {
				t.Errorf("%s: %v", tt.name, m)
			}
			continue
		}
		adv := c.send(dhcpv6.MessageTypeSolicit, append(opts, ia(1), pd(1))...)
		p := c.packet(dhcpv6.MessageTypeRequest, append(opts, ia(1, addrs(adv)...), pd(1), dhcpv6.OptServerID(adv.Options.ServerID()))...)
		r, ok := s.Handle6(t.Context(), p)
		m, err := dhcpv6.FromBytes(r.Data)
		if !ok || err != nil {
			t.Fatalf("%s: %v, %v", tt.name, ok, err)
		}
		outer := m.(*dhcpv6.RelayMessage)
		inner := outer.Options.RelayMessage().(*dhcpv6.RelayMessage)
		msg := inner.Options.RelayMessage().(*dhcpv6.Message)
		echo := func(o dhcpv6.Option) string {
			if o == nil {
				return ""
			}
			return string(o.ToBytes())
		}
		got := []string{echo(msg.GetOneOption(68)), echo(inner.GetOneOption(68)), echo(outer.GetOneOption(68))}
		want := []string{tt.client, tt.inner, tt.outer}
		if tt.inner != "" { // only what was used is returned
			want[0], want[2] = "", ""
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: returns %q, want %q", tt.name, got, want)
		}
		prefixes, _ := delegations(msg)
		for _, a := range []netip.Addr{ip(addrs(msg)[0]), netip.MustParsePrefix(prefixes[0]).Addr()} {
			if l, ok := s.VRF(tt.vrf).Lookup(a); !ok || l.VRF != tt.vrf || l.Subnet != "six"+tt.vrf {
				t.Errorf("%s: lease %+v", tt.name, l)
			}
		}
	}
}

// A reservation is of one VRF, by itself or by its subnet.
func TestVRFReservations(t *testing.T) {
	snap := tenants()
	at := func(name, vrf, subnet, a string) dhcpsrv.Reservation {
		return dhcpsrv.Reservation{Name: name, VRF: vrf, Subnet: subnet, MAC: mac1, Addr: ip(a)}
	}
	snap.Reservations = []dhcpsrv.Reservation{at("global", "", "", "10.0.0.50"), at("red", "red", "", "10.0.0.50"), at("by subnet", "", "four00005e:0000002a", "10.0.0.60")}
	s := newServer(t, dhcpsrv.Config{}, snap)
	got := func(agent string) string {
		t.Helper()
		m, _ := newClient(t, s, mac1, relayed(agent)).send(dhcpv4.MessageTypeDiscover)
		return m.YourIPAddr.String()
	}
	expect := func(step string, want ...string) {
		t.Helper()
		for i, agent := range []string{sub(1, "x"), sub(151, vssRed), sub(151, vssVPN)} {
			if a := got(agent); a != want[i] {
				t.Errorf("%s: %s in VRF %d, want %s", step, a, i, want[i])
			}
		}
	}
	expect("snapshot", "10.0.0.50", "10.0.0.50", "10.0.0.60")
	if err := s.Reserve(at("moved", "red", "", "10.0.0.70"), at("moved", "", "four00005e:0000002a", "10.0.0.80")); err != nil {
		t.Fatal(err)
	}
	expect("reserved", "10.0.0.50", "10.0.0.70", "10.0.0.80")
	// All or nothing, across VRFs.
	if err := s.Reserve(at("fine", "", "", "10.0.0.51"), at("bad", "red", "", "10.9.9.9")); err == nil {
		t.Error("reserved an address of no subnet")
	}
	if err := s.Reserve(at("bad", "blue", "", "10.0.0.51")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reserved in an unknown VRF: %v", err)
	}
	expect("refused", "10.0.0.50", "10.0.0.70", "10.0.0.80")
	if err := s.SetSubnet(func() dhcpsrv.Subnet { c := snap.Subnets[2]; c.LeaseTime = time.Hour; return c }()); err != nil {
		t.Fatal(err)
	}
	moved := snap.Subnets[4]
	moved.VRF = "violet"
	if err := s.SetSubnet(moved); err != nil {
		t.Fatal(err)
	}
	m, _ := newClient(t, s, mac1, relayed(sub(151, "\x00violet"))).send(dhcpv4.MessageTypeDiscover)
	if m == nil || m.YourIPAddr.String() != "10.0.0.80" {
		t.Errorf("the reservation did not follow its subnet: %v", m)
	}
	if err := s.Unreserve(dhcpsrv.Reservation{VRF: "red", MAC: mac1}); err != nil {
		t.Fatal(err)
	}
	if a := got(sub(151, vssRed)); a == "10.0.0.70" {
		t.Error("the reservation stays")
	}
	if a := got(sub(1, "x")); a != "10.0.0.50" {
		t.Errorf("the one of another VRF went: %s", a)
	}
}

func TestVRFsRefuse(t *testing.T) {
	for want, change := range map[string]func(*dhcpsrv.Snapshot){
		"two subnets have this name":            func(s *dhcpsrv.Snapshot) { s.Subnets[2].Name = "four" },
		"overlaps 10.0.0.0/24":                  func(s *dhcpsrv.Snapshot) { s.Subnets[2].VRF = "" },
		`link "eth0" already belongs to VRF ""`: func(s *dhcpsrv.Snapshot) { s.Subnets[0].Link, s.Subnets[2].Link = "eth0", "eth0" },
		"printable ASCII":                       func(s *dhcpsrv.Snapshot) { s.Subnets[2].VRF = "röd" },
		"write up to 254":                       func(s *dhcpsrv.Snapshot) { s.Subnets[2].VRF = strings.Repeat("r", 255) },
		`is in VRF "red", not in "blue"`: func(s *dhcpsrv.Snapshot) {
			s.Reservations = []dhcpsrv.Reservation{{MAC: mac1, Subnet: "fourred", VRF: "blue"}}
		},
		`no subnet is in VRF "blue"`: func(s *dhcpsrv.Snapshot) { s.Reservations = []dhcpsrv.Reservation{{MAC: mac1, VRF: "blue"}} },
		"delegated prefixes": func(s *dhcpsrv.Snapshot) {
			s.Subnets[3].Delegate = append(s.Subnets[3].Delegate, s.Subnets[3].Delegate...)
		},
	} {
		snap := tenants()
		s := newServer(t, dhcpsrv.Config{}, snap)
		change(&snap)
		if err := s.Update(snap); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// The host of the server can ask only in networks that it is on, and in the global routing domain.
func TestVRFProbes(t *testing.T) {
	snap := tenants()
	for i, vrf := range []string{"green", "green"} {
		c := snap.Subnets[i]
		c.Name, c.VRF, c.Link = c.Name+vrf, vrf, "eth7"
		snap.Subnets = append(snap.Subnets, c)
	}
	var asked []string
	s := newServer(t, dhcpsrv.Config{ProbeAhead: -1, Prober: dhcpsrv.ProberFunc(func(_ context.Context, link string, a netip.Addr) (bool, error) {
		asked = append(asked, link)
		return false, nil
	})}, snap)
	for _, agent := range []string{sub(1, "x"), sub(151, vssRed)} {
		newClient(t, s, mac1, relayed(agent)).dora()
	}
	c := newClient(t, s, mac1)
	c.link = "eth7"
	c.dora()
	if !slices.Equal(asked, []string{"", "eth7"}) {
		t.Errorf("asked on links %q", asked)
	}
}

// Records of journals from before VRFs are of the global routing domain.
func TestOldRecords(t *testing.T) {
	l := dhcpsrv.Lease{Addr: ip("10.0.0.9"), State: dhcpsrv.Bound, MAC: mac1, Subnet: "four", Start: time.Unix(1, 0), Changed: time.Unix(1, 0), End: time.Unix(9, 0)}
	old, err := l.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	l.VRF = "red"
	fresh, _ := l.AppendBinary(nil)
	for vrf, data := range map[string][]byte{"": old, "red": fresh} {
		var got dhcpsrv.Lease
		if err := got.UnmarshalBinary(data); err != nil || got.VRF != vrf || got.Addr != l.Addr || got.State != l.State || !bytes.Equal(got.MAC, l.MAC) {
			t.Errorf("%q: %+v, %v", vrf, got, err)
		}
	}
	if n := len(fresh) - len(old); n != len("red")+1 {
		t.Errorf("the record of a VRF is %d bytes longer", n)
	}
}
