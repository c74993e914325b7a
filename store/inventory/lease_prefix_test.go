package inventory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// The lease of a delegated prefix is found by any address of it, with the router that has it, which may have no MAC.
func TestPrefixLeases(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx, at := t.Context(), time.Now().Truncate(time.Second)
		s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{
			Prefix: prefix("2001:db8::/64"), Delegated: []ipam.PrefixPool{{Prefix: prefix("2001:db8:f000::/48"), Length: 60}},
		}))
		if again := must[ipam.Subnet](t)(inv.Subnets.Get(ctx, s.ID)); len(again.Delegated) != 1 || again.Delegated[0] != s.Delegated[0] {
			t.Errorf("stored %v", again.Delegated)
		}
		m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "router", Interfaces: []inventory.Interface{nic(1)}}))
		named := inventory.LeaseFact{MAC: mac(1), Addr: addr("2001:db8:f000:10::"), Bits: 60, ClientID: "00030001", Hostname: "gw", Time: at, Expires: at.Add(time.Hour)}
		nameless := inventory.LeaseFact{Addr: addr("2001:db8:f000:20::"), Bits: 60, ClientID: "0004aa", Time: at, Expires: at.Add(time.Hour)}
		for range 2 { // a fact twice changes nothing
			ok(t, inv.Leases.Record(ctx, named))
			ok(t, inv.Leases.Record(ctx, nameless))
		}
		all := must[[]inventory.Lease](t)(inv.Leases.Find(ctx, inventory.LeaseFilter{}))
		if len(all) != 2 || len(observed(t, inv)) != 0 {
			t.Errorf("leases %+v, observed %v", all, observed(t, inv))
		}
		for a, want := range map[string]string{
			"2001:db8:f000:10::": "router.maas", "2001:db8:f000:1f:ffff::9": "router.maas", "2001:db8:f000:2a::1": "0004aa", "2001:db8:f000:30::": "", "2001:db8::10": "", "10.0.0.1": "",
		} {
			got := ""
			for _, l := range must[[]inventory.Lease](t)(inv.Leases.Find(ctx, inventory.LeaseFilter{Addr: addr(a)})) {
				if got += l.FQDN; l.FQDN == "" {
					got += l.ClientID
				}
				if l.SubnetID != s.ID || l.Bits != 60 || l.State != inventory.LeaseActive || l.Expires.IsZero() || l.Began.IsZero() {
					t.Errorf("%+v", l)
				}
			}
			if got != want {
				t.Errorf("%s: %q, want %q", a, got, want)
			}
			if past := must[[]inventory.LeasePeriod](t)(inv.Leases.History(ctx, inventory.PeriodFilter{Addr: addr(a), At: at.Add(time.Minute)})); (len(past) > 0) != (want != "") {
				t.Errorf("%s: history %+v", a, past)
			}
		}
		for name, f := range map[string]inventory.LeaseFilter{"MAC": {MAC: mac(1)}, "name": {Name: "GW"}, "machine": {Name: "router"}} {
			if found := must[[]inventory.Lease](t)(inv.Leases.Find(ctx, f)); len(found) != 1 || found[0].Node != m.ID {
				t.Errorf("by %s: %+v", name, found)
			}
		}
		nameless.Ended, nameless.How, nameless.Time = true, "released", at.Add(time.Minute)
		ok(t, inv.Leases.Record(ctx, nameless))
		// After a change of the pool's length another client has a prefix that begins with the same address.
		ok(t, inv.Leases.Record(ctx, inventory.LeaseFact{MAC: mac(2), Addr: addr("2001:db8:f000:10::"), Bits: 62, Time: at.Add(2 * time.Minute), Expires: at.Add(time.Hour)}))
		var got []string
		for _, p := range must[[]inventory.LeasePeriod](t)(inv.Leases.History(ctx, inventory.PeriodFilter{})) {
			got = append(got, strings.TrimSpace(p.Addr.String()+" "+p.How))
		}
		if want := "2001:db8:f000:10::,2001:db8:f000:10:: replaced,2001:db8:f000:20:: released"; strings.Join(got, ",") != want {
			t.Errorf("history %v", got)
		}
	})
}

func TestPrefixLeasesRefuse(t *testing.T) {
	inv := leasing(t)
	ctx := t.Context()
	must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("2001:db8:77::/64"), Delegated: []ipam.PrefixPool{{Prefix: prefix("2001:db8:f000::/48"), Length: 60}}}))
	for want, f := range map[string]inventory.LeaseFact{
		"delegates the prefix": {MAC: mac(1), Addr: addr("2001:db8:f001::"), Bits: 60},
		"60 is not the length": {MAC: mac(1), Addr: addr("2001:db8:f000:1::"), Bits: 60},
		"4 is not the length":  {MAC: mac(1), Addr: addr("2000::"), Bits: 4},
		"are needed":           {Addr: addr("2001:db8:f000::"), Bits: 60},
	} {
		if err := inv.Leases.Record(ctx, f); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.7.0.0/24"), VRF: "red"}); err == nil || !strings.Contains(err.Error(), "is not supported") {
		t.Errorf("a subnet in a VRF: %v", err)
	}
	_, err := inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("2001:db8:f000:9::/64")})
	if err == nil || !strings.Contains(err.Error(), "delegated prefixes 2001:db8:f000::/48-60") {
		t.Error(err)
	}
}
