package dnssrv_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// A CNAME of ours that leads elsewhere is answered to the end for clients who may ask for that: stub resolvers do not go on.
func TestCNAMEOutOfTheZones(t *testing.T) {
	up := &resolver{validates: true}
	addr := up.start(t, nil)
	s := dnssrv.New(dnssrv.Config{})
	update(t, s, dnssrv.Change{
		Zones: []dnssrv.Zone{{Name: "maas", TTL: 60}},
		Set:   []dnssrv.RRset{set("out.maas", "CNAME", "two.maas"), set("two.maas", "CNAME", "elsewhere.example"), set("*.w.maas", "CNAME", "other.example")},
	})
	local, far := netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("198.51.100.9")
	forwarding := dnssrv.Forwarding{Servers: []netip.AddrPort{addr}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	if err := s.SetForwarding(forwarding); err != nil {
		t.Fatal(err)
	}
	const whole = "out.maas. 60 CNAME two.maas., two.maas. 60 CNAME elsewhere.example., elsewhere.example. 60 A 203.0.113.1"
	for _, c := range []struct {
		name, kind string
		client     netip.Addr
		desired    bool
		want       string
	}{
		{"out.maas.", "A", local, true, whole},
		{"out.maas.", "A", local, true, whole},
		{"x.w.maas.", "A", local, true, "x.w.maas. 60 CNAME other.example., other.example. 60 A 203.0.113.1"},
		{"two.maas.", "CNAME", local, true, "two.maas. 60 CNAME elsewhere.example."},
		{"two.maas.", "A", local, false, "two.maas. 60 CNAME elsewhere.example."},
		{"two.maas.", "A", far, true, "two.maas. 60 CNAME elsewhere.example."},
	} {
		q := new(dns.Msg).SetQuestion(c.name, dns.StringToType[c.kind])
		q.RecursionDesired = c.desired
		m := s.HandleMsg(t.Context(), q, c.client)
		var got []string
		for _, rr := range m.Answer {
			got = append(got, strings.ReplaceAll(strings.ReplaceAll(rr.String(), "\t", " "), " IN ", " "))
		}
		if text := strings.Join(got, ", "); text != c.want || m.Rcode != dns.RcodeSuccess || !m.Authoritative || m.AuthenticatedData {
			t.Errorf("%s %s of %s: %v", c.name, c.kind, c.client, m)
		}
	}
	forwarding.Servers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}
	if err := s.SetForwarding(forwarding); err != nil {
		t.Fatal(err)
	}
	q := new(dns.Msg).SetQuestion("out.maas.", dns.TypeA)
	if m := s.HandleMsg(t.Context(), q, local); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("with a dead upstream: %v", m)
	}
}

// Aliases of others that lead back into the zones are answered from these, whatever the others think of the names.
func TestCNAMEBackIntoTheZones(t *testing.T) {
	up := &resolver{aliases: map[string]string{
		"ext.example.": "host.maas.", "loop.example.": "loop.maas.", "gone.example.": "none.maas.", "twice.example.": "again.maas.",
	}}
	s := dnssrv.New(dnssrv.Config{})
	update(t, s, dnssrv.Change{
		Zones: []dnssrv.Zone{{Name: "maas", TTL: 60, NS: []string{"ns.maas"}}},
		Set: []dnssrv.RRset{
			set("x.maas", "CNAME", "ext.example"), set("host.maas", "A", "192.0.2.5"), set("loop.maas", "CNAME", "loop.example"),
			set("gone.maas", "CNAME", "gone.example"), set("twice.maas", "CNAME", "twice.example"), set("again.maas", "CNAME", "far.example"),
		},
	})
	err := s.SetForwarding(dnssrv.Forwarding{Servers: []netip.AddrPort{up.start(t, nil)}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		answer int
		last   string
		rcode  int
	}{
		{"x.maas.", 3, "192.0.2.5", dns.RcodeSuccess},
		{"loop.maas.", 2, "loop.maas.", dns.RcodeSuccess},
		{"gone.maas.", 2, "none.maas.", dns.RcodeNameError},
		{"twice.maas.", 4, "203.0.113.1", dns.RcodeSuccess},
	} {
		m := s.HandleMsg(t.Context(), new(dns.Msg).SetQuestion(c.name, dns.TypeA), netip.MustParseAddr("192.0.2.9"))
		if len(m.Answer) != c.answer || !strings.HasSuffix(m.Answer[len(m.Answer)-1].String(), "\t"+c.last) || m.Rcode != c.rcode {
			t.Errorf("%s: %v", c.name, m)
		}
		if c.rcode == dns.RcodeNameError && (len(m.Ns) != 1 || m.Ns[0].Header().Name != "maas.") {
			t.Errorf("%s is denied by %v", c.name, m.Ns)
		}
	}
}
