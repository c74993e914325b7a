package dnssrv_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// large returns a server with n hosts.
func large(b *testing.B, n int) *dnssrv.Server {
	s := dnssrv.New(dnssrv.Config{})
	c := dnssrv.Change{Zones: []dnssrv.Zone{{Name: "maas"}}}
	for i := range n {
		c.Set = append(c.Set, set(fmt.Sprintf("host%d.maas", i), "A", fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)))
	}
	update(b, s, c)
	return s
}

func BenchmarkHandle(b *testing.B) {
	s := large(b, 100_000)
	q := new(dns.Msg)
	q.SetQuestion("host4711.maas.", dns.TypeA)
	client := netip.MustParseAddr("192.0.2.200")
	b.ReportAllocs()
	for b.Loop() {
		s.HandleMsg(b.Context(), q, client)
	}
}

func BenchmarkUpdateOne(b *testing.B) {
	s := large(b, 100_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		update(b, s, dnssrv.Change{Set: []dnssrv.RRset{set("new.maas", "A", fmt.Sprintf("10.1.2.%d", i&255))}})
	}
}
