package dhcpsrv_test

import (
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/dhcpsrv"
)

// A link with both families: DHCPv6 gives the addresses, and the advertisement tells hosts to ask for them, which prefix is
// on the link, and its MTU. What a family cannot tell is refused with the place to say it.
func ExampleServer_Update_ipv6() {
	server, err := dhcpsrv.New(dhcpsrv.Config{})
	if err != nil {
		panic(err)
	}
	subnet := dhcpsrv.Subnet{
		Name: "lab6", Prefix: netip.MustParsePrefix("2001:db8::/64"), Link: "eth1", Server: netip.MustParseAddr("2001:db8::1"),
		Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("2001:db8::1:0"), Last: netip.MustParseAddr("2001:db8::1:ffff")}},
	}
	snapshot := dhcpsrv.Snapshot{
		Subnets:        []dhcpsrv.Subnet{subnet},
		Advertisements: []dhcpsrv.Advertisement{{Link: "eth1", Managed: true, MTU: 9000, Prefixes: []netip.Prefix{subnet.Prefix}}},
	}
	fmt.Println(server.Update(snapshot))
	subnet.MTU = 9000
	fmt.Println(server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{subnet}}))
	// Output:
	// <nil>
	// dhcpsrv: snapshot refused: subnet "lab6": fields Routers, Routes and MTU are not told by DHCPv6; advertise them (Snapshot.Advertisements)
}
