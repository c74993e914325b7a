package dhcpsrv_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
)

// An inventory decides: one machine gets its address and boot file, all others are ignored.
func ExampleHosts() {
	inventory := map[string]netip.Addr{"02:00:00:00:00:07": netip.MustParseAddr("192.0.2.70")}
	server, err := dhcpsrv.New(dhcpsrv.Config{Hosts: dhcpsrv.HostsFunc(func(ctx context.Context, q dhcpsrv.HostQuery) (dhcpsrv.Host, error) {
		addr, ok := inventory[q.MAC.String()] // or a database: other clients do not wait
		if !ok {
			return dhcpsrv.Host{Action: dhcpsrv.HostIgnore, Keep: time.Minute}, nil
		}
		return dhcpsrv.Host{Addr: addr, Boot: dhcpsrv.BootAnswer{File: "node.efi"}, Keep: 5 * time.Minute}, nil
	})})
	if err != nil {
		log.Fatal(err)
	}
	err = server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth1", Server: netip.MustParseAddr("192.0.2.1"),
	}}})
	if err != nil {
		log.Fatal(err)
	}
	for _, mac := range []net.HardwareAddr{{2, 0, 0, 0, 0, 7}, {2, 0, 0, 0, 0, 8}} {
		discover, err := dhcpv4.NewDiscovery(mac)
		if err != nil {
			log.Fatal(err)
		}
		reply, ok := server.Handle(context.Background(), dhcpsrv.Packet{Data: discover.ToBytes(), Link: "eth1"})
		if !ok {
			fmt.Println(mac, "ignored")
			continue
		}
		offer, err := dhcpv4.FromBytes(reply.Data)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(mac, offer.YourIPAddr, offer.BootFileName)
	}
	// Output:
	// 02:00:00:00:00:07 192.0.2.70 node.efi
	// 02:00:00:00:00:08 ignored
}

// One machine is reserved and released again without a new snapshot.
func ExampleServer_Reserve() {
	server, err := dhcpsrv.New(dhcpsrv.Config{})
	if err != nil {
		log.Fatal(err)
	}
	err = server.SetSubnet(dhcpsrv.Subnet{
		Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth1", Server: netip.MustParseAddr("192.0.2.1"),
	})
	if err != nil {
		log.Fatal(err)
	}
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	fmt.Println(server.Reserve(dhcpsrv.Reservation{MAC: mac, Addr: netip.MustParseAddr("192.0.2.70")}))
	fmt.Println(server.Reserve(dhcpsrv.Reservation{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 8}, Addr: netip.MustParseAddr("192.0.2.70")}))
	fmt.Println(server.Unreserve(dhcpsrv.Reservation{MAC: mac}))
	// Output:
	// <nil>
	// dhcpsrv: reserve: reservation 02:00:00:00:00:08: 192.0.2.70 is already reserved for 02:00:00:00:00:07
	// <nil>
}

// Switches that boot ONIE get a pool and an installer of their own.
func ExampleClass() {
	addr := netip.MustParseAddr
	server, err := dhcpsrv.New(dhcpsrv.Config{})
	if err != nil {
		log.Fatal(err)
	}
	err = server.Update(dhcpsrv.Snapshot{
		Classes: []dhcpsrv.Class{{
			Name: "switches", VendorClass: "onie_vendor:", Options: dhcpsrv.Options{dhcpsrv.TextOption(114, "http://192.0.2.1/onie")},
		}},
		Subnets: []dhcpsrv.Subnet{{
			Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth1", Server: addr("192.0.2.1"),
			Pools: []dhcpsrv.Pool{
				{First: addr("192.0.2.100"), Last: addr("192.0.2.100")},
				{First: addr("192.0.2.200"), Last: addr("192.0.2.200"), Class: "switches"},
			},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, class := range []string{"udhcp", "onie_vendor:x86_64-acme"} {
		discover, err := dhcpv4.NewDiscovery(net.HardwareAddr{2, 0, 0, 0, 0, byte(len(class))}, dhcpv4.WithOption(dhcpv4.OptClassIdentifier(class)))
		if err != nil {
			log.Fatal(err)
		}
		x := server.Explain(context.Background(), dhcpsrv.Packet{Data: discover.ToBytes(), Link: "eth1"})
		fmt.Println(class, x.Addr)
	}
	// Output:
	// udhcp 192.0.2.100
	// onie_vendor:x86_64-acme 192.0.2.200
}

// The leases of one subnet are listed, and one is ended.
func ExampleServer_Release() {
	ctx, addr := context.Background(), netip.MustParseAddr("192.0.2.100")
	server, err := dhcpsrv.New(dhcpsrv.Config{Events: func(ev dhcpsrv.Event) { fmt.Println(ev.Kind, ev.Lease.Addr) }})
	if err != nil {
		log.Fatal(err)
	}
	err = server.SetSubnet(dhcpsrv.Subnet{
		Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth1", Server: netip.MustParseAddr("192.0.2.1"),
		Pools: []dhcpsrv.Pool{{First: addr, Last: addr}}, RapidCommit: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	discover, err := dhcpv4.NewDiscovery(net.HardwareAddr{2, 0, 0, 0, 0, 7}, dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionRapidCommit, nil)))
	if err != nil {
		log.Fatal(err)
	}
	server.Handle(ctx, dhcpsrv.Packet{Data: discover.ToBytes(), Link: "eth1"})
	for l := range server.Leases(dhcpsrv.LeaseFilter{Subnet: "lab", State: dhcpsrv.Bound}) {
		fmt.Println(l.Addr, l.MAC)
	}
	fmt.Println(server.Release(ctx, addr))
	fmt.Println(server.Release(ctx, addr))
	// Output:
	// granted 192.0.2.100
	// 192.0.2.100 02:00:00:00:00:07
	// released 192.0.2.100
	// <nil>
	// dhcpsrv: release 192.0.2.100: no lease is bound to it: file does not exist
}
