package discovery_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/net/bpf"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/discovery/discoverytest"
)

func TestMACsAsText(t *testing.T) {
	for text, want := range map[string]string{
		"02:00:00:00:00:0A": "02:00:00:00:00:0a", "02-00-00-00-00-0a": "02:00:00:00:00:0a", "0200.0000.000a": "02:00:00:00:00:0a",
		"00:00:00:00:00:00": "",
	} {
		m, err := discovery.ParseMAC(text)
		if err != nil || m.String() != want {
			t.Errorf("%s: %s, %v", text, m, err)
		}
		b, _ := json.Marshal(m)
		var again discovery.MAC
		if err := json.Unmarshal(b, &again); err != nil || again != m {
			t.Errorf("%s became %s: %v", b, again, err)
		}
	}
	for _, text := range []string{"", "02:00:00:00:00", "02:00:00:00:00:00:00:00", "hello"} {
		if m, err := discovery.ParseMAC(text); err == nil {
			t.Errorf("%q was read as %s", text, m)
		}
	}
	if _, ok := discovery.MACOf(net.HardwareAddr{1, 2, 3}); ok {
		t.Error("three octets are a MAC")
	}
	if hw := (discovery.MAC{}).HardwareAddr(); hw != nil {
		t.Errorf("no MAC is %s", hw)
	}
	for m, want := range map[discovery.MAC]bool{{2}: true, {1, 0, 0x5e}: false, {255, 255, 255, 255, 255, 255}: false, {}: false} {
		if m.Unicast() != want {
			t.Errorf("%s: unicast %t", m, !want)
		}
	}
}

func TestSourcesAsText(t *testing.T) {
	all := discovery.Passive | discovery.ReverseDNS | discovery.Scan
	for s, want := range map[discovery.Source]string{
		0: "", discovery.ARP: "arp", discovery.ARP | discovery.MDNS: "arp,mdns", all: "arp,ndp,dhcpv4,dhcpv6,mdns,lldp,beacon,rdns,scan",
	} {
		text, err := s.MarshalText()
		var again discovery.Source
		if err != nil || string(text) != want || again.UnmarshalText(text) != nil || again != s {
			t.Errorf("%q, want %q; read as %s", text, want, again)
		}
	}
	var s discovery.Source
	if err := s.UnmarshalText([]byte("arp,telepathy")); err == nil || !strings.Contains(err.Error(), "telepathy") {
		t.Errorf("an unknown source: %v", err)
	}
	if discovery.ARP.Has(discovery.Passive) || !discovery.Passive.Has(discovery.ARP) || !discovery.ARP.Has(0) {
		t.Error("Has is not about all of a set")
	}
}

func TestRulesToIgnore(t *testing.T) {
	ig, err := discovery.ParseIgnore([]string{" 02:00:00 ", "192.0.2.7/28", "2001:DB8::1", "06:00:00:00:00:01", "::ffff:10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mac, addr string
		want      bool
	}{
		{"02:00:00:11:22:33", "", true}, {"02:00:01:11:22:33", "", false}, {"06:00:00:00:00:01", "", true}, {"06:00:00:00:00:02", "", false},
		{"", "192.0.2.15", true}, {"", "192.0.2.16", false}, {"", "2001:db8::1", true}, {"", "2001:db8::2", false}, {"", "10.0.0.1", true}, {"", "", false},
	} {
		var m discovery.MAC
		var a netip.Addr
		if c.mac != "" {
			m, _ = discovery.ParseMAC(c.mac)
		}
		if c.addr != "" {
			a = netip.MustParseAddr(c.addr)
		}
		if got := ig.Match(m, a); got != c.want {
			t.Errorf("%s %s: %t", c.mac, c.addr, got)
		}
	}
	for _, rule := range []string{"", "02:0", "10.0.0.0/33", "02:00:00:00:00:00:00", "zz:zz"} {
		if ig, err := discovery.ParseIgnore([]string{rule}); err == nil {
			t.Errorf("%q was read as %+v", rule, ig)
		}
	}
}

// Each source has the kernel pass its own frames and no others.
func TestFiltersPassTheirSourceOnly(t *testing.T) {
	raw := func(f discovery.Frame) []byte {
		b := append(append([]byte{}, f.Dst[:]...), f.Src[:]...)
		return append(append(b, byte(f.Type>>8), byte(f.Type)), f.Payload...)
	}
	frames := map[discovery.Source][]byte{
		discovery.ARP:     frame(1, "192.0.2.7", 0),
		discovery.NDP:     raw(icmp6(t, 1, "fe80::1", 255, make([]byte, 8))),
		discovery.DHCPv4:  raw(udp4(t, mac(1), "0.0.0.0", 68, 67, make([]byte, 300))),
		discovery.DHCPv6:  raw(udp6(t, mac(1), "fe80::1", 546, 547, make([]byte, 8))),
		discovery.MDNS:    announcement(t, "printer.local. 120 IN A 192.0.2.7"),
		discovery.LLDP:    raw(lldp(t, tlv(0, ""))),
		discovery.Beacons: beaconFrame(),
	}
	frames[discovery.NDP][14+40] = 135
	for source := range frames {
		vm, err := bpf.NewVM(discovery.Filter(source))
		if err != nil {
			t.Fatal(err)
		}
		for of, b := range frames {
			for tags := range 3 {
				n, err := vm.Run(b)
				if passes := err == nil && n > 0; passes != (of == source) {
					t.Errorf("the filter of %s, a frame of %s with %d tags: passes %t", source, of, tags, passes)
				}
				b = discoverytest.Tag(b, 5)
			}
		}
		if n, err := vm.Run(raw(udp4(t, mac(1), "192.0.2.1", 40000, 53, make([]byte, 40)))); err == nil && n > 0 {
			t.Errorf("the filter of %s passes DNS", source)
		}
	}
}

// Resolvers are asked in order, and twice, until one knows: the name, or that there is none.
func TestReverseLookup(t *testing.T) {
	first, second := netip.MustParseAddrPort("192.0.2.53:53"), netip.MustParseAddrPort("192.0.2.54:53")
	answer := func(rcode int, target string) func(*dns.Msg) (*dns.Msg, error) {
		return func(q *dns.Msg) (*dns.Msg, error) {
			m := new(dns.Msg).SetRcode(q, rcode)
			if target != "" {
				m.Answer = []dns.RR{&dns.PTR{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypePTR}, Ptr: target}}
			}
			return m, nil
		}
	}
	silent := func(*dns.Msg) (*dns.Msg, error) { return nil, errors.New("no answer") }
	for _, c := range []struct {
		name          string
		first, second func(*dns.Msg) (*dns.Msg, error)
		want          string
		ok            bool
		asked         int
	}{
		{"the first knows", answer(dns.RcodeSuccess, "a.example."), silent, "a.example", true, 1},
		{"there is no name", answer(dns.RcodeNameError, ""), answer(dns.RcodeSuccess, "a.example."), "", true, 1},
		{"the name has no record", answer(dns.RcodeSuccess, ""), silent, "", true, 1},
		{"the first is silent", silent, answer(dns.RcodeSuccess, "b.example."), "b.example", true, 2},
		{"the first fails", answer(dns.RcodeServerFailure, ""), answer(dns.RcodeSuccess, "b.example."), "b.example", true, 2},
		{"both are silent", silent, silent, "", false, 4},
		{"the name is none", answer(dns.RcodeSuccess, "a b.example."), silent, "", true, 1},
	} {
		asked := 0
		r := discovery.NewReverse(discovery.ReverseConfig{
			Servers: []netip.AddrPort{first, second},
			Exchange: func(_ context.Context, m *dns.Msg, server netip.AddrPort) (*dns.Msg, error) {
				asked++
				if m.Question[0].Name != "7.2.0.192.in-addr.arpa." {
					t.Errorf("asked for %s", m.Question[0].Name)
				}
				if server == first {
					return c.first(m)
				}
				return c.second(m)
			},
		})
		name, ok := r.Lookup(t.Context(), netip.MustParseAddr("192.0.2.7"))
		if name != c.want || ok != c.ok || asked != c.asked {
			t.Errorf("%s: %q, %t after %d questions", c.name, name, ok, asked)
		}
	}
}

func TestParseFrame(t *testing.T) {
	plain := frame(1, "192.0.2.7", 0)
	for _, c := range []struct {
		name string
		b    []byte
		vid  uint16
		want int // the VLAN, -1 when it is refused
	}{
		{"untagged", plain, 0, 0},
		{"tag taken off by the card", plain, 9, 9},
		{"priority in the card's tag", plain, 9 | 5<<13, 9},
		{"tagged", discoverytest.Tag(plain, 7), 0, 7},
		{"the outer tag counts", discoverytest.Tag(discoverytest.Tag(plain, 7), 8), 0, 8},
		{"priority tag", discoverytest.Tag(plain, 0), 0, 0},
		{"tag cut", discoverytest.Tag(plain, 7)[:16], 0, -1},
		{"header cut", plain[:13], 0, -1},
	} {
		f, err := discovery.ParseFrame(c.b, c.vid)
		got := int(f.VID)
		if err != nil {
			got = -1
		}
		if got != c.want || err == nil && (f.Type != 0x0806 || f.Src != mac(1)) {
			t.Errorf("%s: VLAN %d of %+v, %v", c.name, got, f, err)
		}
	}
}
