package dnssrv_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// Whatever decodes as a message gets an answer that can be encoded, or none.
func FuzzHandle(f *testing.F) {
	for _, question := range []string{"web.maas.", "a.wild.maas.", "deep.sub.maas.", ".", "loop.maas."} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeANY, dns.TypeSOA, dns.TypeDS} {
			q := new(dns.Msg)
			q.SetQuestion(question, qtype)
			q.SetEdns0(4096, true)
			wire, _ := q.Pack()
			f.Add(wire)
		}
	}
	s := example(f)
	client := netip.MustParseAddr("192.0.2.200")
	f.Fuzz(func(t *testing.T, wire []byte) {
		q := new(dns.Msg)
		if q.Unpack(wire) != nil {
			return
		}
		m := s.HandleMsg(t.Context(), q, client)
		if m == nil {
			return
		}
		if _, err := m.Pack(); err != nil {
			t.Errorf("cannot encode the answer to %v: %v", q, err)
		}
	})
}

// Whatever is set can be asked for and encoded.
func FuzzUpdate(f *testing.F) {
	f.Add("web.maas", "A", "192.0.2.1")
	f.Add("*.maas", "TXT", `"a" "b"`)
	f.Add("maas", "CAA", `0 issue "ca.example"`)
	f.Add("a.maas", "SRV", "0 0 80 web.maas")
	f.Fuzz(func(t *testing.T, name, qtype, data string) {
		s := dnssrv.New(dnssrv.Config{})
		update(t, s, dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas"}}})
		if s.Update(dnssrv.Change{Set: []dnssrv.RRset{set(name, qtype, data)}}) != nil {
			return
		}
		ask(t, s, name, qtype)
	})
}

// keptTypes are those that keepers of records take; see inventory.DNSRecord.
var keptTypes = []string{"A", "AAAA", "CNAME", "MX", "NS", "PTR", "SRV", "SSHFP", "TXT", "CAA", "TLSA", "HTTPS", "SVCB", "DHCID"}

// Whatever a dynamic update would make of the records can be set.
func FuzzPreview(f *testing.F) {
	s := example(f)
	if err := s.SetAccess(dnssrv.Access{Keys: testKeys, Update: []dnssrv.UpdateRule{{Key: keyName, Below: "maas"}}}); err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"new.maas. 60 A 192.0.2.1", "web.maas. 60 TXT a b", "web.maas. 0 CNAME x.", "long.maas. 4294967295 A 192.0.2.1", `*.maas. 60 HTTPS 1 . alpn=h2`} {
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		for _, add := range []func(*dns.Msg, []dns.RR){(*dns.Msg).Insert, (*dns.Msg).Remove, (*dns.Msg).RemoveName, (*dns.Msg).NameUsed} {
			m := new(dns.Msg).SetUpdate("maas.")
			add(m, []dns.RR{rr})
			wire, _ := m.Pack()
			f.Add(wire)
		}
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		zone, names := dnssrv.UpdatedNames(wire)
		sets, rcode := s.Preview(keyName, wire)
		if rcode != dns.RcodeSuccess {
			return
		}
		fresh := example(t)
		for _, set := range sets {
			if !slices.Contains(names, strings.TrimSuffix(set.Name, ".")) {
				t.Errorf("%s is changed, and is not among %v of %s", set.Name, names, zone)
			}
			if !slices.Contains(keptTypes, set.Type) {
				t.Skip(set.Type)
			}
			if _, err := set.Normal(); err != nil {
				t.Error(err)
			}
		}
		if err := fresh.Update(dnssrv.Change{Set: sets}); err != nil {
			t.Errorf("%v cannot be set: %v", sets, err)
		}
	})
}
