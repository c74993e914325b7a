package dnssrv_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/dnssrv"
)

func TestRangesMakeNamesUp(t *testing.T) {
	s := dnssrv.New(dnssrv.Config{})
	v4 := dnssrv.Range{From: netip.MustParseAddr("10.0.3.7"), To: netip.MustParseAddr("10.200.0.0"), Domain: "maas"}
	v6 := dnssrv.Range{From: netip.MustParseAddr("2001:db8::"), To: netip.MustParseAddr("2001:db8::ffff:ffff:ffff:ffff"), Domain: "maas"}
	update(t, s, dnssrv.Change{
		Zones: []dnssrv.Zone{
			{Name: "maas", Ranges: []dnssrv.Range{v4, v6}},
			{Name: "10.in-addr.arpa", Ranges: []dnssrv.Range{v4}},
			{Name: "8.b.d.0.1.0.0.2.ip6.arpa", Ranges: []dnssrv.Range{v6}},
		},
		Set: []dnssrv.RRset{
			set("web.maas", "A", "10.0.3.9"), set("9.3.0.10.in-addr.arpa", "PTR", "web.maas"), set("10-0-3-9.maas", "TXT", `"x"`), set("*.maas", "A", "10.0.0.1"),
		},
	})
	for _, c := range []struct{ name, qtype, want string }{
		{"10-0-3-7.maas", "A", "NOERROR aa\nan 10-0-3-7.maas. 30 IN A 10.0.3.7"},
		{"10-0-3-7.maas", "AAAA", "NOERROR aa\nau SOA maas."},
		{"10-0-3-6.maas", "A", "NOERROR aa\nan 10-0-3-6.maas. 30 IN A 10.0.0.1"},
		{"10-00-3-7.maas", "A", "NOERROR aa\nan 10-00-3-7.maas. 30 IN A 10.0.0.1"},
		{"10-0-3-9.maas", "A", "NOERROR aa\nau SOA maas."},
		{"8.3.0.10.in-addr.arpa", "PTR", "NOERROR aa\nan 8.3.0.10.in-addr.arpa. 30 IN PTR 10-0-3-8.maas."},
		{"9.3.0.10.in-addr.arpa", "PTR", "NOERROR aa\nan 9.3.0.10.in-addr.arpa. 30 IN PTR web.maas."},
		{"3.0.10.in-addr.arpa", "PTR", "NOERROR aa\nau SOA 10.in-addr.arpa."},
		{"77.10.in-addr.arpa", "PTR", "NOERROR aa\nau SOA 10.in-addr.arpa."},
		{"201.10.in-addr.arpa", "PTR", "NXDOMAIN aa\nau SOA 10.in-addr.arpa."},
		{"256.10.in-addr.arpa", "PTR", "NXDOMAIN aa\nau SOA 10.in-addr.arpa."},
		{"2001-0db8-0000-0000-0000-0000-0000-0007.maas", "AAAA", "NOERROR aa\nan 2001-0db8-0000-0000-0000-0000-0000-0007.maas. 30 IN AAAA 2001:db8::7"},
		{dnssrv.PTRName(netip.MustParseAddr("2001:db8::7")), "PTR", "NOERROR aa\nan " + dnssrv.PTRName(netip.MustParseAddr("2001:db8::7")) + " 30 IN PTR 2001-0db8-0000-0000-0000-0000-0000-0007.maas."},
		{"0.8.b.d.0.1.0.0.2.ip6.arpa", "PTR", "NOERROR aa\nau SOA 8.b.d.0.1.0.0.2.ip6.arpa."},
		{"1.8.b.d.0.1.0.0.2.ip6.arpa", "PTR", "NXDOMAIN aa\nau SOA 8.b.d.0.1.0.0.2.ip6.arpa."},
	} {
		if got := digest(ask(t, s, c.name, c.qtype)); got != c.want {
			t.Errorf("%s %s:\n%s\nwant\n%s", c.name, c.qtype, got, c.want)
		}
	}
}

func TestBadRangesAreRefused(t *testing.T) {
	a, b, c := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("2001:db8::1")
	for want, ranges := range map[string][]dnssrv.Range{
		"not a range": {{From: b, To: a}},
		"overlap":     {{From: a, To: b}, {From: b, To: b}},
		"10.0.0.1 to": {{From: a, To: c}},
	} {
		err := dnssrv.New(dnssrv.Config{}).Update(dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas", Ranges: ranges}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", ranges, err)
		}
	}
}
