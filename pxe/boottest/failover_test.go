package boottest_test

import (
	"context"
	"io/fs"
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

// TestFailover: the rack that gave the script dies when it is asked for the kernel, and the machine boots from the other.
//
// Opening the kernel is what kills the rack. An event would be too late: it is sent when the last acknowledgement has
// arrived, and by then the machine may have fetched everything else as well.
func TestFailover(t *testing.T) {
	for _, fw := range []boottest.Firmware{boottest.BIOSiPXE, boottest.UEFIShimGRUB} {
		t.Run(fw.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seg := boottest.NewSegment(prefix)
				var wg sync.WaitGroup
				defer wg.Wait()
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				dead, die := context.WithCancel(ctx)
				defer die()
				racks := []netip.Addr{serverAddr, netip.MustParseAddr("192.0.2.2")}
				second := newRack(t, seg, racks, 1, files())
				dying := fsFunc(func(name string) (fs.File, error) {
					if name == "vmlinuz" {
						die()
						wg.Go(func() { second.serve(ctx, t) })
						<-ctx.Done() // a dead rack sends no error either
					}
					return files().Open(name)
				})
				first := newRack(t, seg, racks, 0, dying)
				wg.Go(func() { first.serve(dead, t) })

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

// fsFunc makes a function an fs.FS.
type fsFunc func(name string) (fs.File, error)

func (f fsFunc) Open(name string) (fs.File, error) { return f(name) }

// rack serves DHCP, TFTP and HTTP at one address.
type rack struct {
	node *boottest.Node
	boot *pxe.Server
	dhcp *dhcpsrv.Server
}

// newRack makes the rack at all[i]; its scripts name all of them.
func newRack(t *testing.T, seg *boottest.Segment, all []netip.Addr, i int, kernels fs.FS) *rack {
	t.Helper()
	boot, err := pxe.New(pxe.Config{Resolver: pxe.Static(profile()), Files: kernels, Loaders: loaders(),
		Servers: func(pxe.Request) []netip.Addr { return all }})
	must(t, err)
	dhcp, err := dhcpsrv.New(dhcpsrv.Config{Boot: pxedhcp.New(pxedhcp.Config{})})
	must(t, err)
	first := netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + 10*i)})
	must(t, dhcp.Update(dhcpsrv.Snapshot{Subnets: []dhcpsrv.Subnet{{Name: "test", Prefix: prefix, Link: seg.Link, Server: all[i],
		Pools: []dhcpsrv.Pool{{First: first, Last: first.Next()}}}}}))
	return &rack{node: seg.Server(all[i]), boot: boot, dhcp: dhcp}
}

// serve opens the sockets and serves on them until ctx ends.
func (r *rack) serve(ctx context.Context, t *testing.T) {
	conn, err := r.node.DHCP()
	if err != nil {
		t.Error(err)
		return
	}
	udp, err := r.node.ListenPacket("udp", ":69")
	if err != nil {
		t.Error(err)
		return
	}
	web, err := r.node.Listen("tcp", ":5248")
	if err != nil {
		t.Error(err)
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, serve := range []func() error{
		func() error { return r.dhcp.Serve(ctx, conn) },
		func() error { return r.boot.ServeTFTP(ctx, udp) },
		func() error { return r.boot.Serve(ctx, web) },
	} {
		wg.Go(func() {
			if err := serve(); err != nil {
				t.Error(err)
			}
		})
	}
}
