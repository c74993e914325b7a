package dnssrv

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

var stranger = netip.MustParseAddr("192.0.2.200")

// mixed has every kind of thing that answers differ by, below one name.
func mixed(t testing.TB) *Server {
	s := New(Config{})
	set := func(name, qtype string, data ...string) RRset { return RRset{Name: name, Type: qtype, Data: data} }
	c := Change{
		Zones: []Zone{{Name: "maas", TTL: 60}, {Name: "sub.maas", TTL: 70}, {Name: "2.0.192.in-addr.arpa"}, {Name: "cut.example"}, {
			Name: "dyn.maas", Ranges: []Range{{From: netip.MustParseAddr("10.0.0.0"), To: netip.MustParseAddr("10.0.3.255")}},
		}},
		Set: []RRset{
			set("web.maas", "A", "192.0.2.7", "192.0.2.8"), {Name: "web.maas", Type: "AAAA", TTL: 5, Data: []string{"2001:db8::7"}},
			set("www.maas", "CNAME", "web.maas"), set("maas", "TXT", `"apex"`), set("maas", "MX", "10 web.maas"),
			set("*.wild.maas", "TXT", `"any"`), set("host.wild.maas", "A", "192.0.2.9"), set("x.*.wild.maas", "A", "192.0.2.9"),
			set("a.b.c.maas", "CAA", `0 issue "ca.example"`), set("_s._tcp.maas", "SRV", "0 0 80 web.maas"), set("ns.sub.maas", "A", "192.0.2.53"),
			set("below.cut.example", "NS", "ns.below.cut.example"), set("ns.below.cut.example", "A", "192.0.2.54"), set("flat.cut.example", "A", "192.0.2.1"),
			set("7.2.0.192.in-addr.arpa", "PTR", "web.maas"), set(`odd\.dot.maas`, "A", "192.0.2.1"), set("big.maas", "TXT", strings.Repeat(`"0123456789012345678901234567890123456789" `, 20)),
			set("*.all.maas", "A", "192.0.2.3"), set("*.all.maas", "CNAME"), set("10-0-0-7.dyn.maas", "TXT", `"own"`),
			set("moved.maas", "DNAME", "wild.maas"), set("moved.maas", "TXT", `"itself"`), set("host.moved.maas", "A", "192.0.2.4"),
		},
	}
	if err := s.Update(c); err != nil {
		t.Fatal(err)
	}
	return s
}

// generated are n questions in wire form about names that s has, names near them and others.
func generated(s *Server, n int) [][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	var names []string
	for _, z := range s.data.zones {
		names = append(names, z.name)
		for name := range z.nodes {
			names = append(names, name)
		}
	}
	names = append(names, "example.", "10-0-2-9.dyn.maas.", "10-0-9-9.dyn.maas.", "example.com.")
	labels := []string{"a", "*", "web", "wild", "below", "b.c", "_s"}
	types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeTXT, dns.TypeMX, dns.TypeNS, dns.TypeSOA, dns.TypeCNAME, dns.TypeSRV, dns.TypeDS, dns.TypeANY, dns.TypeCAA, dns.TypeHTTPS, 999}
	var out [][]byte
	for range n {
		name := names[rnd.IntN(len(names))]
		switch rnd.IntN(4) {
		case 0:
			name = labels[rnd.IntN(len(labels))] + "." + name
		case 1:
			if off, end := dns.NextLabel(name, 0); !end {
				name = name[off:]
			}
		}
		if rnd.IntN(3) == 0 {
			name = strings.ToUpper(name)
		}
		q := new(dns.Msg)
		q.SetQuestion(name, types[rnd.IntN(len(types))])
		q.RecursionDesired, q.CheckingDisabled, q.AuthenticatedData = rnd.IntN(2) == 0, rnd.IntN(4) == 0, rnd.IntN(4) == 0
		if rnd.IntN(2) == 0 {
			q.SetEdns0(uint16(rnd.IntN(5000)), rnd.IntN(2) == 0)
		}
		wire, _ := q.Pack()
		out = append(out, wire)
	}
	return out
}

// What the plain path answers is what the general handler answers.
func TestPlainAnswersEqualGeneralOnes(t *testing.T) {
	s := mixed(t)
	if err := s.SetForwarding(Forwarding{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}, Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}); err != nil {
		t.Fatal(err)
	}
	plainAnswers, p, out := 0, plain{}, make([]byte, maxUDP)
	questions := generated(s, 20_000)
	for _, in := range questions {
		size := s.appendPlain(&p, in, out, stranger)
		if size == 0 {
			continue
		}
		plainAnswers++
		if diff := cmp.Diff(unpack(t, s.handleMessage(t.Context(), in, stranger, true)[0]), unpack(t, out[:size])); diff != "" {
			t.Fatalf("(-general +plain):\n%s", diff)
		}
	}
	t.Logf("%d of %d questions took the plain path", plainAnswers, len(questions))
	if plainAnswers < len(questions)/3 {
		t.Errorf("only %d of %d questions took the plain path", plainAnswers, len(questions))
	}
}

// unpack decodes a message for comparison.
func unpack(t testing.TB, wire []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(wire); err != nil {
		t.Fatalf("%x: %v", wire, err)
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			rr.Header().Rdlength = 0 // depends on compression
			rr.Header().Name = dns.CanonicalName(rr.Header().Name)
		}
	}
	return m
}

func TestPlainPathDoesNotAllocate(t *testing.T) {
	s := mixed(t)
	p, out := new(plain), make([]byte, maxUDP)
	for _, name := range []string{"web.maas.", "nope.maas.", "7.2.0.192.in-addr.arpa."} {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeA)
		q.SetEdns0(1232, false)
		in, _ := q.Pack()
		if n := testing.AllocsPerRun(100, func() {
			if s.answerPlain(p, in, out, stranger) <= 0 {
				t.Errorf("%s did not take the plain path", name)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Whatever arrives, both paths answer alike or not at all.
func FuzzWire(f *testing.F) {
	s := mixed(f)
	for _, in := range generated(s, 200) {
		f.Add(in)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		p, out := plain{}, make([]byte, maxUDP)
		size := s.appendPlain(&p, in, out, stranger)
		general := s.handleMessage(t.Context(), in, stranger, true)
		if s.panics.Load() > 0 {
			t.Fatal("a panic")
		}
		if size <= 0 {
			return
		}
		if len(general) != 1 {
			t.Fatalf("the plain path answers, the general handler does not: %x", in)
		}
		if diff := cmp.Diff(unpack(t, general[0]), unpack(t, out[:size])); diff != "" {
			t.Errorf("(-general +plain):\n%s", diff)
		}
	})
}

func BenchmarkPlain(b *testing.B) {
	s := New(Config{})
	c := Change{Zones: []Zone{{Name: "maas"}, {Name: "10.in-addr.arpa"}}}
	for i := range 100_000 {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		name := fmt.Sprintf("host%d.maas", i)
		c.Set = append(c.Set, RRset{Name: name, Type: "A", Data: []string{addr.String()}}, RRset{Name: PTRName(addr), Type: "PTR", Data: []string{name}})
	}
	if err := s.Update(c); err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name, question string
		qtype          uint16
	}{{"A", "host4711.maas.", dns.TypeA}, {"PTR", "7.1.0.10.in-addr.arpa.", dns.TypePTR}, {"NXDOMAIN", "nope.maas.", dns.TypeA}} {
		b.Run(bench.name, func(b *testing.B) {
			q := new(dns.Msg)
			q.SetQuestion(bench.question, bench.qtype)
			in, _ := q.Pack()
			p, out := new(plain), make([]byte, maxUDP)
			b.ReportAllocs()
			for b.Loop() {
				if s.appendPlain(p, in, out, stranger) <= 0 {
					b.Fatal("not answered")
				}
			}
		})
	}
}
