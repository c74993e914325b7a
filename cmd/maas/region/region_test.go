package region_test

import (
	"bytes"
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/schema"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// running serves a region with one subnet until the test ends.
func running(t *testing.T, cfg region.Config) *region.Region {
	t.Helper()
	return runningOn(t, cfg, region.Sockets{})
}

// runningOn is running with sockets.
func runningOn(t *testing.T, cfg region.Config, sockets region.Sockets) *region.Region {
	t.Helper()
	if cfg.Kinds == nil {
		cfg.Kinds = power.NewRegistry(power.Manual())
	}
	r, err := region.Open(t.Context(), cfg)
	ok(t, err)
	_, err = r.Inventory().Bootstrap(t.Context(), inventory.Bootstrap{Rack: "rack", Link: "eth0", Address: netip.MustParsePrefix("192.0.2.1/24")})
	ok(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, sockets) }()
	t.Cleanup(func() {
		stop()
		ok(t, <-done)
		ok(t, r.Close())
	})
	return r
}

// A restore by another process reaches the daemon that runs on the data, and
// changes after it do too.
func TestRestoreReachesTheDaemon(t *testing.T) {
	dir := t.TempDir()
	r := running(t, region.Config{Dir: dir})
	snap := watchDHCP(t, r)
	waitFor(t, snap, func(s dhcpsrv.Snapshot) bool { return len(s.Subnets) == 1 })

	tool, err := store.OpenExisting(t.Context(), "sqlite://"+filepath.Join(dir, region.DatabaseFile), schema.FS)
	ok(t, err)
	defer tool.Close()
	var backup bytes.Buffer
	ok(t, tool.Dump(t.Context(), &backup))
	nets, err := r.Inventory().Subnets.List(t.Context())
	ok(t, err)
	more, err := r.Inventory().Subnets.Create(t.Context(), ipam.Subnet{Prefix: netip.MustParsePrefix("198.51.100.0/24"), VLANID: nets[0].VLANID})
	ok(t, err)
	rack, err := r.Inventory().Racks.Find(t.Context(), "rack")
	ok(t, err)
	rack.Links[0].Addrs = append(rack.Links[0].Addrs, netip.MustParsePrefix("198.51.100.1/24"))
	_, err = r.Inventory().RegisterRack(t.Context(), rack)
	ok(t, err)
	waitFor(t, snap, func(s dhcpsrv.Snapshot) bool { return len(s.Subnets) == 2 })

	ok(t, tool.Restore(t.Context(), strings.NewReader(backup.String())))
	waitFor(t, snap, func(s dhcpsrv.Snapshot) bool { return len(s.Subnets) == 1 })
	if _, err := r.Inventory().Subnets.Get(t.Context(), more.ID); err == nil {
		t.Error("what came after the backup is still there")
	}
	nets[0].Gateway = netip.MustParseAddr("192.0.2.254")
	ok(t, errOf(r.Inventory().Subnets.Update(t.Context(), nets[0])))
	waitFor(t, snap, func(s dhcpsrv.Snapshot) bool { return len(s.Subnets) == 1 && len(s.Subnets[0].Routers) == 1 })
}

// Ended leases are forgotten, a subnet that runs full is told of once, and
// nothing is left running: a bubble sees to that.
func TestMaintenance(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := running(t, region.Config{Dir: dir})
		inv := r.Inventory()
		small, err := inv.Subnets.Create(t.Context(), ipam.Subnet{Prefix: netip.MustParsePrefix("198.51.100.0/26"), Name: "small"})
		ok(t, err)
		taken, err := inv.Ranges.Create(t.Context(), ipam.Range{Start: netip.MustParseAddr("198.51.100.1"), End: netip.MustParseAddr("198.51.100.50")})
		ok(t, err)
		mac := []byte{2, 0, 0, 0, 0, 1}
		ok(t, inv.Leases.Record(t.Context(), inventory.LeaseFact{MAC: mac, Addr: netip.MustParseAddr("192.0.2.200"), Expires: time.Now().Add(10 * time.Minute)}))
		leases := func() int {
			all, err := inv.Allocations(t.Context(), 0)
			ok(t, err)
			n := 0
			for _, a := range all {
				if a.Type == ipam.AllocDiscovered {
					n++
				}
			}
			return n
		}
		time.Sleep(12 * time.Minute)
		if n := leases(); n != 1 {
			t.Errorf("%d leases are known two minutes after the end of one: its renewal may be on the way", n)
		}
		time.Sleep(5 * time.Minute)
		if n := leases(); n != 0 {
			t.Errorf("%d leases are known long after their end", n)
		}
		ok(t, inv.Ranges.Delete(t.Context(), taken.ID))
		time.Sleep(2 * time.Minute)
		events, err := inv.Events.Find(t.Context(), inventory.EventFilter{Level: "info", Limit: 10})
		ok(t, err)
		want := []string{
			"subnet small is running out of addresses: 12 free, 50 of 62 addresses used (80.6 %); release some, shrink a range or extend the subnet",
			"subnet small has enough free addresses again",
		}
		if len(events) != 3 || !strings.HasSuffix(events[0].Description, " started") || events[1].Description != want[0] || events[2].Description != want[1] {
			t.Errorf("events of %s: %+v", small, events)
		}
	})
}

// watchDHCP receives what the rack is given to serve.
func watchDHCP(t *testing.T, r *region.Region) <-chan dhcpsrv.Snapshot {
	t.Helper()
	replica, err := rpc.OpenReplica(t.TempDir())
	ok(t, err)
	t.Cleanup(func() { ok(t, replica.Close()) })
	snaps := make(chan dhcpsrv.Snapshot)
	go func() {
		state := r.RPC().State("rack")
		for {
			u, err := state.Next(t.Context(), dhcprpc.Topic, replica.Position(dhcprpc.Topic))
			if err != nil {
				return
			}
			if err := replica.Apply(u); err != nil {
				t.Error(err)
				return
			}
			snap, _, err := dhcprpc.Snapshot(replica.Objects(dhcprpc.Topic))
			if err != nil {
				t.Error(err)
				return
			}
			select {
			case snaps <- snap:
			case <-t.Context().Done():
				return
			}
		}
	}()
	return snaps
}

func waitFor(t *testing.T, snaps <-chan dhcpsrv.Snapshot, want func(dhcpsrv.Snapshot) bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case s := <-snaps:
			if want(s) {
				return
			}
		case <-deadline:
			t.Fatal("the rack was not given what it should serve")
		}
	}
}
