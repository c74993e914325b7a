package rack_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

var (
	network = netip.MustParsePrefix("192.0.2.0/24")
	addr    = netip.MustParseAddr("192.0.2.1")
	files   = fstest.MapFS{"vmlinuz": {Data: []byte("kernel")}, "initrd": {Data: []byte("ramdisk")}}
	loaders = fstest.MapFS{"shimx64.efi": {Data: []byte("shim")}, "grubx64.efi": {Data: []byte("grub")}}
)

// openRegion opens a region on dir that knows one rack on the segment.
func openRegion(t *testing.T, dir string) *region.Region {
	t.Helper()
	return openRegionWith(t, region.Config{Dir: dir, Kinds: power.NewRegistry(power.Manual())})
}

func openRegionWith(t *testing.T, cfg region.Config) *region.Region {
	t.Helper()
	cfg.Files = map[string]fs.FS{".": files}
	r, err := region.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	inv := r.Inventory()
	_, err = inv.Bootstrap(t.Context(), inventory.Bootstrap{Rack: "rack", Link: "boottest0", Address: netip.PrefixFrom(addr, network.Bits())})
	if err != nil {
		t.Fatal(err)
	}
	profile := &pxe.Profile{Name: "site", Kernel: "vmlinuz", Initrd: []string{"initrd"}, Cmdline: "quiet maas.done={done}"}
	if err := inv.Profiles.SetDefault(t.Context(), profile); err != nil {
		t.Fatal(err)
	}
	return r
}

// serve runs a rack on a segment of its own until stop.
func serve(t *testing.T, dir string, dial func(context.Context) (rpc.Conn, error)) (segment *boottest.Segment, stop func()) {
	t.Helper()
	return serveWith(t, rack.Config{Dir: dir, Dial: dial})
}

func serveWith(t *testing.T, cfg rack.Config) (segment *boottest.Segment, stop func()) {
	t.Helper()
	cfg.Files, cfg.Loaders, cfg.Log = files, loaders, slog.New(slog.DiscardHandler)
	r, err := rack.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	segment = boottest.NewSegment(network)
	node := segment.Server(addr)
	dhcp, err1 := node.DHCP()
	tftp, err2 := node.ListenPacket("udp", ":69")
	dns, err3 := node.ListenPacket("udp", ":53")
	http, err4 := node.Listen("tcp", ":5248")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- r.Serve(ctx, rack.Sockets{DHCP: dhcp, TFTP: []net.PacketConn{tftp}, DNSPacket: []net.PacketConn{dns}, HTTP: []net.Listener{http}})
	}()
	return segment, func() {
		cancel()
		if err := errors.Join(<-done, r.Close()); err != nil {
			t.Errorf("rack: %v", err)
		}
	}
}

func boot(t *testing.T, segment *boottest.Segment, firmware boottest.Firmware, mac net.HardwareAddr) *boottest.Report {
	t.Helper()
	m := segment.NewMachine(boottest.MachineConfig{MAC: mac, Firmware: firmware})
	defer m.PowerOff()
	report, err := m.Boot(t.Context())
	if err != nil {
		t.Fatalf("%s: %v", firmware.Name, err)
	}
	return report
}

// eventually waits, in the time of the wall, until the region has heard of something.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

// impatient firmware does not wait for further offers, for boots on the wall clock.
func impatient(f boottest.Firmware) boottest.Firmware {
	f.OfferWait = 0
	return f
}

func TestUnknownMachineIsEnlistedAndNamed(t *testing.T) {
	reg := openRegion(t, t.TempDir())
	defer reg.Close()
	ctx, cancel := context.WithCancel(t.Context())
	regionDone := make(chan error, 1)
	go func() { regionDone <- reg.Serve(ctx, region.Sockets{}) }()
	segment, stop := serve(t, t.TempDir(), rpc.Loopback(reg.RPC(), "rack"))

	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	report := boot(t, segment, impatient(boottest.UEFIShimGRUB), mac)
	if report.Running.Kind != boottest.Linux || !strings.Contains(report.Running.Cmdline, "quiet") || !report.Running.Done {
		t.Fatalf("runs %+v", report.Running)
	}
	var m inventory.Machine
	eventually(t, "enlisted with its address", func() bool {
		var err error
		m, err = reg.Inventory().MachineByMAC(t.Context(), mac)
		return err == nil && len(m.Addrs()) == 1
	})
	if m.Firmware != "uefi-amd64-pxe" || m.Architecture != "amd64/generic" || m.UUID == "" || m.Status != inventory.StatusNew {
		t.Errorf("enlisted as %+v", m)
	}
	// From the next boot on the machine is told its name, and resolves it forward and back.
	eventually(t, "named", func() bool {
		again := boot(t, segment, impatient(boottest.BIOSiPXE), mac)
		return again.Running.Host == m.Hostname && len(again.Running.Names) >= 2
	})
	if again, err := reg.Inventory().Machines.List(t.Context()); err != nil || len(again) != 1 {
		t.Errorf("%d machines, %v", len(again), err)
	}
	stop()
	cancel()
	if err := <-regionDone; err != nil {
		t.Errorf("region: %v", err)
	}
}

// A region is never on a packet's path: a rack that was told once goes on without it, through its own restart too.
func TestRackServesFromDiskWithoutARegion(t *testing.T) {
	rackDir, regionDir := t.TempDir(), t.TempDir()
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	fixed := netip.MustParseAddr("192.0.2.50")

	reg := openRegion(t, regionDir)
	inv := reg.Inventory()
	machine, err := inv.Machines.Create(t.Context(), inventory.Machine{
		Hostname: "web", Interfaces: []inventory.Interface{{Interface: ipam.Interface{MAC: mac, Kind: ipam.Physical}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inv.LinkInterface(t.Context(), machine.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, Addr: fixed}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	regionDone := make(chan error, 1)
	go func() { regionDone <- reg.Serve(ctx, region.Sockets{}) }()
	segment, stop := serve(t, rackDir, rpc.Loopback(reg.RPC(), "rack"))
	boot(t, segment, impatient(boottest.BIOSiPXE), mac) // until here the region was connected
	stop()
	cancel()
	if err := errors.Join(<-regionDone, reg.Close()); err != nil {
		t.Fatal(err)
	}

	synctest.Test(t, func(t *testing.T) {
		gone := func(context.Context) (rpc.Conn, error) { return nil, rpc.ErrUnavailable }
		segment, stop := serve(t, rackDir, gone)
		defer stop()
		report := boot(t, segment, boottest.UEFIShimGRUB, mac)
		if report.Running.Kind != boottest.Linux || report.Lease().Addr != fixed || report.Running.Host != "web" {
			t.Errorf("without a region the known machine runs %+v at %v", report.Running, report.Lease().Addr)
		}
		unknown := boot(t, segment, boottest.BIOSiPXE, net.HardwareAddr{2, 0, 0, 0, 0, 10})
		if unknown.Running.Kind != boottest.Linux {
			t.Errorf("without a region an unknown machine runs %+v", unknown.Running)
		}
	})

	// What was seen meanwhile reaches the region when it is back.
	reg = openRegion(t, regionDir)
	defer reg.Close()
	ctx, cancel = context.WithCancel(t.Context())
	go func() { regionDone <- reg.Serve(ctx, region.Sockets{}) }()
	_, stop = serve(t, rackDir, rpc.Loopback(reg.RPC(), "rack"))
	eventually(t, "facts from before", func() bool {
		_, err := reg.Inventory().MachineByMAC(t.Context(), net.HardwareAddr{2, 0, 0, 0, 0, 10})
		return err == nil
	})
	stop()
	cancel()
	if err := <-regionDone; err != nil {
		t.Errorf("region: %v", err)
	}
}

func TestFindLinkSaysWhatThereIs(t *testing.T) {
	_, err := rack.FindLink("none0")
	if err == nil || !strings.Contains(err.Error(), "none0") || !strings.Contains(err.Error(), "lo") {
		t.Errorf("got %v", err)
	}
}

func TestUnusableDirectoryIsRefused(t *testing.T) {
	if _, err := rack.New(rack.Config{Dir: filepath.Join("/proc", "nowhere"), Dial: func(context.Context) (rpc.Conn, error) { return nil, rpc.ErrUnavailable }}); err == nil {
		t.Error("a directory that cannot be made was accepted")
	}
}
