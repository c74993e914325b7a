package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/schema"
)

// onEngines runs a test on SQLite and on PostgreSQL.
func onEngines(t *testing.T, run func(t *testing.T, inv *inventory.Inventory)) {
	onDatabases(t, func(t *testing.T, _ *store.DB, inv *inventory.Inventory) { run(t, inv) })
}

// onDatabases is onEngines for tests that look at the rows too.
func onDatabases(t *testing.T, run func(t *testing.T, db *store.DB, inv *inventory.Inventory)) {
	for name, url := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite://" + filepath.Join(t.TempDir(), "maas.db") },
		"postgres": func(t *testing.T) string { return server.Postgres(t).NewDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			db, inv := openBoth(t, url(t))
			run(t, db, inv)
		})
	}
}

func openInventory(t testing.TB, url string) *inventory.Inventory {
	t.Helper()
	_, inv := openBoth(t, url)
	return inv
}

func openBoth(t testing.TB, url string) (*store.DB, *inventory.Inventory) {
	t.Helper()
	db, err := store.Open(t.Context(), url, schema.FS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	inv, err := inventory.Open(t.Context(), db, inventory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return db, inv
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks that an error reads as wanted.
func refused(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func mac(n int) net.HardwareAddr {
	return net.HardwareAddr{0x52, 0x54, 0, byte(n >> 16), byte(n >> 8), byte(n)}
}

func nic(n int) inventory.Interface {
	return inventory.Interface{Interface: ipam.Interface{MAC: mac(n), Enabled: true}}
}

func TestSmoke(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		s := must[ipam.Subnet](t)(inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack1", Link: "eth0", Address: prefix("10.0.0.2/24"), Gateway: addr("10.0.0.1")}))
		again := must[ipam.Subnet](t)(inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack1", Link: "eth0", Address: prefix("10.0.0.2/24"), Gateway: addr("10.0.0.1")}))
		if s.ID != again.ID {
			t.Errorf("a second Bootstrap made another subnet")
		}
		u := must[*ipam.Usage](t)(inv.Usage(ctx, s.ID))
		if len(u.Ranges) != 1 || u.Ranges[0].String() != "dynamic range 10.0.0.191-10.0.0.254" {
			t.Errorf("ranges = %v", u.Ranges)
		}
		v := must[ipam.VLAN](t)(inv.VLANs.Get(ctx, s.VLANID))
		if !v.DHCP || v.PrimaryRack != "rack1" || v.Name != "untagged" {
			t.Errorf("vlan = %+v", v)
		}
		m, created, err := inv.Enlist(ctx, inventory.Enlistment{MAC: mac(1), Firmware: "uefi-amd64-pxe", UUID: "ABC"})
		ok(t, err)
		if !created || m.Hostname == "" || m.FQDN != m.Hostname+".maas" || m.Status != inventory.StatusNew || m.UUID != "abc" {
			t.Errorf("enlisted %+v", m)
		}
		ok(t, inv.Leases.Record(ctx, inventory.LeaseFact{MAC: mac(1), Addr: addr("10.0.0.200"), Expires: time.Now().Add(time.Hour)}))
		m = must[inventory.Machine](t)(inv.Machines.Find(ctx, m.FQDN))
		if len(m.Addrs()) != 1 || m.Addrs()[0] != addr("10.0.0.200") {
			t.Errorf("addresses = %v", m.Addrs())
		}
	})
}

func TestMachines(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{
			Hostname: "Node1", Interfaces: []inventory.Interface{nic(1), nic(2)}, Profile: &pxe.Profile{Kernel: "vmlinuz"},
			Power: inventory.Power{Type: "ipmi", Params: map[string]string{"power_address": "10.9.9.9"}, Secrets: inventory.Secrets{"power_pass": "secret"}},
		}))
		if m.Hostname != "node1" || len(m.SystemID) != 6 || m.Interfaces[1].Name != "eth1" || m.BootMAC().String() != mac(1).String() || m.Version != 1 {
			t.Errorf("created %+v", m)
		}
		if m.Power.Secrets != nil || m.Profile.Kernel != "vmlinuz" {
			t.Errorf("read back %+v", m)
		}
		params := must[map[string]string](t)(inv.PowerParams(ctx, m.ID))
		if params["power_pass"] != "secret" || params["power_address"] != "10.9.9.9" {
			t.Errorf("params = %v", params)
		}
		_, err := inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1"})
		refused(t, err, "there is already a machine with hostname node1")
		_, err = inv.Machines.Create(ctx, inventory.Machine{Hostname: "node2", Interfaces: []inventory.Interface{nic(1)}})
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("second machine of a MAC: %v", err)
		}
		_, err = inv.Machines.Create(ctx, inventory.Machine{Hostname: "a b"})
		refused(t, err, "hostname must be 1 to 63 letters")

		stale := m
		m.Description = "first"
		m = must[inventory.Machine](t)(inv.Machines.Update(ctx, m))
		stale.Description = "second"
		_, err = inv.Machines.Update(ctx, stale)
		var se *inventory.StaleError
		if !errors.As(err, &se) || se.Have != 2 || se.Want != 1 {
			t.Errorf("stale write: %v", err)
		}
		if got := must[map[string]string](t)(inv.PowerParams(ctx, m.ID)); got["power_pass"] != "secret" {
			t.Error("an update without secrets lost them")
		}
		ok(t, inv.Machines.Delete(ctx, m.ID))
		if _, err := inv.MachineByMAC(ctx, mac(1)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("deleted machine: %v", err)
		}
		must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Interfaces: []inventory.Interface{nic(1)}}))
	})
}

// However many racks report one machine at once, there is one.
func TestEnlistIsRaceFree(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				for j := range 4 {
					if _, _, err := inv.Enlist(t.Context(), inventory.Enlistment{MAC: mac(j), Firmware: fmt.Sprint("fw", i%2)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if all := must[[]inventory.Machine](t)(inv.Machines.List(t.Context())); len(all) != 4 {
			t.Errorf("%d machines, want 4", len(all))
		}
	})
}

func TestAtomically(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		before := must[int64](t)(inv.Revision(ctx))
		err := inv.Atomically(ctx, func(ctx context.Context) error {
			if _, err := inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/24")}); err != nil {
				return err
			}
			_, err := inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/25"), Name: "inner"})
			return err
		})
		refused(t, err, "ipam: subnet 10.0.0.0/25: overlaps another (subnet 10.0.0.0/24)")
		if all := must[[]ipam.Subnet](t)(inv.Subnets.List(ctx)); len(all) != 0 {
			t.Errorf("left behind: %v", all)
		}
		if after := must[int64](t)(inv.Revision(ctx)); after != before {
			t.Errorf("revision %d, want %d", after, before)
		}
	})
}

func model(t testing.TB, inv *inventory.Inventory) *inventory.Model {
	t.Helper()
	return must[*inventory.Model](t)(inv.Model(t.Context()))
}
