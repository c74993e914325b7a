package dnssrv_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// Questions count whether they take the plain path or the general one, and however they were answered.
func TestStats(t *testing.T) {
	far := dnssrv.New(dnssrv.Config{})
	update(t, far, dnssrv.Change{Zones: []dnssrv.Zone{{Name: "far.example"}}, Set: []dnssrv.RRset{set("a.far.example", "A", "192.0.2.1")}})
	alive := netip.MustParseAddrPort(serve(t, far))
	dead := netip.MustParseAddrPort("127.0.0.1:1")
	s := example(t)
	if err := s.SetForwarding(dnssrv.Forwarding{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Servers: []netip.AddrPort{alive},
		Domains: []dnssrv.DomainForwarding{{Name: "dead.example", Servers: []netip.AddrPort{dead}}},
	}); err != nil {
		t.Fatal(err)
	}
	server := serve(t, s)
	for _, name := range []string{"web.maas.", "nobody.maas.", "a.far.example.", "a.far.example.", "a.dead.example."} {
		q := new(dns.Msg)
		q.SetQuestion(name, dns.TypeA)
		if _, _, err := (&dns.Client{Timeout: 10 * time.Second}).Exchange(q, server); err != nil {
			t.Fatal(name, err)
		}
	}
	want := dnssrv.Stats{
		Answers: map[string]uint64{"NOERROR": 3, "NXDOMAIN": 1, "SERVFAIL": 1},
		Cache:   dnssrv.CacheStats{Hits: 1, Misses: 1, Failed: 1, Entries: 2, Limit: 64 << 20},
		Upstreams: []dnssrv.UpstreamStats{
			{Server: dead, Resting: true, Asked: 2, Failed: 2}, {Server: alive, Asked: 1},
		},
	}
	if alive.Compare(dead) < 0 {
		want.Upstreams[0], want.Upstreams[1] = want.Upstreams[1], want.Upstreams[0]
	}
	var got dnssrv.Stats
	eventually(t, "all is counted", func() bool { got = s.Stats(); return got.Answers["NOERROR"] == 3 }) // after it was sent
	byteless := cmp.Options{cmpopts.IgnoreFields(dnssrv.CacheStats{}, "Bytes"), cmpopts.IgnoreFields(dnssrv.UpstreamStats{}, "Delay"), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}
	if diff := cmp.Diff(want, got, byteless); diff != "" {
		t.Error(diff)
	}
	if got.Cache.Bytes <= 0 || got.Cache.Bytes > got.Cache.Limit {
		t.Errorf("%d bytes are kept", got.Cache.Bytes)
	}
	for _, u := range got.Upstreams {
		if (u.Delay > 0) != (u.Server == alive) {
			t.Errorf("%s takes %v", u.Server, u.Delay)
		}
	}
}
