package inventory_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// A rack that is renamed keeps all that is its own: no table has the old name afterwards, except the
// feed and the log, which say what was.
func TestRenameRack(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *store.DB, inv *inventory.Inventory) {
		ctx := t.Context()
		s := must[ipam.Subnet](t)(inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "before", Link: "eth0", Address: prefix("10.0.0.2/24")}))
		other := must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "other"}))
		v := must[ipam.VLAN](t)(inv.VLANs.Get(ctx, s.VLANID))
		v.SecondaryRack = "other"
		must[ipam.VLAN](t)(inv.VLANs.Update(ctx, v))
		must[inventory.RackToken](t)(inv.RackTokens.Create(ctx, inventory.RackToken{Hash: "h", Rack: "before", Expires: time.Now().Add(time.Hour)}))
		ok(t, inv.Discoveries.Observe(ctx, inventory.Observation{Addr: addr("10.0.0.9"), MAC: mac(9), Rack: "before", Link: "eth0"}))
		ok(t, inv.Health.Report(ctx, "before", "region", inventory.RackReport{Version: "1"}))
		must[int](t)(inv.NewFacts(ctx, "before", "box", []uint64{1, 2}))

		r := must[inventory.Rack](t)(inv.Racks.Find(ctx, "before"))
		r.Name, r.Links = "after", nil // links are the rack's own
		r = must[inventory.Rack](t)(inv.Racks.Update(ctx, r))
		if len(r.Links) != 1 || r.Version < 2 {
			t.Errorf("renamed: %+v", r)
		}
		for name, rows := range tablesOf(t, []byte(dumpOf(t, db))) {
			for _, row := range rows {
				if name != "event" && strings.Contains(row, "before") {
					t.Errorf("%s: %s", name, row)
				}
			}
		}
		v = must[ipam.VLAN](t)(inv.VLANs.Get(ctx, s.VLANID))
		if v.PrimaryRack != "after" || v.SecondaryRack != "other" || !v.DHCP {
			t.Errorf("VLAN: primary %s, secondary %s, DHCP %v", v.PrimaryRack, v.SecondaryRack, v.DHCP)
		}
		if skip := must[int](t)(inv.NewFacts(ctx, "after", "box", []uint64{1, 2, 3})); skip != 2 {
			t.Errorf("%d facts were taken before, want 2", skip)
		}
		other.Name = "after"
		_, err := inv.Racks.Update(ctx, other)
		refused(t, err, "there is already a rack with name after")
		other.Name = " "
		_, err = inv.Racks.Update(ctx, other)
		refused(t, err, "name is missing")

		v.DHCP, v.PrimaryRack, v.SecondaryRack = false, "", ""
		must[ipam.VLAN](t)(inv.VLANs.Update(ctx, v))
		ok(t, inv.Racks.Delete(ctx, r.ID))
		if held := must[[]ipam.Allocation](t)(inv.Allocations(ctx, s.ID)); len(held) > 0 && held[0].Addr == netip.MustParseAddr("10.0.0.2") {
			t.Errorf("the deleted rack holds %v", held)
		}
	})
}
