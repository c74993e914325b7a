package plan_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/internal/sitetest"
	"github.com/gomaas/maas/store/inventory/plan"
)

// A machine that changes and others share link addresses in a row, so that who
// gets the last one is decided by the first: what follows the change is what is
// planned whole.
func TestReservationsOfSharedLinkAddresses(t *testing.T) {
	inv, ctx := openInventory(t, "memory:"), t.Context()
	must[ipam.Subnet](t)(inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack1", Link: "eth0", Address: prefix("10.0.0.2/24")}))
	machine := func(name string, own int, bridges ...int) inventory.Machine {
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: name, Interfaces: []inventory.Interface{nic(own), nic(own + 1)}}))
		for i, shared := range bridges {
			parent := m.Interfaces[i]
			must[ipam.Interface](t)(inv.Interfaces.Create(ctx, ipam.Interface{
				NodeID: m.ID, Name: "br" + string(rune('0'+i)), Kind: ipam.Bridge, MAC: mac(shared), Parents: []int64{parent.ID}, VLANID: parent.VLANID, Enabled: true,
			}))
		}
		return m
	}
	machine("far", 9, 180)
	machine("dd", 7, 170)
	machine("cc", 5, 160, 170)
	machine("bb", 3, 150, 160)
	first := machine("aa", 1, 150) // the oldest machine with an address has it
	f := sitetest.NewFollower()
	f.Follow(t, inv)
	for _, name := range []string{"zz", "aa", "cd", "bc"} {
		first.Hostname = name
		first = must[inventory.Machine](t)(inv.Machines.Update(ctx, first))
		f.Follow(t, inv)
		whole := model(t, inv)
		want := plan.DHCP(whole, whole.Racks[0]).Reservations
		if d := cmp.Diff(want, f.Reservations(), cmpopts.EquateEmpty(), cmpopts.EquateComparable(addr("::"), netip.Prefix{})); d != "" {
			t.Errorf("first machine is %s (-whole +followed):\n%s", name, d)
		}
	}
	if f.Small == 0 {
		t.Error("all was planned whole")
	}
}
