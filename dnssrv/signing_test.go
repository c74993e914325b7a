package dnssrv_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// testKey is a key for tests only.
const testKey = dnssrv.SigningKey("cQFvkZHVS8XG6B1qJQ3dHm5d1cIn5ZfvJvJvE0mX0dk=")

// signed is the example with its forward zone and one of its two children signed.
func signed(t testing.TB) *dnssrv.Server {
	s := example(t)
	update(t, s, dnssrv.Change{
		Zones: []dnssrv.Zone{
			{
				Name: "maas", TTL: 60, NS: []string{"ns1.maas"}, SigningKey: testKey,
				Ranges: []dnssrv.Range{{From: netip.MustParseAddr("10.0.0.0"), To: netip.MustParseAddr("10.0.0.9")}},
			},
			{Name: "signed.maas", SigningKey: dnssrv.NewSigningKey(), NS: []string{"ns1.maas"}},
			{Name: "plain.maas", NS: []string{"ns1.maas"}},
		},
		Set: []dnssrv.RRset{
			set("www.signed.maas", "A", "192.0.2.80"), set("www.plain.maas", "A", "192.0.2.81"), set("into.maas", "CNAME", "www.signed.maas"),
			set("moved.maas", "DNAME", "signed.maas"),
			set("sub2.maas", "NS", "ns.elsewhere.example"), set("sub2.maas", "DS", "1 13 2 "+strings.Repeat("ab", 32)),
		},
	})
	return s
}

// signedAnswer asks for signatures and checks that each set has a good one. It returns the answer without them.
func signedAnswer(t *testing.T, s *dnssrv.Server, name, qtype string) *dns.Msg {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.StringToType[qtype])
	q.SetEdns0(1232, true)
	m := s.HandleMsg(t.Context(), q, netip.MustParseAddr("192.0.2.200"))
	for _, section := range []*[]dns.RR{&m.Answer, &m.Ns} {
		var kept []dns.RR
		sets := map[string][]dns.RR{}
		var sigs []*dns.RRSIG
		for _, rr := range *section {
			if sig, ok := rr.(*dns.RRSIG); ok {
				sigs = append(sigs, sig)
				continue
			}
			kept = append(kept, rr)
			id := fmt.Sprint(rr.Header().Name, rr.Header().Rrtype)
			sets[id] = append(sets[id], rr)
		}
		for _, sig := range sigs {
			id := fmt.Sprint(sig.Hdr.Name, sig.TypeCovered)
			if err := sig.Verify(zoneKey(t, s, sig.SignerName), sets[id]); err != nil || !sig.ValidityPeriod(time.Now()) {
				t.Errorf("%s %s: signature of %s: %v", name, qtype, id, err)
			}
			delete(sets, id)
		}
		for id, set := range sets {
			if set[0].Header().Rrtype != dns.TypeNS && !strings.HasSuffix(set[0].Header().Name, "plain.maas.") {
				t.Errorf("%s %s: %s is not signed", name, qtype, id)
			}
		}
		*section = kept
	}
	m.Extra = slices.DeleteFunc(m.Extra, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	return m
}

func zoneKey(t *testing.T, s *dnssrv.Server, zone string) *dns.DNSKEY {
	t.Helper()
	for _, rr := range ask(t, s, zone, "DNSKEY").Answer {
		if key, ok := rr.(*dns.DNSKEY); ok {
			return key
		}
	}
	t.Fatalf("zone %s has no key", zone)
	return nil
}

func TestSignedAnswers(t *testing.T) {
	s := signed(t)
	for _, c := range []struct{ name, qtype, want string }{
		{"web.maas", "A", "NOERROR aa\nan web.maas. 60 IN A 192.0.2.7\nan web.maas. 60 IN A 192.0.2.8"},
		{"web.maas", "MX", "NOERROR aa\nau SOA maas.\nau web.maas. 60 IN NSEC \\000.web.maas. A AAAA RRSIG NSEC"},
		{"nope.maas", "A", "NOERROR aa\nau SOA maas.\nau nope.maas. 60 IN NSEC \\000.nope.maas. RRSIG NSEC NXNAME"},
		{"_tcp.maas", "A", "NOERROR aa\nau SOA maas.\nau _tcp.maas. 60 IN NSEC \\000._tcp.maas. RRSIG NSEC"},
		{"a.b.wild.maas", "TXT", "NOERROR aa\nan a.b.wild.maas. 60 IN TXT \"any\""},
		{"a.wild.maas", "A", "NOERROR aa\nau SOA maas.\nau a.wild.maas. 60 IN NSEC \\000.a.wild.maas. TXT RRSIG NSEC"},
		{"10-0-0-7.maas", "A", "NOERROR aa\nan 10-0-0-7.maas. 60 IN A 10.0.0.7"},
		{"10-0-0-7.maas", "AAAA", "NOERROR aa\nau SOA maas.\nau 10-0-0-7.maas. 60 IN NSEC \\000.10-0-0-7.maas. A RRSIG NSEC"},
		{"deep.sub.maas", "A", "NOERROR\nau sub.maas. 60 IN NS ns.sub.maas.\nau sub.maas. 60 IN NSEC \\000.sub.maas. NS RRSIG NSEC\nad ns.sub.maas. 60 IN A 192.0.2.53"},
		{"deep.sub2.maas", "A", "NOERROR\nau sub2.maas. 60 IN NS ns.elsewhere.example.\nau sub2.maas. 60 IN DS 1 13 2 " + strings.Repeat("AB", 32)},
		{"sub.maas", "DS", "NOERROR aa\nau SOA maas.\nau sub.maas. 60 IN NSEC \\000.sub.maas. NS RRSIG NSEC"},
		{"plain.maas", "DS", "NOERROR aa\nau SOA maas.\nau plain.maas. 60 IN NSEC \\000.plain.maas. NS RRSIG NSEC"},
		{"www.plain.maas", "A", "NOERROR aa\nan www.plain.maas. 30 IN A 192.0.2.81"},
		{"into.maas", "A", "NOERROR aa\nan into.maas. 60 IN CNAME www.signed.maas.\nan www.signed.maas. 30 IN A 192.0.2.80"},
		{"into.maas", "AAAA", "NOERROR aa\nan into.maas. 60 IN CNAME www.signed.maas.\nau SOA signed.maas.\nau www.signed.maas. 30 IN NSEC \\000.www.signed.maas. A RRSIG NSEC"},
		{"web.maas", "NSEC", "NOERROR aa\nan web.maas. 60 IN NSEC \\000.web.maas. A AAAA RRSIG NSEC"},
		{"maas", "MX", "NOERROR aa\nau SOA maas.\nau maas. 60 IN NSEC \\000.maas. NS SOA RRSIG NSEC DNSKEY CDS CDNSKEY"},
	} {
		if got := digest(signedAnswer(t, s, c.name, c.qtype)); got != c.want {
			t.Errorf("%s %s:\n%s\nwant:\n%s", c.name, c.qtype, got, c.want)
		}
	}
	if got := digest(ask(t, s, "nope.maas", "A")); got != "NXDOMAIN aa\nau SOA maas." {
		t.Errorf("without DO:\n%s", got)
	}
	ds := signedAnswer(t, s, "signed.maas", "DS").Answer
	if len(ds) != 1 || zoneKey(t, s, "signed.maas").ToDS(dns.SHA256).Digest != ds[0].(*dns.DS).Digest {
		t.Errorf("DS of a signed child: %v", ds)
	}
	if got, err := testKey.DS("maas"); err != nil || !strings.HasPrefix(got, fmt.Sprint(zoneKey(t, s, "maas").KeyTag(), " 13 2 ")) {
		t.Errorf("DS: %q, %v", got, err)
	}
}

func TestDerivedKeys(t *testing.T) {
	secret := make([]byte, 32)
	one := dnssrv.DeriveSigningKey(secret, "maas")
	if one != dnssrv.DeriveSigningKey(secret, "MAAS.") {
		t.Error("the same zone has two keys")
	}
	ds, err := one.DS("maas")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := dnssrv.DeriveSigningKey(secret, "lab").DS("maas"); err != nil || other == ds {
		t.Errorf("two zones have one key: %v", err)
	}
}

func TestSigningKeysDoNotShow(t *testing.T) {
	z := dnssrv.Zone{Name: "maas", SigningKey: testKey}
	if text := fmt.Sprintf("%v %+v %#v %s %q", z, z, z, z.SigningKey, z.SigningKey); strings.Contains(text, "cQFv") {
		t.Error(text)
	}
	var back dnssrv.Zone
	if text, err := json.Marshal(z); err != nil || json.Unmarshal(text, &back) != nil || back.SigningKey != testKey {
		t.Errorf("JSON: %s, %v", text, err)
	}
	for _, bad := range []dnssrv.SigningKey{"?", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="} {
		err := dnssrv.New(dnssrv.Config{}).Update(dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas", SigningKey: bad}}})
		if err == nil || !strings.Contains(err.Error(), "zone maas") {
			t.Errorf("%s: %v", string(bad), err)
		}
	}
}

// BIND's validator believes every kind of answer and denial.
func TestDelvValidates(t *testing.T) {
	netlab.Require(t, netlab.Program("delv", "bind9-dnsutils"))
	s := signed(t)
	host, port, _ := net.SplitHostPort(serve(t, s))
	ds, err := testKey.DS("maas")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(ds)
	anchors := write(t, filepath.Join(t.TempDir(), "anchors"), fmt.Sprintf("trust-anchors { maas. static-ds %s %s %s %q; };\n", fields[0], fields[1], fields[2], fields[3]))
	for _, c := range []struct{ name, qtype, want string }{
		{"web.maas", "A", "fully validated"},
		{"maas", "SOA", "fully validated"},
		{"maas", "DNSKEY", "fully validated"},
		{"www.maas", "AAAA", "fully validated"},
		{"web.maas", "MX", "negative response, fully validated"},
		{"nope.maas", "A", "negative response, fully validated"},
		{"a.b.wild.maas", "TXT", "fully validated"},
		{"a.wild.maas", "A", "negative response, fully validated"},
		{"10-0-0-7.maas", "A", "fully validated"},
		{"www.signed.maas", "A", "fully validated"},
		{"nope.signed.maas", "A", "negative response, fully validated"},
		{"into.maas", "A", "fully validated"},
		{"www.moved.maas", "A", "fully validated"},
		{"moved.maas", "A", "negative response, fully validated"},
		{"www.plain.maas", "A", "unsigned answer"},
	} {
		out, err := exec.CommandContext(t.Context(), "delv", "@"+host, "-p", port, "-a", anchors, "+root=maas", c.name, c.qtype).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "; "+c.want) {
			t.Errorf("%s %s: %v, want %q\n%s", c.name, c.qtype, err, c.want, out)
		}
	}
}

func BenchmarkSigned(b *testing.B) {
	s := signed(b)
	q := new(dns.Msg)
	q.SetQuestion("web.maas.", dns.TypeA)
	q.SetEdns0(1232, true)
	b.ReportAllocs()
	for b.Loop() {
		s.HandleMsg(b.Context(), q, netip.MustParseAddr("192.0.2.200"))
	}
}
