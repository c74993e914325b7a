package dnsrpc_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
)

func TestApplyFollowsTheTopic(t *testing.T) {
	server := dnssrv.New(dnssrv.Config{})
	apply := dnsrpc.Follow(server).Apply
	put := func(sets ...dnssrv.RRset) {
		t.Helper()
		objects, err := dnsrpc.Objects(dnsrpc.Content{Zones: []dnssrv.Zone{{Name: "maas"}}, Sets: sets})
		if err != nil {
			t.Fatal(err)
		}
		if err := apply(t.Context(), objects); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(name string) (rcode int, serial uint32) {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeA)
		m := handled(t.Context(), server, q, netip.MustParseAddr("192.0.2.1"))
		q.SetQuestion("maas.", dns.TypeSOA)
		return m.Rcode, handled(t.Context(), server, q, netip.MustParseAddr("192.0.2.1")).Answer[0].(*dns.SOA).Serial
	}
	a := dnssrv.RRset{Name: "a.maas", Type: "A", Data: []string{"192.0.2.1"}}
	b := dnssrv.RRset{Name: "b.maas", Type: "A", Data: []string{"192.0.2.2"}}
	put(a, b)
	code, first := ask("b.maas.")
	if code != dns.RcodeSuccess {
		t.Errorf("b: %d", code)
	}
	put(a, b)
	if _, serial := ask("b.maas."); serial != first {
		t.Error("the same state again changed the serial")
	}
	put(a)
	if code, serial := ask("b.maas."); code != dns.RcodeNameError || serial != first+1 {
		t.Errorf("b after its removal: code %d, serial %d after %d", code, serial, first)
	}
	if err := apply(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// Following changes one by one leads where applying the whole does.
func TestChangeIsApply(t *testing.T) {
	server := dnssrv.New(dnssrv.Config{})
	f := dnsrpc.Follow(server)
	content := dnsrpc.Content{Zones: []dnssrv.Zone{{Name: "maas"}}, Forwarding: dnssrv.Forwarding{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}}}
	objects, err := dnsrpc.Objects(content)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Apply(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	steps := [][]dnssrv.RRset{
		{{Name: "a.maas", Type: "A", Data: []string{"192.0.2.1"}}, {Name: "b.maas", Type: "A", Data: []string{"192.0.2.2"}, Learned: true}},
		{{Name: "a.maas", Type: "A", Data: []string{"192.0.2.3"}}, {Name: "b.maas", Type: "A", Learned: true}},
		{{Name: "a.maas", Type: "A"}, {Name: "c.maas", Type: "A", Data: []string{"192.0.2.4"}}},
	}
	for _, sets := range steps {
		upserts, deletes, err := dnsrpc.SetObjects(sets)
		if err != nil {
			t.Fatal(err)
		}
		var changed []rpc.Object
		for key, value := range upserts {
			objects[key] = value
			changed = append(changed, rpc.Object{Key: key, Value: value})
		}
		for _, key := range deletes {
			delete(objects, key)
			changed = append(changed, rpc.Object{Key: key, Deleted: true})
		}
		if err := f.Change(t.Context(), changed); err != nil {
			t.Fatal(err)
		}
		whole := dnssrv.New(dnssrv.Config{})
		if err := dnsrpc.Follow(whole).Apply(t.Context(), objects); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a.maas.", "b.maas.", "c.maas."} {
			q := new(dns.Msg)
			q.SetQuestion(name, dns.TypeA)
			client := netip.MustParseAddr("192.0.2.1")
			want, got := handled(t.Context(), whole, q, client), handled(t.Context(), server, q, client)
			if got.Rcode != want.Rcode || len(got.Answer) != len(want.Answer) || len(got.Answer) > 0 && got.Answer[0].String() != want.Answer[0].String() {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	}
	bad := []rpc.Object{{Key: "set/x.elsewhere/A", Value: []byte(`{"name":"x.elsewhere","type":"A","data":["192.0.2.1"]}`)}}
	if err := f.Change(t.Context(), bad); err == nil {
		t.Error("a record of no zone was accepted")
	}
}

func TestDoubleSetsAreNamed(t *testing.T) {
	sets := []dnssrv.RRset{{Name: "a.maas", Type: "A"}, {Name: "A.MAAS.", Type: "a"}}
	if _, err := dnsrpc.Objects(dnsrpc.Content{Sets: sets}); err == nil {
		t.Error("accepted")
	}
}

func FuzzApply(f *testing.F) {
	f.Add("zone/maas", []byte(`{"name":"maas"}`))
	f.Add("set/a.maas/A", []byte(`{"name":"a.maas","type":"A","data":["192.0.2.1"]}`))
	f.Add("forwarding", []byte(`{"servers":["192.0.2.1:53"]}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		apply := dnsrpc.Follow(dnssrv.New(dnssrv.Config{})).Apply
		objects := map[string][]byte{"zone/maas": []byte(`{"name":"maas"}`), key: value}
		if apply(t.Context(), objects) == nil {
			if err := apply(t.Context(), nil); err != nil {
				t.Errorf("applied, but cannot be removed: %v", err)
			}
		}
	})
}

// handled returns the answer of a DNS server to a message.
func handled(ctx context.Context, s *dnssrv.Server, q *dns.Msg, client netip.Addr) *dns.Msg {
	in, err := q.Pack()
	if err != nil {
		panic(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(s.Handle(ctx, in, client)); err != nil {
		panic(err)
	}
	return m
}
