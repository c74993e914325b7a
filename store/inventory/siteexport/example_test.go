package siteexport_test

import (
	"fmt"

	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteexport"
)

func Example() {
	doc := sitedoc.Document{
		Subnets:  []sitedoc.Subnet{{CIDR: "192.0.2.0/24", VLAN: "hall/0", Gateway: "192.0.2.1", Scan: true}},
		Ranges:   []sitedoc.Range{{Type: "dynamic", Start: "192.0.2.100", End: "192.0.2.199"}},
		Reserved: []sitedoc.ReservedIP{{IP: "192.0.2.150", MAC: "02:00:5e:00:00:0a", Comment: "switch"}},
	}
	got, err := siteexport.Write(doc, "dnsmasq", siteexport.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s\n", got.Files[0].Data)
	for _, i := range got.Report {
		fmt.Printf("%s %v: %s, %s\n", i.Object, i.Fields, i.Outcome, i.Why)
	}
	// Output:
	// # Written by maas export from a site document; changes here are lost.
	// dhcp-authoritative
	// dhcp-range=set:net-192-0-2-0-24,192.0.2.100,192.0.2.149,255.255.255.0,600
	// dhcp-range=set:net-192-0-2-0-24,192.0.2.151,192.0.2.199,255.255.255.0,600
	// dhcp-option=tag:net-192-0-2-0-24,3,192.0.2.1
	// dhcp-host=02:00:5e:00:00:0a,192.0.2.150,switch
	//
	// subnet 192.0.2.0/24 [cidr]: taken, a subnet
	// subnet 192.0.2.0/24 [vlan]: changed, dnsmasq takes the subnets of an interface as one network
	// subnet 192.0.2.0/24 [gateway_ip]: taken, the router of its clients
	// subnet 192.0.2.0/24 [active_discovery]: left out, racks have the proxy, and discover the network
	// range 192.0.2.100 192.0.2.199 [type start_ip end_ip]: changed, pools without the reserved addresses
	// reserved_ip 192.0.2.150 [ip mac_address]: taken, a fixed address
	// reserved_ip 192.0.2.150 [comment]: taken, the name of the host
}
