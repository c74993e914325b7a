package dnssrv_test

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

var client = netip.MustParseAddr("192.0.2.200")

// guarded returns a server that forwards for its client, and the upstream that counts questions.
func guarded(t *testing.T, cfg dnssrv.Config, domains ...string) (*dnssrv.Server, *resolver) {
	t.Helper()
	up := &resolver{}
	addr := up.start(t, nil)
	f := dnssrv.Forwarding{Servers: []netip.AddrPort{addr}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	for _, name := range domains {
		f.Domains = append(f.Domains, dnssrv.DomainForwarding{Name: name, Servers: f.Servers})
	}
	s := dnssrv.New(cfg)
	if err := s.SetForwarding(f); err != nil {
		t.Fatal(err)
	}
	return s, up
}

func TestSpecialNamesStayHere(t *testing.T) {
	s, up := guarded(t, dnssrv.Config{})
	nx, ok := dns.RcodeNameError, dns.RcodeSuccess
	for _, c := range []struct {
		name, qtype string
		rcode       int
		answer      string // data of the one record, empty: a denial
	}{
		{"localhost.", "A", ok, "127.0.0.1"}, {"LocalHost.", "AAAA", ok, "::1"}, {"db.localhost.", "A", ok, "127.0.0.1"},
		{"localhost.", "MX", ok, ""}, {"a.b.localhost.", "TXT", ok, ""}, {"localhost.", "HTTPS", ok, ""},
		{"test.", "A", nx, ""}, {"www.test.", "NS", nx, ""}, {"invalid.", "A", nx, ""}, {"x.INVALID.", "MX", nx, ""},
		{"printer.local.", "A", nx, ""}, {"local.", "SOA", nx, ""}, {"lb._dns-sd._udp.local.", "PTR", nx, ""},
		{"expyuzz4wqqyqhjn.onion.", "A", nx, ""}, {"onion.", "DS", nx, ""}, {"x.alt.", "A", nx, ""}, {"router.home.arpa.", "A", nx, ""},
		{"_dns.resolver.arpa.", "SVCB", nx, ""},
		{"7.0.0.10.in-addr.arpa.", "PTR", nx, ""}, {"10.IN-ADDR.arpa.", "PTR", ok, ""}, {"10.in-addr.arpa.", "SOA", ok, "10.in-addr.arpa. nobody.invalid. 1 3600 1200 604800 10800"},
		{"168.192.in-addr.arpa.", "NS", ok, "168.192.in-addr.arpa."}, {"1.1.168.192.in-addr.arpa.", "PTR", nx, ""},
		{"b._dns-sd._udp.0.16.172.in-addr.arpa.", "PTR", nx, ""}, {"1.1.31.172.in-addr.arpa.", "PTR", nx, ""}, {"9.9.64.100.in-addr.arpa.", "PTR", nx, ""},
		{"9.9.127.100.in-addr.arpa.", "PTR", nx, ""}, {"1.0.0.127.in-addr.arpa.", "PTR", nx, ""}, {"1.1.254.169.in-addr.arpa.", "PTR", nx, ""},
		{"0.0.0.0.in-addr.arpa.", "PTR", nx, ""}, {"255.255.255.255.in-addr.arpa.", "PTR", ok, ""}, {"1.2.0.192.in-addr.arpa.", "PTR", nx, ""},
		{"1.100.51.198.in-addr.arpa.", "PTR", nx, ""}, {"1.113.0.203.in-addr.arpa.", "PTR", nx, ""},
		{dnssrv.PTRName(netip.MustParseAddr("::1")), "PTR", ok, ""}, {dnssrv.PTRName(netip.MustParseAddr("::")), "PTR", ok, ""},
		{dnssrv.PTRName(netip.MustParseAddr("fd12:3456::7")), "PTR", nx, ""}, {dnssrv.PTRName(netip.MustParseAddr("fe80::1")), "PTR", nx, ""},
		{dnssrv.PTRName(netip.MustParseAddr("febf::1")), "PTR", nx, ""}, {dnssrv.PTRName(netip.MustParseAddr("2001:db8::1")), "PTR", nx, ""},
	} {
		q := new(dns.Msg).SetQuestion(c.name, dns.StringToType[c.qtype])
		m := s.HandleMsg(t.Context(), q, client)
		data := ""
		if len(m.Answer) == 1 {
			data = dns.Field(m.Answer[0], 1)
			if _, soa := m.Answer[0].(*dns.SOA); soa {
				data = m.Answer[0].String()[len(m.Answer[0].Header().String()):]
			}
		}
		if m.Rcode != c.rcode || data != c.answer || (c.answer == "") != (len(m.Ns) == 1) || !m.RecursionAvailable {
			t.Errorf("%s %s: want %s %q, got\n%v", c.name, c.qtype, dns.RcodeToString[c.rcode], c.answer, m)
		}
	}
	if n := up.asked.Load(); n != 0 {
		t.Errorf("%d questions left the site", n)
	}
}

// Names beside the special ones are like all others, and so is the DS of an empty zone, which its
// parent has.
func TestNamesBesideSpecialOnes(t *testing.T) {
	s, up := guarded(t, dnssrv.Config{})
	names := []string{
		"localhost.example.", "contest.", "mylocal.", "local.example.", "onion.example.", "example.", "home.example.", "arpa.",
		"1.1.15.172.in-addr.arpa.", "1.1.32.172.in-addr.arpa.", "1.1.63.100.in-addr.arpa.", "1.1.128.100.in-addr.arpa.", "1.1.1.11.in-addr.arpa.",
		"1.1.169.192.in-addr.arpa.", "110.in-addr.arpa.", "254.255.255.255.in-addr.arpa.", "172.in-addr.arpa.",
		dnssrv.PTRName(netip.MustParseAddr("::2")), dnssrv.PTRName(netip.MustParseAddr("fc00::1")), dnssrv.PTRName(netip.MustParseAddr("2001:db9::1")),
	}
	for i, name := range names {
		m := s.HandleMsg(t.Context(), new(dns.Msg).SetQuestion(name, dns.TypeA), client)
		if len(m.Answer) != 1 || up.asked.Load() != int32(i+1) {
			t.Errorf("%s is not asked upstream: %v", name, m)
		}
	}
	before := up.asked.Load()
	for _, name := range []string{"10.in-addr.arpa.", "home.arpa."} {
		s.HandleMsg(t.Context(), new(dns.Msg).SetQuestion(name, dns.TypeDS), client)
	}
	if n := up.asked.Load() - before; n != 2 {
		t.Errorf("%d of 2 questions for a DS were asked upstream", n)
	}
}

// A zone or a rule that has a special name is served as it is configured.
func TestConfiguredSpecialNames(t *testing.T) {
	ask := func(s *dnssrv.Server, name string, qtype uint16) *dns.Msg {
		return s.HandleMsg(t.Context(), new(dns.Msg).SetQuestion(name, qtype), client)
	}
	t.Run("zones", func(t *testing.T) {
		s, up := guarded(t, dnssrv.Config{})
		update(t, s, dnssrv.Change{
			Zones: []dnssrv.Zone{{Name: "lab.test"}, {Name: "0.10.in-addr.arpa"}, {Name: "maas"}},
			Set: []dnssrv.RRset{
				set("web.lab.test", "A", "192.0.2.7"), set("7.0.0.10.in-addr.arpa", "PTR", "web.lab.test"),
				set("p.maas", "CNAME", "printer.local"), set("l.maas", "CNAME", "localhost"),
			},
		})
		if m := ask(s, "web.lab.test.", dns.TypeA); len(m.Answer) != 1 {
			t.Error(m)
		}
		if m := ask(s, "7.0.0.10.in-addr.arpa.", dns.TypePTR); len(m.Answer) != 1 {
			t.Error(m)
		}
		if m := ask(s, "other.test.", dns.TypeA); m.Rcode != dns.RcodeNameError {
			t.Error(m)
		}
		// An alias leads no question out either.
		if m := ask(s, "p.maas.", dns.TypeA); m.Rcode != dns.RcodeNameError || len(m.Answer) != 1 {
			t.Error(m)
		}
		if m := ask(s, "l.maas.", dns.TypeA); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 2 {
			t.Error(m)
		}
		if n := up.asked.Load(); n != 0 {
			t.Errorf("%d questions left the site", n)
		}
	})
	t.Run("forwarding rules", func(t *testing.T) {
		s, up := guarded(t, dnssrv.Config{}, "corp.local", "10.in-addr.arpa", "ip6.arpa")
		for _, name := range []string{"web.corp.local.", "1.2.3.10.in-addr.arpa.", dnssrv.PTRName(netip.MustParseAddr("fd00::1"))} {
			if m := ask(s, name, dns.TypePTR); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
				t.Errorf("%s: %v", name, m)
			}
		}
		ask(s, "other.local.", dns.TypeA)
		if n := up.asked.Load(); n != 3 {
			t.Errorf("%d questions, want the three that the rules have", n)
		}
	})
	t.Run("switched off", func(t *testing.T) {
		s, up := guarded(t, dnssrv.Config{ForwardSpecialNames: true})
		for _, name := range []string{"printer.local.", "1.2.3.10.in-addr.arpa."} {
			ask(s, name, dns.TypePTR)
		}
		if err := s.SetForwarding(dnssrv.Forwarding{Servers: []netip.AddrPort{up.start(t, nil)}, Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}); err != nil {
			t.Fatal(err)
		}
		ask(s, "localhost.", dns.TypeA)
		if n := up.asked.Load(); n != 3 {
			t.Errorf("%d of 3 questions were asked upstream", n)
		}
	})
	t.Run("strangers", func(t *testing.T) {
		s, _ := guarded(t, dnssrv.Config{})
		m := s.HandleMsg(t.Context(), new(dns.Msg).SetQuestion("localhost.", dns.TypeA), netip.MustParseAddr("198.51.100.1"))
		if m.Rcode != dns.RcodeRefused {
			t.Error(m)
		}
	})
}
