package dnssrv_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

// handled packs a question and unpacks the answer, here with miekg/dns; any other codec does.
func handled(s *dnssrv.Server, q *dns.Msg, client netip.Addr) *dns.Msg {
	in, err := q.Pack()
	if err != nil {
		log.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(s.Handle(context.Background(), in, client)); err != nil {
		log.Fatal(err)
	}
	return m
}

// A name is answered as soon as Update returns. Handle is what the sockets call for each question.
func Example() {
	s := dnssrv.New(dnssrv.Config{})
	addr := netip.MustParseAddr("192.0.2.7")
	err := s.Update(dnssrv.Change{
		Zones: []dnssrv.Zone{{Name: "maas"}, {Name: dnssrv.ReverseZones(netip.MustParsePrefix("192.0.2.0/24"))[0]}},
		Set: []dnssrv.RRset{
			{Name: "web.maas", Type: "A", Data: []string{addr.String()}},
			{Name: dnssrv.PTRName(addr), Type: "PTR", Data: []string{"web.maas"}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	q := new(dns.Msg)
	q.SetQuestion(dnssrv.PTRName(addr), dns.TypePTR)
	m := handled(s, q, netip.MustParseAddr("192.0.2.50"))
	fmt.Println(m.Answer[0].(*dns.PTR).Ptr)
	// Output: web.maas.
}

// The names of a dynamic range exist without being stored.
func ExampleRange() {
	s := dnssrv.New(dnssrv.Config{})
	err := s.Update(dnssrv.Change{Zones: []dnssrv.Zone{{
		Name:   "maas",
		Ranges: []dnssrv.Range{{From: netip.MustParseAddr("10.0.0.0"), To: netip.MustParseAddr("10.255.255.255")}},
	}}})
	if err != nil {
		log.Fatal(err)
	}
	q := new(dns.Msg)
	q.SetQuestion("10-1-2-3.maas.", dns.TypeA)
	m := handled(s, q, netip.MustParseAddr("192.0.2.50"))
	fmt.Println(m.Answer[0].(*dns.A).A)
	// Output: 10.1.2.3
}

// A zone comes in as a file and goes out as one.
func ExampleParseZone() {
	change, err := dnssrv.ParseZone(strings.NewReader(`
$TTL 300
@    SOA ns hostmaster.example.com. 1 600 1800 604800 60
@    NS  ns
ns   A   192.0.2.1
`), "maas")
	if err != nil {
		log.Fatal(err)
	}
	for _, set := range change.Set {
		fmt.Println(set.Name, set.TTL, set.Type, set.Data)
	}
	// Output:
	// maas. 300 NS [ns.maas.]
	// ns.maas. 300 A [192.0.2.1]
}
