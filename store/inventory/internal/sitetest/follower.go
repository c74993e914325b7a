package sitetest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// Follower keeps a model and what is planned from it by changes.
type Follower struct {
	Model *inventory.Model
	names plan.NamePlanner
	Rest  inventory.DNSPlan // all but the sets is of now
	sets  map[string]dnssrv.RRset
	dhcp  map[string]dhcpsrv.Reservation
	Small int // rounds that were not planned whole
}

func NewFollower() *Follower { return &Follower{Model: new(inventory.Model)} }

func (f *Follower) Follow(t testing.TB, inv *inventory.Inventory) {
	changes, err := inv.Follow(t.Context(), f.Model)
	ok(t, err)
	if changes == nil || !f.names.Fits(f.Model) {
		f.sets = map[string]dnssrv.RRset{}
		f.Rest = f.names.Plan(f.Model)
		f.put(f.Rest.Sets)
	} else {
		f.put(f.names.Change(changes))
	}
	if changes == nil || changes.Networks {
		f.dhcp = map[string]dhcpsrv.Reservation{}
		f.reserve(nil, plan.DHCP(f.Model, f.Model.Racks[0]).Reservations)
		return
	}
	f.Small++
	f.reserve(plan.NodesChanged(f.Model, changes).Reservations(f.Model.Racks[0]))
}

func (f *Follower) put(sets []dnssrv.RRset) {
	for _, s := range sets {
		key := fmt.Sprint(s.Name, " ", s.Type, " ", s.Learned)
		if f.sets[key] = s; len(s.Data) == 0 {
			delete(f.sets, key)
		}
	}
}

func (f *Follower) reserve(before, after []dhcpsrv.Reservation) {
	key := func(r dhcpsrv.Reservation) string { return fmt.Sprint(r.MAC, r.Addr) }
	for _, r := range before {
		delete(f.dhcp, key(r))
	}
	for _, r := range after {
		f.dhcp[key(r)] = r
	}
}

func (f *Follower) Sets() []dnssrv.RRset {
	return slices.SortedFunc(maps.Values(f.sets), func(a, b dnssrv.RRset) int {
		learned := func(s dnssrv.RRset) string { return fmt.Sprint(s.Learned) }
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(learned(a), learned(b)))
	})
}

func (f *Follower) Reservations() []dhcpsrv.Reservation {
	return slices.SortedFunc(maps.Values(f.dhcp), func(a, b dhcpsrv.Reservation) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Name, b.Name), cmp.Compare(a.MAC.String(), b.MAC.String()))
	})
}
