package ipam_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"

	"github.com/gomaas/maas/ipam"
)

// A pool gives out what a subnet has left, and says why it refuses the rest.
func Example() {
	usage := ipam.Usage{
		Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("192.0.2.0/29"), Gateway: netip.MustParseAddr("192.0.2.1")},
		Ranges: []ipam.Range{{Type: ipam.RangeReserved, Start: netip.MustParseAddr("192.0.2.2"), End: netip.MustParseAddr("192.0.2.4"), Comment: "switches"}},
	}
	pool, err := ipam.NewPool(context.Background(), ipam.PoolConfig{Usage: usage})
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"node1", "node2", "node3"} {
		addr, err := pool.Next(context.Background(), name)
		fmt.Println(name, addr, err)
	}
	fmt.Println(usage.Explain(netip.MustParseAddr("192.0.2.1")))
	// Output:
	// node1 192.0.2.5 <nil>
	// node2 192.0.2.6 <nil>
	// node3 invalid IP ipam: subnet 192.0.2.0/29 has no free address; release some, shrink a range or extend the subnet
	// 192.0.2.1 on 192.0.2.0/29: gateway-ip
	//   it is in: gateway 192.0.2.1
	//   automatic allocation: no, address 192.0.2.1: is in use (gateway 192.0.2.1)
	//   assigning it by hand: possible
}
