package dhcpsrv_test

import (
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/radv"
)

// On an IPv6 link DHCPv6 gives the addresses. The router advertisement makes hosts ask for them, and carries the prefix and the
// MTU. A field that DHCPv6 cannot carry is refused, and the error names the package that can.
func ExampleServer_Update_ipv6() {
	server, err := dhcpsrv.New(dhcpsrv.Config{})
	if err != nil {
		panic(err)
	}
	subnet := dhcpsrv.Subnet{
		Name: "lab6", Prefix: netip.MustParsePrefix("2001:db8::/64"), Link: "eth1", Server: netip.MustParseAddr("2001:db8::1"),
		Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("2001:db8::1:0"), Last: netip.MustParseAddr("2001:db8::1:ffff")}},
	}
	fmt.Println(server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{subnet}}))
	routers, err := radv.New(radv.Config{})
	if err != nil {
		panic(err)
	}
	fmt.Println(routers.Update([]radv.Advertisement{{Link: "eth1", Managed: true, MTU: 9000, Prefixes: []netip.Prefix{subnet.Prefix}}}))
	subnet.MTU = 9000
	fmt.Println(server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{subnet}}))
	// Output:
	// <nil>
	// <nil>
	// dhcpsrv: snapshot refused: subnet "lab6": fields Routers, Routes and MTU are not carried by DHCPv6; advertise them (package radv)
}
