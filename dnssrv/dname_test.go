package dnssrv_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// moved is a server with DNAMEs in a signed and in plain zones.
func moved(t *testing.T) *dnssrv.Server {
	t.Helper()
	long := strings.Repeat(strings.Repeat("l", 60)+".", 3) + "maas"
	s := dnssrv.New(dnssrv.Config{})
	update(t, s, dnssrv.Change{
		Zones: []dnssrv.Zone{
			{Name: "maas", TTL: 60, NS: []string{"ns1.maas"}, SigningKey: testKey},
			{Name: "plain.example", TTL: 60, NS: []string{"ns1.maas"}},
			{Name: "2.0.192.in-addr.arpa", TTL: 60, NS: []string{"ns1.maas"}},
		},
		Set: []dnssrv.RRset{
			set("web.new.maas", "A", "192.0.2.7"), set("*.any.new.maas", "A", "192.0.2.8"), set("al.new.maas", "CNAME", "web.new.maas"),
			{Name: "old.maas", Type: "DNAME", TTL: 17, Data: []string{"new.maas"}}, set("old.maas", "A", "192.0.2.1"),
			set("web.old.maas", "A", "192.0.2.99"), set("cut.old.maas", "NS", "ns.elsewhere.example"), // hidden
			set("long.maas", "DNAME", long), set("out.maas", "DNAME", "elsewhere.example"), set("round.maas", "DNAME", "a.round.maas"),
			set("one.maas", "DNAME", "two.maas"), set("two.maas", "DNAME", "new.maas"), set("ping.maas", "DNAME", "pong.maas"), set("pong.maas", "DNAME", "ping.maas"),
			set("sub.maas", "NS", "ns.sub.maas"), set("d.sub.maas", "DNAME", "new.maas"), // below a delegation
			set("both.maas", "NS", "ns.elsewhere.example"), set("both.maas", "DNAME", "new.maas"),
			set("plain.example", "DNAME", "new.maas"), set("plain.example", "TXT", `"apex"`),
			set("64-26.2.0.192.in-addr.arpa", "DNAME", "ptr.maas"), set("65.ptr.maas", "PTR", "web.new.maas"),
		},
	})
	return s
}

func TestDNAME(t *testing.T) {
	s := moved(t)
	const made = "\nan old.maas. 17 IN DNAME new.maas."
	for _, c := range []struct{ name, qtype, want string }{
		{"web.old.maas", "A", "NOERROR aa" + made + "\nan web.old.maas. 17 IN CNAME web.new.maas.\nan web.new.maas. 60 IN A 192.0.2.7"},
		{"WEB.Old.maas", "A", "NOERROR aa" + made + "\nan web.old.maas. 17 IN CNAME web.new.maas.\nan web.new.maas. 60 IN A 192.0.2.7"},
		{"web.old.maas", "CNAME", "NOERROR aa" + made + "\nan web.old.maas. 17 IN CNAME web.new.maas."},
		{"web.old.maas", "DNAME", "NOERROR aa" + made + "\nan web.old.maas. 17 IN CNAME web.new.maas.\nau SOA maas."},
		{"web.old.maas", "MX", "NOERROR aa" + made + "\nan web.old.maas. 17 IN CNAME web.new.maas.\nau SOA maas."},
		{"x.any.old.maas", "A", "NOERROR aa" + made + "\nan x.any.old.maas. 17 IN CNAME x.any.new.maas.\nan x.any.new.maas. 60 IN A 192.0.2.8"},
		{"al.old.maas", "A", "NOERROR aa" + made + "\nan al.old.maas. 17 IN CNAME al.new.maas.\nan al.new.maas. 60 IN CNAME web.new.maas.\nan web.new.maas. 60 IN A 192.0.2.7"},
		{"gone.old.maas", "A", "NXDOMAIN aa" + made + "\nan gone.old.maas. 17 IN CNAME gone.new.maas.\nau SOA maas."},
		{"x.cut.old.maas", "A", "NXDOMAIN aa" + made + "\nan x.cut.old.maas. 17 IN CNAME x.cut.new.maas.\nau SOA maas."},
		{"old.maas", "A", "NOERROR aa\nan old.maas. 60 IN A 192.0.2.1"},
		{"old.maas", "AAAA", "NOERROR aa\nau SOA maas."},
		{"old.maas", "DNAME", "NOERROR aa" + made},
		{"x.out.maas", "A", "NOERROR aa\nan out.maas. 60 IN DNAME elsewhere.example.\nan x.out.maas. 60 IN CNAME x.elsewhere.example."},
		{"x.d.sub.maas", "A", "NOERROR\nau sub.maas. 60 IN NS ns.sub.maas."},
		{"x.both.maas", "A", "NOERROR\nau both.maas. 60 IN NS ns.elsewhere.example."},
		{"web.plain.example", "A", "NOERROR aa\nan plain.example. 60 IN DNAME new.maas.\nan web.plain.example. 60 IN CNAME web.new.maas.\nan web.new.maas. 60 IN A 192.0.2.7"},
		{"plain.example", "TXT", "NOERROR aa\nan plain.example. 60 IN TXT \"apex\""},
		{"plain.example", "NS", "NOERROR aa\nan plain.example. 60 IN NS ns1.maas."},
		{"65.64-26.2.0.192.in-addr.arpa", "PTR", "NOERROR aa\nan 64-26.2.0.192.in-addr.arpa. 60 IN DNAME ptr.maas.\n" +
			"an 65.64-26.2.0.192.in-addr.arpa. 60 IN CNAME 65.ptr.maas.\nan 65.ptr.maas. 60 IN PTR web.new.maas."},
		{"web.one.maas", "A", "NOERROR aa\nan one.maas. 60 IN DNAME two.maas.\nan web.one.maas. 60 IN CNAME web.two.maas.\n" +
			"an two.maas. 60 IN DNAME new.maas.\nan web.two.maas. 60 IN CNAME web.new.maas.\nan web.new.maas. 60 IN A 192.0.2.7"},
		{"x.ping.maas", "A", "NOERROR aa\nan ping.maas. 60 IN DNAME pong.maas.\nan x.ping.maas. 60 IN CNAME x.pong.maas.\n" +
			"an pong.maas. 60 IN DNAME ping.maas.\nan x.pong.maas. 60 IN CNAME x.ping.maas."},
	} {
		if diff := cmp.Diff(c.want, digest(ask(t, s, c.name, c.qtype))); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.name, c.qtype, diff)
		}
	}
	// The target has 189 octets on the wire, so that 66 more make the longest name (RFC 1035 section 2.3.4).
	for last, rcode := range map[string]int{"": dns.RcodeNameError, ".y": dns.RcodeNameError, ".yy": dns.RcodeYXDomain, ".y.y": dns.RcodeYXDomain} {
		m := ask(t, s, strings.Repeat("x", 63)+last+".long.maas", "A")
		if len(m.Answer) == 0 || m.Rcode != rcode || m.Answer[0].Header().Rrtype != dns.TypeDNAME || (rcode == dns.RcodeYXDomain) != (len(m.Answer) == 1) {
			t.Errorf("%q: want %s, got %v", last, dns.RcodeToString[rcode], m)
		}
	}
	// A name that grows with each step ends.
	if m := ask(t, s, "x.round.maas", "A"); len(m.Answer) > 40 {
		t.Errorf("%d records", len(m.Answer))
	}
}

// Only the DNAME is signed: validators make the CNAME themselves (RFC 6672 section 5.3.1).
func TestSignedDNAME(t *testing.T) {
	s := moved(t)
	for name, want := range map[string]string{
		"web.old.maas.":      "DNAME RRSIG CNAME A RRSIG",
		"al.old.maas.":       "DNAME RRSIG CNAME CNAME RRSIG A RRSIG",
		"gone.old.maas.":     "DNAME RRSIG CNAME",
		"web.plain.example.": "DNAME CNAME A RRSIG",
		"web.one.maas.":      "DNAME RRSIG CNAME DNAME RRSIG CNAME A RRSIG",
	} {
		q := new(dns.Msg).SetQuestion(name, dns.TypeA)
		q.SetEdns0(1232, true)
		m := s.HandleMsg(t.Context(), q, client)
		var types []string
		for i, rr := range m.Answer {
			types = append(types, dns.TypeToString[rr.Header().Rrtype])
			if sig, ok := rr.(*dns.RRSIG); ok {
				if err := sig.Verify(zoneKey(t, s, "maas"), m.Answer[i-1:i]); err != nil {
					t.Errorf("%s: signature of %v: %v", name, m.Answer[i-1], err)
				}
			}
		}
		if got := strings.Join(types, " "); got != want || m.Rcode != dns.RcodeSuccess {
			t.Errorf("%s: %s %q, want %q", name, dns.RcodeToString[m.Rcode], got, want)
		}
	}
	// A denial at the owner shows that it has a DNAME.
	if got := digest(signedAnswer(t, s, "old.maas", "MX")); !strings.Contains(got, "A DNAME RRSIG NSEC") {
		t.Error(got)
	}
}

func TestDNAMEInFilesAndTransfers(t *testing.T) {
	s := moved(t)
	var first, second bytes.Buffer
	if err := s.WriteZone(&first, "maas"); err != nil {
		t.Fatal(err)
	}
	change, err := dnssrv.ParseZone(bytes.NewReader(first.Bytes()), "maas")
	if err != nil {
		t.Fatal(err)
	}
	copied := dnssrv.New(dnssrv.Config{})
	update(t, copied, change)
	if err := copied.WriteZone(&second, "maas"); err != nil {
		t.Fatal(err)
	}
	drop := func(text string) string { _, rest, _ := strings.Cut(text, "\n"); return rest } // the SOA record, with its serial
	if diff := cmp.Diff(drop(first.String()), drop(second.String())); diff != "" || !strings.Contains(first.String(), "DNAME") {
		t.Errorf("(-first +second):\n%s", diff)
	}
	if got, want := digest(ask(t, copied, "web.old.maas", "A")), digest(ask(t, s, "web.old.maas", "A")); got != want {
		t.Errorf("%s\nwant:\n%s", got, want)
	}
	p := primary(t)
	update(t, p, dnssrv.Change{Set: []dnssrv.RRset{set("old.maas", "DNAME", "new.maas")}})
	q := new(dns.Msg).SetAxfr("maas.")
	q.SetTsig(dns.Fqdn(keyName), dns.HmacSHA256, 300, time.Now().Unix())
	in, err := (&dns.Transfer{TsigSecret: map[string]string{dns.Fqdn(keyName): secret}}).In(q, serve(t, p))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for e := range in {
		if e.Error != nil {
			t.Fatal(e.Error)
		}
		for _, rr := range e.RR {
			if rr.Header().Rrtype == dns.TypeDNAME {
				found++
			}
		}
	}
	if found != 1 {
		t.Errorf("%d of one DNAME in the transfer", found)
	}
}

// RFC 6672 section 5.2 and RFC 2136 section 3.4.2.2
func TestUpdatesOfDNAME(t *testing.T) {
	s := updatable(t)
	update(t, s, dnssrv.Change{Set: []dnssrv.RRset{set("old.maas", "DNAME", "new.maas")}})
	for what, c := range map[string]struct {
		insert, remove string
		want           string
	}{
		"new":                  {insert: "gone.maas. 60 IN DNAME new.maas.", want: "NOERROR gone.maas. DNAME new.maas."},
		"replaced":             {insert: "old.maas. 60 IN DNAME newer.maas.", want: "NOERROR old.maas. DNAME newer.maas."},
		"at the apex":          {insert: "maas. 60 IN DNAME new.example.", want: "NOERROR maas. DNAME new.example."},
		"beside records":       {insert: "web.maas. 60 IN DNAME new.maas.", want: "NOERROR web.maas. DNAME new.maas."},
		"beside an alias":      {insert: "alias.maas. 60 IN DNAME new.maas.", want: "NOERROR"},
		"an alias beside it":   {insert: "old.maas. 60 IN CNAME new.maas.", want: "NOERROR"},
		"records beside it":    {insert: "old.maas. 60 IN A 192.0.2.9", want: "NOERROR old.maas. A 192.0.2.9"},
		"below it":             {insert: "x.old.maas. 60 IN A 192.0.2.9", want: "REFUSED"},
		"far below it":         {insert: "x.y.z.old.maas. 60 IN TXT \"x\"", want: "REFUSED"},
		"a delegation below":   {insert: "x.old.maas. 60 IN NS ns.example.", want: "REFUSED"},
		"removed, then below":  {remove: "old.maas. 0 IN DNAME new.maas.", insert: "x.old.maas. 60 IN A 192.0.2.9", want: "NOERROR old.maas. DNAME; x.old.maas. A 192.0.2.9"},
		"removed":              {remove: "old.maas. 0 IN DNAME new.maas.", want: "NOERROR old.maas. DNAME"},
		"another one removed":  {remove: "old.maas. 0 IN DNAME other.maas.", want: "NOERROR old.maas. DNAME new.maas."},
		"beside it, elsewhere": {insert: "xold.maas. 60 IN A 192.0.2.9", want: "NOERROR xold.maas. A 192.0.2.9"},
	} {
		m := new(dns.Msg).SetUpdate("maas.")
		if c.remove != "" {
			m.Remove([]dns.RR{record(t, c.remove)})
		}
		if c.insert != "" {
			m.Insert([]dns.RR{record(t, c.insert)})
		}
		if got := preview(t, s, keyName, m); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
	err := s.Update(dnssrv.Change{Set: []dnssrv.RRset{set("two.maas", "DNAME", "a.maas", "b.maas")}})
	if err == nil || !strings.Contains(fmt.Sprint(err), "one DNAME") {
		t.Errorf("two DNAMEs of one name: %v", err)
	}
}
