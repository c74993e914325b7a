// Command netboot boots whatever asks on one interface: DHCP, TFTP and HTTP in one small program.
//
//	sudo netboot -interface eth0 -kernel vmlinuz -initrd initrd.img
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/netip"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcplink"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

func main() {
	link := flag.String("interface", "eth0", "interface to serve")
	address := flag.String("address", "192.0.2.1/24", "address of the interface")
	first := flag.String("first", "192.0.2.100", "first address to give out")
	last := flag.String("last", "192.0.2.200", "last address to give out")
	kernel := flag.String("kernel", "vmlinuz", "kernel to boot")
	initrd := flag.String("initrd", "initrd.img", "its initial RAM disk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	boot, err := pxe.New(pxe.Config{
		Resolver: pxe.Static(pxe.Profile{Kernel: "kernel", Initrd: []string{"initrd"}, Cmdline: "console=ttyS0"}),
		Files:    pxe.FileMap{"kernel": *kernel, "initrd": *initrd},
	})
	check(err)
	dhcp, err := dhcpsrv.New(dhcpsrv.Config{Boot: pxedhcp.New(pxedhcp.Config{})})
	check(err)
	prefix := netip.MustParsePrefix(*address)
	check(dhcp.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
		Name: "lab", Prefix: prefix.Masked(), Link: *link, Server: prefix.Addr(),
		Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr(*first), Last: netip.MustParseAddr(*last)}},
	}}}))

	leases, err := dhcplink.Listen(dhcplink.ListenConfig{Interfaces: []string{*link}})
	check(err)
	tftp, err := net.ListenPacket("udp", net.JoinHostPort(prefix.Addr().String(), "69"))
	check(err)
	http, err := net.Listen("tcp", net.JoinHostPort(prefix.Addr().String(), "5248"))
	check(err)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return dhcp.Serve(ctx, leases) })
	g.Go(func() error { return boot.ServeTFTP(ctx, tftp) })
	g.Go(func() error { return boot.Serve(ctx, http) })
	check(g.Wait())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
