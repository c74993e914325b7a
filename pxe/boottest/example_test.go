package boottest_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"sync"
	"testing/fstest"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

// One machine boots from a DHCP, TFTP and HTTP server in the same process.
func Example() {
	segment := boottest.NewSegment(netip.MustParsePrefix("192.0.2.0/24"))
	server := segment.Server(netip.MustParseAddr("192.0.2.1"))

	// The servers under test: DHCP with one subnet, and a boot server with one profile for all
	// machines.
	leases, err := dhcpsrv.New(dhcpsrv.Config{Boot: pxedhcp.New(pxedhcp.Config{})})
	if err != nil {
		log.Fatal(err)
	}
	err = leases.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "lab", Prefix: segment.Prefix(), Link: segment.Link, Server: server.Addr(),
		Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.199")}},
	}}})
	if err != nil {
		log.Fatal(err)
	}
	boot, err := pxe.New(pxe.Config{
		Resolver: pxe.Static(pxe.Profile{Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "quiet"}),
		Files:    fstest.MapFS{"vmlinuz": {Data: []byte("a kernel")}, "initrd": {Data: []byte("an initrd")}},
		Loaders:  fstest.MapFS{},
	})
	if err != nil {
		log.Fatal(err)
	}

	// Their sockets are on the segment.
	dhcp, err := server.DHCP()
	if err != nil {
		log.Fatal(err)
	}
	http, err := server.Listen("tcp", ":5248")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { leases.Serve(ctx, dhcp) })
	running.Go(func() { boot.Serve(ctx, http) })

	machine := segment.NewMachine(boottest.MachineConfig{Firmware: boottest.BIOSiPXE, Hostname: "node-1", Impatient: true})
	report, err := machine.Boot(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Running.Host, "runs", report.Running.Kind)
	fmt.Println(report.Running.Cmdline)
	for _, f := range report.Fetches {
		fmt.Println(f.Stage, f.Bytes > 0)
	}
	stop()
	running.Wait()
	// Output:
	// node-1 runs linux
	// initrd=initrd0 quiet
	// config true
	// kernel true
	// initrd true
}
