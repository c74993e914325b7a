package inventory_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/schema"
)

// A site with one network: a machine boots, gets a lease, and has a name.
func Example() {
	ctx := context.Background()
	db, err := store.Open(ctx, "memory:", schema.FS)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	inv, err := inventory.Open(ctx, db, inventory.Config{})
	if err != nil {
		log.Fatal(err)
	}
	subnet, err := inv.Bootstrap(ctx, inventory.Bootstrap{
		Rack: "rack1", Link: "eth0", Address: netip.MustParsePrefix("10.0.0.2/24"), Gateway: netip.MustParseAddr("10.0.0.1"),
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := inv.Profiles.SetDefault(ctx, &pxe.Profile{Kernel: "vmlinuz", Initrd: []string{"initrd"}}); err != nil {
		log.Fatal(err)
	}

	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	if _, _, err := inv.Enlist(ctx, inventory.Enlistment{MAC: mac, Hostname: "node1"}); err != nil {
		log.Fatal(err)
	}
	lease := inventory.LeaseFact{MAC: mac, Addr: netip.MustParseAddr("10.0.0.200"), Expires: time.Now().Add(time.Hour)}
	if err := inv.Leases.Record(ctx, lease); err != nil {
		log.Fatal(err)
	}

	model, err := inv.Model(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(subnet, plan.DHCP(model, model.Racks[0]).Subnets[0].Pools[0].First)
	for _, set := range plan.DNS(model).Sets {
		fmt.Println(set.Name, set.Type, set.Data)
	}
	// Output:
	// 10.0.0.0/24 10.0.0.191
	// 10-0-0-0--24.maas-internal A [10.0.0.2]
	// 2.0.0.10.in-addr.arpa PTR [rack1.maas]
	// 200.0.0.10.in-addr.arpa PTR [node1.maas]
	// node1.maas A [10.0.0.200]
	// ns.maas A [10.0.0.2]
	// rack1.maas A [10.0.0.2]
}

// Several calls in one transaction happen together or not at all.
func ExampleInventory_Atomically() {
	ctx := context.Background()
	db, err := store.Open(ctx, "memory:", schema.FS)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	inv, err := inventory.Open(ctx, db, inventory.Config{})
	if err != nil {
		log.Fatal(err)
	}
	err = inv.Atomically(ctx, func(ctx context.Context) error {
		if _, err := inv.Subnets.Create(ctx, ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/24")}); err != nil {
			return err
		}
		_, err := inv.Ranges.Create(ctx, ipam.Range{Start: netip.MustParseAddr("10.0.0.9"), End: netip.MustParseAddr("10.0.0.3")})
		return err
	})
	fmt.Println(err)
	subnets, _ := inv.Subnets.List(ctx)
	fmt.Println(len(subnets), "subnets")
	// Output:
	// ipam: reserved range 10.0.0.9-10.0.0.3: ends before it starts
	// 0 subnets
}
