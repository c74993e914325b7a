package inventory_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// lastChange returns the differences of the last entry of the audit log, a line for each field.
func lastChange(t testing.TB, inv *inventory.Inventory) (lines []string, d *inventory.Differences) {
	t.Helper()
	last := must[[]inventory.Event](t)(inv.Audit.Last(t.Context(), 0, 1))
	if d = last[0].Differences; d == nil {
		return nil, nil
	}
	for _, o := range d.Objects {
		for _, f := range o.Fields {
			lines = append(lines, fmt.Sprintf("%s %s %s %s: %s -> %s", o.Op, o.Kind, o.Name, f.Name, f.Old, f.New))
		}
	}
	return lines, d
}

// An entry of the audit log has the fields that differ of each object, whatever its kind, and no
// secret.
func TestAuditHasDifferences(t *testing.T) {
	onDatabases(t, func(t *testing.T, _ *store.DB, inv *inventory.Inventory) {
		ctx := inventory.As(t.Context(), inventory.Actor{User: "ada", Doing: func() string { return "test" }})
		has := func(what string, want ...string) {
			t.Helper()
			lines, _ := lastChange(t, inv)
			got := strings.Join(lines, "\n")
			for _, line := range want {
				if !strings.Contains("\n"+got+"\n", "\n"+line+"\n") {
					t.Errorf("%s: no line %q in\n%s", what, line, got)
				}
			}
			for _, no := range []string{"correct horse", "s3cret", "czNjcmV0", " updated: ", " created: "} {
				if strings.Contains(got, no) {
					t.Errorf("%s: %q in\n%s", what, no, got)
				}
			}
		}
		s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: netip.MustParsePrefix("192.0.2.0/24")}))
		has("new subnet", "create subnet 192.0.2.0/24 prefix:  -> 192.0.2.0/24")
		s.Gateway = netip.MustParseAddr("192.0.2.1")
		s = must[ipam.Subnet](t)(inv.Subnets.Update(ctx, s))
		lines, _ := lastChange(t, inv)
		if got := strings.Join(lines, "\n"); got != "update subnet 192.0.2.0/24 gateway:  -> 192.0.2.1" {
			t.Errorf("one field: %s", got)
		}
		z := must[inventory.AvailabilityZone](t)(inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: "north"}))
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{
			Hostname: "web", Power: inventory.Power{Type: "ipmi", Params: map[string]string{"power_address": "192.0.2.9"}, Secrets: inventory.Secrets{"power_pass": "correct horse"}},
			Interfaces: []inventory.Interface{{Interface: ipam.Interface{Name: "eth0", Kind: ipam.Physical, MAC: mac(1)}}},
		}))
		has("new machine", "create machine web hostname:  -> web", "create interface eth0 mac:  -> "+mac(1).String(), "update machine web power_pass:  -> (hidden)")
		m.ZoneID, m.Power.Params["power_address"], m.Power.Secrets = z.ID, "192.0.2.10", inventory.Secrets{"power_pass": "correct horse 2"}
		m.Profile = &pxe.Profile{Kernel: "vmlinuz", Cmdline: "quiet"}
		m = must[inventory.Machine](t)(inv.Machines.Update(ctx, m))
		has("machine", fmt.Sprintf("update machine web zone_id: default (1) -> north (%d)", z.ID), "update machine web power_params.power_address: 192.0.2.9 -> 192.0.2.10",
			"update machine web profile.kernel:  -> vmlinuz", "update machine web power_pass: (hidden) -> (hidden)")
		must[ipam.Allocation](t)(inv.LinkInterface(ctx, m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, SubnetID: s.ID, Addr: netip.MustParseAddr("192.0.2.5")}))
		has("link", fmt.Sprintf("create allocation 192.0.2.5 subnet_id:  -> 192.0.2.0/24 (%d)", s.ID))
		ok(t, inv.Machines.Delete(ctx, m.ID))
		has("deleted machine", "delete machine web hostname: web -> ")
		ok(t, inv.Settings.Set(ctx, setting.HTTPProxy, "http://user:s3cret@proxy.example:3128/"))
		has("setting", "create setting http_proxy value:  -> http://user:(hidden)@proxy.example:3128/")
		must[inventory.TSIGKey](t)(inv.TSIGKeys.Create(ctx, inventory.TSIGKey{Name: "k", Secret: "czNjcmV0czNjcmV0czNjcmV0"}))
		has("key", "create tsig-key k sealed:  -> (hidden)")
		has("key", "create tsig-key k name:  -> k")
	})
}

// However much one transaction changes, its entry is bounded, and says how much is left out.
func TestDifferencesAreBounded(t *testing.T) {
	inv := openInventory(t, "sqlite://"+filepath.Join(t.TempDir(), "maas.db"))
	ctx := inventory.As(t.Context(), inventory.Actor{User: "ada", Doing: func() string { return "test" }})
	ok(t, inv.Atomically(ctx, func(ctx context.Context) error {
		for i := range 100 {
			_, err := inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: fmt.Sprint("zone", i), Description: strings.Repeat("long ", 1000)})
			ok(t, err)
		}
		return nil
	}))
	_, d := lastChange(t, inv)
	size := len(must[[]byte](t)(json.Marshal(d)))
	if n := len(d.Objects); n == 0 || n+d.More != 100 || size > 10<<10 {
		t.Errorf("%d objects, %d more, %d bytes", n, d.More, size)
	}
	// A difference at the end of a long value is in view.
	z := must[inventory.AvailabilityZone](t)(inv.Zones.Find(ctx, "zone0"))
	z.Description += "end"
	must[inventory.AvailabilityZone](t)(inv.Zones.Update(ctx, z))
	if _, d := lastChange(t, inv); len(d.Objects) != 1 || !strings.HasSuffix(d.Objects[0].Fields[0].New, "end") || len(d.Objects[0].Fields[0].New) > 220 {
		t.Errorf("%+v", d)
	}
	// What no user did has no differences, and costs nothing.
	must[inventory.AvailabilityZone](t)(inv.Zones.Create(t.Context(), inventory.AvailabilityZone{Name: "silent"}))
	if last := must[[]inventory.Event](t)(inv.Audit.Last(ctx, 0, 10)); len(last) != 2 {
		t.Errorf("%d entries", len(last))
	}
	// An entry without differences, as of an earlier release, stays readable.
	ok(t, inv.Audit.Add(ctx, inventory.Event{Kind: "change", Description: "old"}))
	if _, d := lastChange(t, inv); d != nil {
		t.Errorf("%+v", d)
	}
}

// BenchmarkAuditedChange is a change by a user and the same change by the site itself.
func BenchmarkAuditedChange(b *testing.B) {
	for _, who := range []string{"user", "site"} {
		inv, ctx := fleet(b, 1000), b.Context()
		if who == "user" {
			ctx = inventory.As(ctx, inventory.Actor{User: "ada", Doing: func() string { return "bench" }})
		}
		s := must[[]ipam.Subnet](b)(inv.Subnets.List(ctx))[0]
		m := must[inventory.Machine](b)(inv.Machines.Find(ctx, "node7"))
		b.Run("subnet/"+who, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				s.Description = fmt.Sprint(i)
				s = must[ipam.Subnet](b)(inv.Subnets.Update(ctx, s))
			}
		})
		b.Run("machine/"+who, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				m.Description = fmt.Sprint(i)
				m = must[inventory.Machine](b)(inv.Machines.Update(ctx, m))
			}
		})
	}
}
