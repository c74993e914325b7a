package rack_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/rpc"
)

// What a machine with a lease logs while it boots arrives in the region, in the timeline of its boot.
// A host without a lease is not heard.
func TestLinesOfABootReachTheRegion(t *testing.T) {
	reg := openRegion(t, t.TempDir())
	defer reg.Close()
	r, err := rack.New(rack.Config{Dir: t.TempDir(), Dial: rpc.Loopback(reg.RPC(), "rack"), Files: files, Loaders: loaders, HTTPPort: 5248, Ports: rack.Ports{Syslog: 5247}})
	if err != nil {
		t.Fatal(err)
	}
	segment := boottest.NewSegment(network)
	node := segment.Server(addr)
	dhcp, err1 := node.DHCP()
	http, err2 := node.Listen("tcp", ":5248")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() { done <- reg.Serve(ctx, region.Sockets{}) }()
	go func() { done <- r.Serve(ctx, rack.Sockets{DHCP: dhcp, HTTP: []net.Listener{http}}) }()
	defer func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	var at netip.Addr
	eventually(t, "a boot", func() bool {
		report, err := segment.NewMachine(boottest.MachineConfig{MAC: mac, Firmware: impatient(boottest.BIOSiPXE)}).Boot(t.Context())
		if err != nil {
			return false
		}
		at = report.Lease().Addr
		return true
	})
	if r.TakeLog("<13>tag: text", netip.MustParseAddr("192.0.2.250")) {
		t.Error("a host without a lease is heard")
	}
	const line = "cloud-init[1]: wget: bad address 'images.example'"
	if !r.TakeLog("<13>"+line, at) {
		t.Fatalf("the machine at %v is not heard", at)
	}
	eventually(t, "the line", func() bool {
		boots, err := reg.Inventory().Boots.Of(t.Context(), mac)
		return err == nil && len(boots) > 0 && slices.Contains(boots[0].Log, line) && boots[0].Fault.Name == "dns"
	})
}

// A port that another program has is a trouble in the rack's report, and nothing else fails. It is
// served as soon as it is free.
func TestTakenPortOfLogs(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r, err := rack.New(rack.Config{
		Dir: t.TempDir(), Dial: func(ctx context.Context) (rpc.Conn, error) { <-ctx.Done(); return nil, ctx.Err() },
		Files: files, Loaders: loaders, Ports: rack.Ports{Syslog: taken.LocalAddr().(*net.UDPAddr).Port},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, rack.Sockets{HTTP: []net.Listener{loopback(t)}}) }()
	eventually(t, "a trouble", func() bool {
		return strings.Contains(r.Report().Troubles["boot log"], "is in use by another program")
	})
	for _, s := range r.Report().Services {
		if s.Status == "dead" {
			t.Errorf("%s is dead: %s", s.Name, s.Info)
		}
	}
	taken.Close()
	eventually(t, "the port is served", func() bool { return r.Report().Troubles["boot log"] == "" })
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the rack does not end")
	}
}
