package bootunittest

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

func TestNewMachinesAreInstalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		segment := boottest.NewSegment(netip.MustParsePrefix("192.0.2.0/24"))
		server := segment.Server(netip.MustParseAddr("192.0.2.1"))
		dhcp, err := server.DHCP()
		check(t, err)
		http, err := server.Listen("tcp", ":5248")
		check(t, err)
		leases, err := dhcpsrv.New(dhcpsrv.Config{Boot: pxedhcp.New(pxedhcp.Config{})})
		check(t, err)
		check(t, leases.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{
			Name: "lab", Prefix: segment.Prefix(), Link: segment.Link, Server: server.Addr(),
			Pools: []dhcpsrv.Pool{{First: netip.MustParseAddr("192.0.2.100"), Last: netip.MustParseAddr("192.0.2.199")}},
		}}}))
		done := map[string]bool{}
		boot, err := pxe.New(pxe.Config{
			Resolver: Profiles(done), Loaders: fstest.MapFS{},
			Files: fstest.MapFS{"vmlinuz": {Data: []byte("a kernel")}, "initrd": {Data: []byte("an initrd")}},
		})
		check(t, err)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go leases.Serve(ctx, dhcp)
		go boot.Serve(ctx, http)

		machine := segment.NewMachine(boottest.MachineConfig{Firmware: boottest.BIOSiPXE, Hostname: "node-1", Impatient: true})
		report, err := machine.Boot(ctx)
		check(t, err)
		if !strings.Contains(report.Running.Cmdline, "install=auto") {
			t.Errorf("runs %+v", report.Running)
		}
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
