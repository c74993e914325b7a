package pxedhcp_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"testing/fstest"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

// One call boots what asks on two interfaces. Site.DHCP and Site.Boot are the settings of the
// servers; here each boot is logged.
func Example() {
	err := pxedhcp.Serve(context.Background(), pxedhcp.Site{
		Interfaces: []string{"eth1", "eth2"},
		Boot: pxe.Config{
			Resolver: pxe.Static(pxe.Profile{Kernel: "vmlinuz", Initrd: []string{"initrd.img"}, Cmdline: "console=ttyS0"}),
			Files:    os.DirFS("/srv/images"),
			Events:   func(e pxe.Event) { log.Print(e.MAC, " ", e.Stage, " ", e.Path) },
		},
	})
	log.Fatal(err)
}

// A whole boot in memory: the sockets are of a simulated segment, and so is the machine.
func ExampleServe() {
	segment := boottest.NewSegment(netip.MustParsePrefix("192.0.2.0/24"))
	node := segment.Server(netip.MustParseAddr("192.0.2.1"))
	dhcp, _ := node.DHCP()
	http, _ := node.Listen("tcp", ":5248")

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- pxedhcp.Serve(ctx, pxedhcp.Site{
			Subnets: []dhcpsrv.Subnet{{
				Name: "lab", Prefix: segment.Prefix(), Link: segment.Link, Server: node.Addr(),
				Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.199")}},
			}},
			Boot: pxe.Config{
				Resolver: pxe.Static(pxe.Profile{Kernel: "vmlinuz", Cmdline: "quiet"}),
				Files:    fstest.MapFS{"vmlinuz": {Data: []byte("a kernel")}},
				Loaders:  fstest.MapFS{},
			},
			Sockets: pxedhcp.Sockets{DHCP: dhcp, HTTP: []net.Listener{http}},
		})
	}()

	machine := segment.NewMachine(boottest.MachineConfig{Firmware: boottest.BIOSiPXE, Impatient: true})
	report, err := machine.Boot(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("runs", report.Running.Kind, report.Running.Cmdline)
	stop()
	fmt.Println("ended with", <-done)
	// Output:
	// runs linux quiet
	// ended with <nil>
}

// The servers without sockets, to read and change what they have.
func ExampleNewServer() {
	server, err := pxedhcp.NewServer(pxedhcp.Site{
		Subnets: []dhcpsrv.Subnet{{
			Name: "lab", Prefix: netip.MustParsePrefix("192.0.2.0/24"), Link: "eth1", Server: netip.MustParseAddr("192.0.2.1"),
		}},
		Reservations: []dhcpsrv.Reservation{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addr: netip.MustParseAddr("192.0.2.7")}},
		Boot:         pxe.Config{Resolver: pxe.Static(pxe.Profile{Kind: pxe.Local})},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, leased := server.DHCP().Lookup(netip.MustParseAddr("192.0.2.7"))
	fmt.Println("leased:", leased)
	// Output: leased: false
}

func ExampleSelector() {
	selector := pxedhcp.New(pxedhcp.Config{})
	// dhcpsrv.Config{Boot: selector} is the whole wiring; here it is asked by hand.
	answer, _ := selector.SelectBoot(context.Background(), dhcpsrv.BootQuery{
		Arch:        []uint16{7},
		VendorClass: "PXEClient:Arch:00007:UNDI:003000",
		Server:      netip.MustParseAddr("192.0.2.1"),
	})
	fmt.Println(answer.File, answer.NextServer)
	// Output: shimx64.efi 192.0.2.1
}
