package dhcpsrv_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/gomaas/maas/dhcpsrv"
)

// A server hands an address to one machine, without any network.
func Example() {
	server, err := dhcpsrv.New(dhcpsrv.Config{
		Events: func(ev dhcpsrv.Event) { fmt.Println(ev.Kind, ev.Lease.Addr, "to", ev.Lease.Hostname) },
	})
	if err != nil {
		log.Fatal(err)
	}
	err = server.Update(dhcpsrv.Snapshot{
		Subnets: []dhcpsrv.Subnet{{
			Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth1", Server: netip.MustParseAddr("192.0.2.1"),
		}},
		Reservations: []dhcpsrv.Reservation{{
			MAC: net.HardwareAddr{2, 0, 0, 0, 0, 7}, Addr: netip.MustParseAddr("192.0.2.70"),
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	discover, err := dhcpv4.NewDiscovery(net.HardwareAddr{2, 0, 0, 0, 0, 7}, dhcpv4.WithOption(dhcpv4.OptHostName("node-7")))
	if err != nil {
		log.Fatal(err)
	}
	reply, _ := server.Handle(context.Background(), dhcpsrv.Packet{Data: discover.ToBytes(), Link: "eth1"})
	offer, err := dhcpv4.FromBytes(reply.Data)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(offer.MessageType(), offer.YourIPAddr)

	request, err := dhcpv4.NewRequestFromOffer(offer, dhcpv4.WithOption(dhcpv4.OptHostName("node-7")))
	if err != nil {
		log.Fatal(err)
	}
	reply, _ = server.Handle(context.Background(), dhcpsrv.Packet{Data: request.ToBytes(), Link: "eth1"})
	fmt.Println("to", reply.Dst, reply.HW)
	// Output:
	// OFFER 192.0.2.70
	// granted 192.0.2.70 to node-7
	// to 192.0.2.70:68 02:00:00:00:00:07
}

// A refused snapshot names what is wrong, and the server goes on with the one before.
func ExampleServer_Update() {
	server, _ := dhcpsrv.New(dhcpsrv.Config{})
	err := server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Server: netip.MustParseAddr("192.0.2.1"),
		Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("192.0.2.200"), Last: netip.MustParseAddr("192.0.3.10")}},
	}}})
	fmt.Println(err)
	// Output:
	// dhcpsrv: snapshot refused: subnet "lab": pool 192.0.2.200-192.0.3.10 leaves the usable addresses of 192.0.2.0/24
}

// Why does a machine get no answer? Explain runs the code that serves and tells.
func ExampleServer_Explain() {
	server, _ := dhcpsrv.New(dhcpsrv.Config{})
	err := server.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth1", Server: netip.MustParseAddr("192.0.2.1"),
	}}})
	if err != nil {
		log.Fatal(err)
	}
	discover, err := dhcpv4.NewDiscovery(net.HardwareAddr{2, 0, 0, 0, 0, 7})
	if err != nil {
		log.Fatal(err)
	}
	x := server.Explain(context.Background(), dhcpsrv.Packet{Data: discover.ToBytes(), Link: "eth1"})
	for _, step := range x.Steps {
		fmt.Println(step)
	}
	fmt.Println("silence:", x.Reason)
	// Output:
	// subnet "lab" by link
	// client by link address 020000000007
	// silence: pool-exhausted
}
