package inventory_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

func TestFindLeases(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		near := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/24")}))
		far := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.1.0.0/24")}))
		must[ipam.Range](t)(inv.Ranges.Create(ctx, ipam.Range{SubnetID: near.ID, Type: ipam.RangeDynamic, Start: addr("10.0.0.100"), End: addr("10.0.0.199")}))
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "web-1", Interfaces: []inventory.Interface{nic(1)}}))
		must[ipam.Allocation](t)(inv.LinkInterface(ctx, m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, SubnetID: far.ID, Addr: addr("10.1.0.7")}))
		must[ipam.ReservedIP](t)(inv.ReservedIPs.Create(ctx, ipam.ReservedIP{Addr: addr("10.1.0.9"), MAC: mac(9)}))
		must[ipam.ReservedIP](t)(inv.ReservedIPs.Create(ctx, ipam.ReservedIP{Addr: addr("10.1.0.8"), MAC: mac(1)}))
		must[ipam.Allocation](t)(inv.ReserveAddress(ctx, inventory.Reservation{Addr: addr("10.1.0.10"), Owner: "ada"})) // no client's
		now := time.Now()
		for _, f := range []inventory.LeaseFact{
			{MAC: mac(1), Addr: addr("10.0.0.101"), Time: now, Expires: now.Add(time.Hour)},
			{MAC: mac(2), Addr: addr("10.0.0.110"), Hostname: "Laptop", Time: now, Expires: now.Add(time.Hour)},
			{MAC: mac(3), Addr: addr("10.0.0.111"), Hostname: "phone", Time: now.Add(-2 * time.Hour), Expires: now.Add(-time.Hour)},
		} {
			ok(t, inv.Leases.Record(ctx, f))
		}
		for name, test := range map[string]struct {
			filter inventory.LeaseFilter
			want   []string
		}{
			"all":            {inventory.LeaseFilter{}, []string{"10.0.0.101", "10.0.0.110", "10.0.0.111", "10.1.0.7", "10.1.0.8", "10.1.0.9"}},
			"a subnet":       {inventory.LeaseFilter{SubnetID: far.ID}, []string{"10.1.0.7", "10.1.0.8", "10.1.0.9"}},
			"a MAC":          {inventory.LeaseFilter{MAC: mac(1)}, []string{"10.0.0.101", "10.1.0.7", "10.1.0.8"}},
			"an address":     {inventory.LeaseFilter{Addr: addr("10.1.0.9")}, []string{"10.1.0.9"}},
			"active":         {inventory.LeaseFilter{State: inventory.LeaseActive}, []string{"10.0.0.101", "10.0.0.110"}},
			"expired":        {inventory.LeaseFilter{State: inventory.LeaseExpired}, []string{"10.0.0.111"}},
			"reserved":       {inventory.LeaseFilter{State: inventory.LeaseReserved}, []string{"10.1.0.7", "10.1.0.8", "10.1.0.9"}},
			"client's name":  {inventory.LeaseFilter{Name: "LAP"}, []string{"10.0.0.110"}},
			"machine's name": {inventory.LeaseFilter{Name: "web-1", SubnetID: near.ID}, []string{"10.0.0.101"}},
			"none":           {inventory.LeaseFilter{Name: "web-2"}, nil},
		} {
			var got []string
			for _, l := range must[[]inventory.Lease](t)(inv.Leases.Find(ctx, test.filter)) {
				got = append(got, l.Addr.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%s: %v, want %v", name, got, test.want)
			}
		}
		l := must[[]inventory.Lease](t)(inv.Leases.Find(ctx, inventory.LeaseFilter{Addr: addr("10.0.0.101")}))[0]
		if l.FQDN != "web-1.maas" || l.SystemID != m.SystemID || l.Node != m.ID || l.MAC.String() != mac(1).String() || l.SubnetID != near.ID || l.Expires.IsZero() || l.Began.IsZero() {
			t.Errorf("%+v", l)
		}
	})
}
