package inventory_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// someLeases makes up facts of a few clients at a few addresses, out of order and repeated.
func someLeases(rng *rand.Rand, at time.Time) []inventory.LeaseFact {
	addrs := []string{"10.0.0.100", "10.0.0.101", "10.0.0.102", "2001:db8::1000", "2001:db8::1001", "10.0.0.50", "203.0.113.9", "192.168.1.1"}
	facts := make([]inventory.LeaseFact, 1+rng.IntN(60))
	for i := range facts {
		if i > 0 && rng.IntN(8) == 0 {
			facts[i] = facts[rng.IntN(i)]
			continue
		}
		t := at.Add(time.Duration(i+rng.IntN(30)) * time.Minute)
		f := inventory.LeaseFact{MAC: mac(rng.IntN(5)), Addr: addr(addrs[rng.IntN(len(addrs))]), Time: t, Expires: t.Add(20*time.Minute + 300)}
		if rng.IntN(3) == 0 {
			f.Hostname, f.ClientID = fmt.Sprint("host", rng.IntN(2)), "01aa"
		}
		if rng.IntN(4) == 0 {
			f.Began = t.Add(-time.Duration(rng.IntN(40)) * time.Minute)
		}
		if f.Ended = rng.IntN(4) == 0; f.Ended {
			f.How = []string{"", "released", "declined"}[rng.IntN(3)]
		}
		if rng.IntN(40) == 0 {
			f.MAC = nil
		}
		f.Quiet = rng.IntN(10) == 0
		facts[i] = f
	}
	return facts
}

// leaseState returns what leases leave in an inventory, without the numbers of rows.
func leaseState(t *testing.T, inv *inventory.Inventory) []string {
	t.Helper()
	ctx := t.Context()
	var out []string
	for _, p := range must[[]inventory.LeasePeriod](t)(inv.Leases.History(ctx, inventory.PeriodFilter{Limit: 1000})) {
		p.ID = 0
		out = append(out, fmt.Sprintf("period %+v", p))
	}
	for _, e := range must[[]inventory.Event](t)(inv.Events.Last(ctx, 0, 1000)) {
		out = append(out, fmt.Sprint("event ", e.Time.UTC(), e.NodeID, e.Description))
	}
	macs := map[int64]string{}
	for _, i := range must[[]ipam.Interface](t)(inv.Interfaces.List(ctx)) {
		macs[i.ID] = i.MAC.String()
		out = append(out, fmt.Sprint("interface ", i.MAC, i.Kind, i.VLANID, i.NodeID, i.Version))
	}
	for _, a := range must[[]ipam.Allocation](t)(inv.Allocations(ctx, 0)) {
		out = append(out, fmt.Sprint("address ", a.Type, a.Addr, macs[a.InterfaceID], a.Name, a.Created, a.Expires))
	}
	slices.Sort(out)
	return out
}

// Facts that are taken in together leave what they leave one by one.
func TestBatchIsItsFactsOneByOne(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	for seed := range uint64(60) {
		facts := someLeases(rand.New(rand.NewPCG(seed, 1)), at)
		one, all := leasing(t), leasing(t)
		for _, inv := range []*inventory.Inventory{one, all} {
			must[inventory.Machine](t)(inv.Machines.Create(t.Context(), inventory.Machine{Hostname: "node1", Interfaces: []inventory.Interface{nic(1), nic(2)}}))
		}
		var refused []bool
		for _, f := range facts {
			refused = append(refused, one.Leases.Record(t.Context(), f) != nil)
		}
		for len(facts) > 0 {
			n := min(len(facts), 1+int(seed)*2)
			for i, err := range must[[]error](t)(all.Leases.RecordAll(t.Context(), facts[:n])) {
				if (err != nil) != refused[i] {
					t.Errorf("seed %d: fact %+v: %v", seed, facts[i], err)
				}
			}
			facts, refused = facts[n:], refused[n:]
		}
		if diff := cmp.Diff(leaseState(t, one), leaseState(t, all)); diff != "" {
			t.Fatalf("seed %d (-one by one +together):\n%s", seed, diff)
		}
	}
}

// On each engine, what one batch leaves is what the next one finds.
func TestLeaseBatchesFollowEachOther(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx, at := t.Context(), time.Now().Truncate(time.Second)
		s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/16")}))
		must[ipam.Range](t)(inv.Ranges.Create(ctx, ipam.Range{SubnetID: s.ID, Type: ipam.RangeDynamic, Start: addr("10.0.1.0"), End: addr("10.0.9.255")}))
		batch := func(after time.Duration, ended bool) {
			t.Helper()
			var facts []inventory.LeaseFact
			a := addr("10.0.1.0")
			for i := range 700 { // more than are read at once
				facts = append(facts, inventory.LeaseFact{MAC: mac(i), Addr: a, Time: at.Add(after), Expires: at.Add(after + time.Hour), Ended: ended})
				a = a.Next()
			}
			for _, err := range must[[]error](t)(inv.Leases.RecordAll(ctx, facts)) {
				ok(t, err)
			}
		}
		for _, after := range []time.Duration{0, time.Minute} {
			batch(after, false)
			if n := len(observed(t, inv)); n != 700 {
				t.Errorf("%d addresses observed", n)
			}
		}
		batch(2*time.Minute, true)
		if got := observed(t, inv); got != nil {
			t.Errorf("observed %v", got)
		}
		if got := history(t, inv, "10.0.1.0", at); got != "0:0-2expired" {
			t.Error(got)
		}
	})
}
