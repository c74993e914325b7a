package dnsupdate_test

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/gomaas/maas/dnssrv/dnsupdate"
)

// A lease becomes a name and a reverse name at the company's DNS server. Run sends them; until then
// they wait.
func Example() {
	c, err := dnsupdate.New(dnsupdate.Config{Server: "192.0.2.53:53", Zones: []string{"corp.example", "2.0.192.in-addr.arpa"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	// In the Events function of a DHCP server: Set for granted and renewed leases, Remove for others.
	c.Set(dnsupdate.Host{Name: "web.corp.example", Addr: netip.MustParseAddr("192.0.2.7"), MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}})
	fmt.Println(c.Stats().Pending, "names wait")
	// Output: 2 names wait
}
