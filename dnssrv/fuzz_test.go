package dnssrv_test

import (
	"net/netip"
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
		m := s.Handle(t.Context(), q, client)
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
