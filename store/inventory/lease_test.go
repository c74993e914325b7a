package inventory_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// leasing is a site with one dynamic range of each family.
func leasing(t *testing.T) *inventory.Inventory {
	t.Helper()
	inv := openInventory(t, "memory:")
	for p, r := range map[string]ipam.Range{
		"10.0.0.0/24":    {Start: addr("10.0.0.100"), End: addr("10.0.0.199"), Type: ipam.RangeDynamic},
		"2001:db8::/64":  {Start: addr("2001:db8::1000"), End: addr("2001:db8::ffff"), Type: ipam.RangeDynamic},
		"198.51.0.0/24":  {Start: addr("198.51.0.10"), End: addr("198.51.0.20"), Type: ipam.RangeReserved},
		"203.0.113.0/24": {},
	} {
		s := must[ipam.Subnet](t)(inv.Subnets.Create(t.Context(), ipam.Subnet{Prefix: prefix(p)}))
		if r.SubnetID = s.ID; r.Start.IsValid() {
			must[ipam.Range](t)(inv.Ranges.Create(t.Context(), r))
		}
	}
	return inv
}

// observed returns the addresses that clients lease.
func observed(t *testing.T, inv *inventory.Inventory) (out []string) {
	t.Helper()
	for _, a := range must[[]ipam.Allocation](t)(inv.Allocations(t.Context(), 0)) {
		if a.Type == ipam.AllocDiscovered {
			out = append(out, a.Addr.String())
		}
	}
	slices.Sort(out)
	return out
}

func TestLeasesInOrderOfTime(t *testing.T) {
	at := time.Now().Truncate(time.Second)
	grant := func(client int, a string, after time.Duration) inventory.LeaseFact {
		return inventory.LeaseFact{MAC: mac(client), Addr: addr(a), Time: at.Add(after), Expires: at.Add(after + time.Hour)}
	}
	end := func(client int, a string, after time.Duration) inventory.LeaseFact {
		f := grant(client, a, after)
		f.Ended = true
		return f
	}
	for name, test := range map[string]struct {
		facts []inventory.LeaseFact
		want  []string
	}{
		"granted":                             {[]inventory.LeaseFact{grant(1, "10.0.0.100", 0)}, []string{"10.0.0.100"}},
		"released":                            {[]inventory.LeaseFact{grant(1, "10.0.0.100", 0), end(1, "10.0.0.100", time.Minute)}, nil},
		"released twice":                      {[]inventory.LeaseFact{grant(1, "10.0.0.100", 0), end(1, "10.0.0.100", time.Minute), end(1, "10.0.0.100", time.Minute)}, nil},
		"never granted":                       {[]inventory.LeaseFact{end(1, "10.0.0.100", 0)}, nil},
		"another address":                     {[]inventory.LeaseFact{grant(1, "10.0.0.100", 0), grant(1, "10.0.0.101", time.Minute)}, []string{"10.0.0.101"}},
		"another client":                      {[]inventory.LeaseFact{grant(1, "10.0.0.100", 0), grant(2, "10.0.0.100", time.Minute)}, []string{"10.0.0.100"}},
		"the end of the client before":        {[]inventory.LeaseFact{grant(1, "10.0.0.100", 0), grant(2, "10.0.0.100", time.Minute), end(1, "10.0.0.100", 2*time.Minute)}, []string{"10.0.0.100"}},
		"an old end after a new grant":        {[]inventory.LeaseFact{grant(1, "10.0.0.100", time.Minute), end(1, "10.0.0.100", 0)}, []string{"10.0.0.100"}},
		"an old grant after a new one":        {[]inventory.LeaseFact{grant(2, "10.0.0.100", time.Minute), grant(1, "10.0.0.100", 0)}, []string{"10.0.0.100"}},
		"one of each family":                  {[]inventory.LeaseFact{grant(1, "10.0.0.100", 0), grant(1, "2001:db8::1000", 0)}, []string{"10.0.0.100", "2001:db8::1000"}},
		"outside the range, by a reservation": {[]inventory.LeaseFact{grant(1, "10.0.0.50", 0)}, nil},
		"a range that DHCP does not use":      {[]inventory.LeaseFact{grant(1, "198.51.0.10", 0)}, nil},
		"a subnet without ranges":             {[]inventory.LeaseFact{grant(1, "203.0.113.9", 0)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inv := leasing(t)
			for range 2 { // facts may be repeated: the second time changes nothing
				for _, f := range test.facts {
					ok(t, inv.Leases.Record(t.Context(), f))
				}
			}
			if got := observed(t, inv); !slices.Equal(got, test.want) {
				t.Errorf("leased %v, want %v", got, test.want)
			}
		})
	}
}

func TestLeaseFactsAreChecked(t *testing.T) {
	inv := leasing(t)
	for name, f := range map[string]inventory.LeaseFact{
		"no MAC":     {Addr: addr("10.0.0.100")},
		"short MAC":  {MAC: []byte{2, 0, 0}, Addr: addr("10.0.0.100")},
		"no address": {MAC: mac(1)},
	} {
		var invalid *inventory.InvalidError
		if err := inv.Leases.Record(t.Context(), f); !errors.As(err, &invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := inv.Leases.Record(t.Context(), inventory.LeaseFact{MAC: mac(1), Addr: addr("192.168.1.1")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an address of no subnet: %v", err)
	}
}

// A renewal is no change of the site: thousands of them arrive each hour, and no plan follows.
func TestRenewalsAreNotInTheFeed(t *testing.T) {
	inv := leasing(t)
	ctx := t.Context()
	f := inventory.LeaseFact{MAC: mac(1), Addr: addr("10.0.0.100"), Hostname: "laptop", Expires: time.Now().Add(time.Hour)}
	ok(t, inv.Leases.Record(ctx, f))
	before := must[int64](t)(inv.Revision(ctx))
	f.Expires = f.Expires.Add(time.Hour)
	ok(t, inv.Leases.Record(ctx, f))
	if now := must[int64](t)(inv.Revision(ctx)); now != before {
		t.Errorf("a renewal is revision %d after %d", now, before)
	}
	if n := must[int](t)(inv.Leases.Expire(ctx, f.Expires.Add(-time.Minute))); n != 0 {
		t.Errorf("%d renewed leases expired", n)
	}
	f.Hostname = "laptop-2"
	ok(t, inv.Leases.Record(ctx, f))
	if now := must[int64](t)(inv.Revision(ctx)); now == before {
		t.Error("another name is not in the feed, and never in the DNS")
	}
	if n := must[int](t)(inv.Leases.Expire(ctx, f.Expires.Add(time.Minute))); n != 1 {
		t.Errorf("%d leases expired, want 1", n)
	}
	if got := observed(t, inv); got != nil {
		t.Errorf("left %v", got)
	}
}

// The lease of a machine's bond is seen on the interface that firmware boots from.
func TestLeaseOfABond(t *testing.T) {
	inv := leasing(t)
	ctx := t.Context()
	m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "node1", Interfaces: []inventory.Interface{nic(1), nic(2)}}))
	must[ipam.Interface](t)(inv.Interfaces.Create(ctx, ipam.Interface{
		NodeID: m.ID, Name: "bond0", Kind: ipam.Bond, MAC: mac(1), Parents: []int64{m.Interfaces[0].ID, m.Interfaces[1].ID},
	}))
	ok(t, inv.Leases.Record(ctx, inventory.LeaseFact{MAC: mac(1), Addr: addr("10.0.0.100"), Expires: time.Now().Add(time.Hour)}))
	m = must[inventory.Machine](t)(inv.Machines.Get(ctx, m.ID))
	for _, i := range m.Interfaces {
		if leased := len(i.Links) == 1; leased != (i.ID == m.Interfaces[0].ID) {
			t.Errorf("%s has %+v", i.Name, i.Links)
		}
	}
	if got := m.Addrs(); !slices.Equal(got, []netip.Addr{addr("10.0.0.100")}) {
		t.Errorf("addresses %v", got)
	}
}

// A dynamic range is full when each of its addresses is leased, not before.
func TestFullRanges(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("192.0.2.0/24")}))
		must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("fd77::/64")}))
		for _, r := range [][2]string{{"192.0.2.10", "192.0.2.11"}, {"fd77::1:0:0", "fd77::2:0:0"}, {"192.0.2.255", "192.0.2.255"}} {
			_, _ = inv.Ranges.Create(ctx, ipam.Range{Type: ipam.RangeDynamic, Start: netip.MustParseAddr(r[0]), End: netip.MustParseAddr(r[1])})
		}
		for i, want := range []int{0, 1} {
			ok(t, inv.Leases.Record(ctx, inventory.LeaseFact{MAC: []byte{2, 0, 0, 0, 0, byte(i)}, Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)}), Expires: time.Now().Add(time.Hour)}))
			if full := must[[]ipam.Range](t)(inv.FullRanges(ctx)); len(full) != want {
				t.Errorf("%d leases: full are %v", i+1, full)
			}
		}
	})
}
