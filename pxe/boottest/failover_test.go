package boottest_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/pxe/pxedhcp"
)

// TestFailover: the rack that gave the script dies before it gave the kernel, and the machine boots from the other.
func TestFailover(t *testing.T) {
	for _, fw := range []boottest.Firmware{boottest.BIOSiPXE, boottest.UEFIShimGRUB} {
		t.Run(fw.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seg := boottest.NewSegment(prefix)
				var wg sync.WaitGroup
				defer wg.Wait()
				ctx, stop := context.WithCancel(context.Background())
				defer stop()
				dead, die := context.WithCancel(ctx)
				defer die()
				racks := []netip.Addr{serverAddr, netip.MustParseAddr("192.0.2.2")}
				events := func(e pxe.Event) {
					if e.Profile == "" || e.Server != racks[0] {
						return
					}
					die()
					rackOn(ctx, t, seg, racks, 1, func(pxe.Event) {}, &wg)
				}
				rackOn(dead, t, seg, racks, 0, events, &wg)
				r, err := seg.NewMachine(boottest.MachineConfig{Firmware: fw}).Boot(t.Context())
				if err != nil {
					t.Fatalf("%v\n%s", err, strings.Join(fetches(r), "\n"))
				}
				run := r.Running
				if run.Kind != boottest.Linux || !strings.Contains(run.Kernel.URL, "//192.0.2.2") || !run.Done || !strings.Contains(run.Cmdline, "maas.done=http://192.0.2.2:5248/") {
					t.Errorf("running %+v\n%s", run, strings.Join(fetches(r), "\n"))
				}
			})
		})
	}
}

// rackOn serves everything at one of the addresses until ctx ends.
func rackOn(ctx context.Context, t *testing.T, seg *boottest.Segment, all []netip.Addr, i int, events func(pxe.Event), wg *sync.WaitGroup) {
	t.Helper()
	addr := all[i]
	boot, err := pxe.New(pxe.Config{Resolver: pxe.Static(profile()), Files: files(), Loaders: loaders(), Events: events,
		Servers: func(pxe.Request) []netip.Addr { return all }})
	must(t, err)
	dhcp, err := dhcpsrv.New(dhcpsrv.Config{Boot: pxedhcp.New(pxedhcp.Config{})})
	must(t, err)
	first := netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + 10*i)})
	must(t, dhcp.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{Name: "test", Prefix: prefix, Link: seg.Link, Server: addr,
		Pools: []dhcpsrv.Pool{{First: first, Last: first.Next()}}}}}))
	node := seg.Server(addr)
	conn, err := node.DHCP()
	must(t, err)
	udp, err := node.ListenPacket("udp", ":69")
	must(t, err)
	web, err := node.Listen("tcp", ":5248")
	must(t, err)
	for _, serve := range []func() error{
		func() error { return dhcp.Serve(ctx, conn) },
		func() error { return boot.ServeTFTP(ctx, udp) },
		func() error { return boot.Serve(ctx, web) },
	} {
		wg.Go(func() {
			if err := serve(); err != nil {
				t.Error(err)
			}
		})
	}
}
