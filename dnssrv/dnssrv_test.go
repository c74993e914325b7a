package dnssrv_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

func set(name, qtype string, data ...string) dnssrv.RRset {
	return dnssrv.RRset{Name: name, Type: qtype, Data: data}
}

func update(t testing.TB, s *dnssrv.Server, c dnssrv.Change) {
	t.Helper()
	if err := s.Update(c); err != nil {
		t.Fatal(err)
	}
}

// example is a zone with one of everything that answers differ by.
func example(t testing.TB) *dnssrv.Server {
	s := dnssrv.New(dnssrv.Config{})
	fillExample(t, s)
	return s
}

func fillExample(t testing.TB, s *dnssrv.Server) {
	update(t, s, dnssrv.Change{
		Zones: []dnssrv.Zone{
			{Name: "maas", TTL: 60, NS: []string{"ns1.maas"}, Contact: "first.last@example.com"},
			{Name: "2.0.192.in-addr.arpa", NS: []string{"ns1.maas"}},
		},
		Set: []dnssrv.RRset{
			set("ns1.maas", "A", "192.0.2.1"),
			set("web.maas", "A", "192.0.2.7", "192.0.2.8"),
			{Name: "web.maas", Type: "AAAA", TTL: 5, Data: []string{"2001:db8::7"}},
			set("www.maas", "CNAME", "web.maas"),
			set("out.maas", "CNAME", "elsewhere.example"),
			set("loop.maas", "CNAME", "loop2.maas"),
			set("loop2.maas", "CNAME", "loop.maas"),
			set("_http._tcp.maas", "SRV", "0 0 80 web.maas"),
			set("*.wild.maas", "TXT", `"any"`),
			set("host.wild.maas", "A", "192.0.2.9"),
			set("sub.maas", "NS", "ns.sub.maas"),
			set("ns.sub.maas", "A", "192.0.2.53"),
			set(dnssrv.PTRName(netip.MustParseAddr("192.0.2.7")), "PTR", "web.maas"),
		},
	})
}

func ask(t testing.TB, s *dnssrv.Server, name, qtype string) *dns.Msg {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.StringToType[qtype])
	m := s.HandleMsg(t.Context(), q, netip.MustParseAddr("192.0.2.200"))
	if _, err := m.Pack(); err != nil {
		t.Errorf("answer to %s %s cannot be encoded: %v", name, qtype, err)
	}
	return m
}

// digest is an answer in a few words: code, AA flag, and "section: owner ttl type data" a line.
func digest(m *dns.Msg) string {
	var b strings.Builder
	b.WriteString(dns.RcodeToString[m.Rcode])
	if m.Authoritative {
		b.WriteString(" aa")
	}
	for _, rr := range m.Answer {
		b.WriteString("\nan " + strings.Join(strings.Fields(rr.String()), " "))
	}
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			b.WriteString("\nau SOA " + rr.Header().Name)
			continue
		}
		b.WriteString("\nau " + strings.Join(strings.Fields(rr.String()), " "))
	}
	for _, rr := range m.Extra {
		b.WriteString("\nad " + strings.Join(strings.Fields(rr.String()), " "))
	}
	return b.String()
}

func TestAnswers(t *testing.T) {
	s := example(t)
	for _, c := range []struct{ name, qtype, want string }{
		{"web.maas", "A", "NOERROR aa\nan web.maas. 60 IN A 192.0.2.7\nan web.maas. 60 IN A 192.0.2.8"},
		{"WEB.maas", "AAAA", "NOERROR aa\nan web.maas. 5 IN AAAA 2001:db8::7"},
		{"web.maas", "MX", "NOERROR aa\nau SOA maas."},
		{"nope.maas", "A", "NXDOMAIN aa\nau SOA maas."},
		{"_tcp.maas", "A", "NOERROR aa\nau SOA maas."}, // an empty non-terminal exists
		{"www.maas", "A", "NOERROR aa\nan www.maas. 60 IN CNAME web.maas.\nan web.maas. 60 IN A 192.0.2.7\nan web.maas. 60 IN A 192.0.2.8"},
		{"www.maas", "CNAME", "NOERROR aa\nan www.maas. 60 IN CNAME web.maas."},
		{"out.maas", "A", "NOERROR aa\nan out.maas. 60 IN CNAME elsewhere.example."},
		{"_http._tcp.maas", "SRV", "NOERROR aa\nan _http._tcp.maas. 60 IN SRV 0 0 80 web.maas.\n" +
			"ad web.maas. 60 IN A 192.0.2.7\nad web.maas. 60 IN A 192.0.2.8\nad web.maas. 5 IN AAAA 2001:db8::7"},
		{"a.wild.maas", "TXT", "NOERROR aa\nan a.wild.maas. 60 IN TXT \"any\""},
		{"a.b.wild.maas", "TXT", "NOERROR aa\nan a.b.wild.maas. 60 IN TXT \"any\""},
		{"a.wild.maas", "A", "NOERROR aa\nau SOA maas."},
		{"host.wild.maas", "TXT", "NOERROR aa\nau SOA maas."},    // the name itself exists
		{"x.host.wild.maas", "TXT", "NXDOMAIN aa\nau SOA maas."}, // below an existing name the asterisk does not reach
		{"deep.sub.maas", "A", "NOERROR\nau sub.maas. 60 IN NS ns.sub.maas.\nad ns.sub.maas. 60 IN A 192.0.2.53"},
		{"sub.maas", "DS", "NOERROR aa\nau SOA maas."},
		{"maas", "NS", "NOERROR aa\nan maas. 60 IN NS ns1.maas.\nad ns1.maas. 60 IN A 192.0.2.1"},
		{"maas", "A", "NOERROR aa\nau SOA maas."},
		{"web.maas", "ANY", `NOERROR aa` + "\n" + `an web.maas. 60 IN HINFO "RFC8482" ""`},
		{"7.2.0.192.in-addr.arpa", "PTR", "NOERROR aa\nan 7.2.0.192.in-addr.arpa. 30 IN PTR web.maas."},
		{"example.com", "A", "REFUSED"},
		{"maas", "AXFR", "REFUSED"},
	} {
		t.Run(c.name+" "+c.qtype, func(t *testing.T) {
			if diff := cmp.Diff(c.want, digest(ask(t, s, c.name, c.qtype))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCNAMELoopEnds(t *testing.T) {
	if m := ask(t, example(t), "loop.maas", "A"); len(m.Answer) > 16 {
		t.Errorf("%d records", len(m.Answer))
	}
}

// A chain of CNAMEs is followed as far as resolvers follow one.
func TestCNAMEChain(t *testing.T) {
	s := dnssrv.New(dnssrv.Config{})
	c := dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas", TTL: 60}}, Set: []dnssrv.RRset{set("c12.maas", "A", "192.0.2.1")}}
	for i := range 12 {
		c.Set = append(c.Set, set(fmt.Sprintf("c%d.maas", i), "CNAME", fmt.Sprintf("c%d.maas", i+1)))
	}
	update(t, s, c)
	if m := ask(t, s, "c0.maas", "A"); len(m.Answer) != 13 || m.Answer[12].Header().Rrtype != dns.TypeA {
		t.Errorf("%v", m.Answer)
	}
}

func TestLearnedGivesWayToConfigured(t *testing.T) {
	s := example(t)
	learned := dnssrv.RRset{Name: "node.maas", Type: "A", Data: []string{"192.0.2.100"}, Learned: true}
	address := func() string { return digest(ask(t, s, "node.maas", "A")) }
	want := func(when, sub string) {
		t.Helper()
		if got := address(); !strings.Contains(got, sub) {
			t.Errorf("%s: %s", when, got)
		}
	}
	update(t, s, dnssrv.Change{Set: []dnssrv.RRset{learned}})
	want("learned", "192.0.2.100")
	update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set("node.maas", "A", "192.0.2.50")}})
	want("configured", "192.0.2.50")
	update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set("node.maas", "A")}})
	want("configured again gone", "192.0.2.100")
	learned.Data = nil
	update(t, s, dnssrv.Change{Set: []dnssrv.RRset{learned}})
	want("both gone", "NXDOMAIN")
}

func TestRemovedNamesLeaveNothingBehind(t *testing.T) {
	s := example(t)
	update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set("a.b.c.maas", "A", "192.0.2.77")}})
	if got := digest(ask(t, s, "b.c.maas", "A")); !strings.HasPrefix(got, "NOERROR") {
		t.Errorf("between apex and a name: %s", got)
	}
	update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set("a.b.c.maas", "A")}})
	for _, name := range []string{"a.b.c.maas", "b.c.maas", "c.maas"} {
		if got := digest(ask(t, s, name, "A")); !strings.HasPrefix(got, "NXDOMAIN") {
			t.Errorf("%s after removal: %s", name, got)
		}
	}
	update(t, s, dnssrv.Change{RemoveZones: []string{"maas"}})
	if got := digest(ask(t, s, "web.maas", "A")); got != "REFUSED" {
		t.Errorf("zone removed: %s", got)
	}
}

func TestEachChangeIsOneSerial(t *testing.T) {
	s := example(t)
	serial := func() uint32 { return ask(t, s, "maas", "SOA").Answer[0].(*dns.SOA).Serial }
	before := serial()
	update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set("x.maas", "A", "192.0.2.1"), set("y.maas", "A", "192.0.2.2")}})
	if after := serial(); after != before+1 {
		t.Errorf("%d became %d", before, after)
	}
}

func TestBadChangesAreRefusedWhole(t *testing.T) {
	for _, c := range []struct {
		set  dnssrv.RRset
		want string
	}{
		{set("web.example", "A", "192.0.2.1"), "not in any zone"},
		{set("web.maas", "A", "2001:db8::1"), "not an address of that kind"},
		{set("web.maas", "MX", "ten mail.maas"), "not valid data"},
		{set("web.maas", "SOA", "a b 1 2 3 4 5"), "cannot be set"},
		{set("web..maas", "A", "192.0.2.1"), "not a domain name"},
		{set("web.maas", "TXT", "\"a\"\nevil.maas. IN A 192.0.2.66"), "one line"},
		{set("c.maas", "CNAME", "a.maas", "b.maas"), "one CNAME"},
	} {
		s := example(t)
		err := s.Update(dnssrv.Change{Set: []dnssrv.RRset{set("first.maas", "A", "192.0.2.1"), c.set}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want %q", c.set, err, c.want)
		}
		if got := digest(ask(t, s, "first.maas", "A")); !strings.HasPrefix(got, "NXDOMAIN") {
			t.Errorf("%v: part of a refused change was applied: %s", c.set, got)
		}
	}
}

func TestPTRNames(t *testing.T) {
	for _, a := range []string{"192.0.2.7", "2001:db8::7"} {
		addr := netip.MustParseAddr(a)
		if got, ok := dnssrv.PTRAddr(dnssrv.PTRName(addr)); !ok || got != addr {
			t.Errorf("%s came back as %s", addr, got)
		}
	}
	for _, name := range []string{"", "2.0.192.in-addr.arpa", "7.64-26.2.0.192.in-addr.arpa", "web.maas"} {
		if got, ok := dnssrv.PTRAddr(name); ok {
			t.Errorf("%q is %s", name, got)
		}
	}
}

func TestReverseZones(t *testing.T) {
	for prefix, want := range map[string][]string{
		"192.0.2.0/24":    {"2.0.192.in-addr.arpa."},
		"192.0.2.64/26":   {"2.0.192.in-addr.arpa."},
		"10.0.0.0/8":      {"10.in-addr.arpa."},
		"172.16.0.0/15":   {"16.172.in-addr.arpa.", "17.172.in-addr.arpa."},
		"0.0.0.0/0":       nil,
		"2001:db8::/32":   {"8.b.d.0.1.0.0.2.ip6.arpa."},
		"2001:db8::/31":   {"8.b.d.0.1.0.0.2.ip6.arpa.", "9.b.d.0.1.0.0.2.ip6.arpa."},
		"2001:db8::8/126": {"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."},
	} {
		got := dnssrv.ReverseZones(netip.MustParsePrefix(prefix))
		if prefix == "0.0.0.0/0" {
			if len(got) != 256 {
				t.Errorf("%s: %d zones", prefix, len(got))
			}
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", prefix, diff)
		}
	}
	if got := dnssrv.PTRName(netip.MustParseAddr("2001:db8::1")); !strings.HasPrefix(got, "1.0.0.0.") || len(got) != 73 {
		t.Errorf("got %s", got)
	}
}

// The server follows no primary: a NOTIFY is answered so that its sender stops to repeat it.
func TestNotifyIsNotAuthoritative(t *testing.T) {
	s := example(t)
	client := netip.MustParseAddr("192.0.2.200")
	q := new(dns.Msg).SetNotify("maas.")
	if m := s.HandleMsg(t.Context(), q, client); m.Rcode != dns.RcodeNotAuth || m.Opcode != dns.OpcodeNotify {
		t.Errorf("NOTIFY: %v", m)
	}
	q.Question = nil
	if m := s.HandleMsg(t.Context(), q, client); m.Rcode != dns.RcodeFormatError {
		t.Errorf("NOTIFY about nothing: %v", m)
	}
}
