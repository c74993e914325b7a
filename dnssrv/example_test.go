package dnssrv_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/dnssrv"
)

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
	m := s.Handle(context.Background(), q, netip.MustParseAddr("192.0.2.50"))
	fmt.Println(m.Answer[0].(*dns.PTR).Ptr)
	// Output: web.maas.
}
