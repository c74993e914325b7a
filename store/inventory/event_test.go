package inventory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

func idsOf(events []inventory.Event) string {
	var out []string
	for _, e := range events {
		out = append(out, e.Description)
	}
	return strings.Join(out, " ")
}

// Each field of a filter narrows the choice, pages begin at either end, and the order is that of
// the log.
func TestEventFilters(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	a := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "a", Interfaces: []inventory.Interface{nic(1)}}))
	b := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "b", Interfaces: []inventory.Interface{nic(2)}}))
	for i, e := range []inventory.Event{
		{NodeID: a.ID, Level: "debug"}, {NodeID: a.ID, Level: "info"}, {NodeID: b.ID, Level: "warning"}, {Level: "error"},
		{NodeID: b.ID, User: "eve"}, {NodeID: a.ID, Level: "critical"},
	} {
		e.Kind, e.Description, e.Time = "test", fmt.Sprint(i+1), time.Unix(int64(i), 0)
		ok(t, inv.Events.Add(ctx, e))
	}
	first := must[[]inventory.Event](t)(inv.Events.Find(ctx, inventory.EventFilter{Oldest: true, Limit: 1}))[0].ID
	for name, test := range map[string]struct {
		filter inventory.EventFilter
		want   string
	}{
		"all":              {inventory.EventFilter{}, "1 2 3 4 5 6"},
		"from a level":     {inventory.EventFilter{Level: "warning"}, "3 4 6"},
		"the lowest level": {inventory.EventFilter{Level: "debug"}, "1 2 3 4 5 6"},
		"a machine":        {inventory.EventFilter{Nodes: []int64{a.ID}}, "1 2 6"},
		"two machines":     {inventory.EventFilter{Nodes: []int64{a.ID, b.ID}, Level: "info"}, "2 3 5 6"},
		"a user":           {inventory.EventFilter{User: "eve"}, "5"},
		"another user":     {inventory.EventFilter{User: "bob"}, ""},
		"after":            {inventory.EventFilter{After: first + 2}, "4 5 6"},
		"before":           {inventory.EventFilter{Before: first + 2}, "1 2"},
		"between":          {inventory.EventFilter{After: first, Before: first + 3}, "2 3"},
		"the last two":     {inventory.EventFilter{Limit: 2}, "5 6"},
		"the first two":    {inventory.EventFilter{Limit: 2, Oldest: true}, "1 2"},
	} {
		if test.filter.Limit == 0 {
			test.filter.Limit = 10
		}
		if got := idsOf(must[[]inventory.Event](t)(inv.Events.Find(ctx, test.filter))); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := idsOf(must[[]inventory.Event](t)(inv.Events.After(ctx, a.ID, first, 1))); got != "2" {
		t.Errorf("after the first, of a: %q", got)
	}
	if got := idsOf(must[[]inventory.Event](t)(inv.Events.Last(ctx, 0, 3))); got != "4 5 6" {
		t.Errorf("the last three: %q", got)
	}
	ok(t, inv.Audit.Add(ctx, inventory.Event{Kind: "test", Description: "who"}))
	for _, step := range []struct {
		keep int
		want string
	}{{9, "1 2 3 4 5 6"}, {2, "5 6"}, {0, ""}} {
		ok(t, inv.Events.Trim(ctx, step.keep))
		if got := idsOf(must[[]inventory.Event](t)(inv.Events.Last(ctx, 0, 10))); got != step.want {
			t.Errorf("after a trim to %d: %q, want %q", step.keep, got, step.want)
		}
	}
	if audit := must[[]inventory.Event](t)(inv.Audit.Last(ctx, 0, 10)); idsOf(audit) != "who" || audit[0].Level != inventory.LevelAudit {
		t.Errorf("the audit log after trims of the log: %+v", audit)
	}
	ok(t, inv.Audit.Trim(ctx, 0))
	if audit := must[[]inventory.Event](t)(inv.Audit.Last(ctx, 0, 10)); len(audit) != 0 {
		t.Errorf("the audit log after its trim: %+v", audit)
	}
	if err := inv.Events.Add(ctx, inventory.Event{Kind: "test", Level: inventory.LevelAudit}); err == nil {
		t.Error("the log took an event of the audit log")
	}
	if err := inv.Audit.Add(ctx, inventory.Event{Kind: "test", Level: "info"}); err == nil {
		t.Error("the audit log took an event of the log")
	}
}

// A change by an actor is one event of the audit log, which outlives its machine; a change that is
// rolled back is none.
func TestAuditOutlivesTheMachine(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := inventory.As(t.Context(), inventory.Actor{User: "eve", Doing: func() string { return "the test" }})
	m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Hostname: "a", Interfaces: []inventory.Interface{nic(1)}}))
	ok(t, inv.Events.Add(t.Context(), inventory.Event{NodeID: m.ID, Kind: "boot", Level: "info", Description: "booted"}))
	if _, err := inv.Machines.Create(ctx, inventory.Machine{Hostname: "a", Interfaces: []inventory.Interface{nic(2)}}); err == nil {
		t.Fatal("a name was given twice")
	}
	ok(t, inv.Machines.Delete(ctx, m.ID))
	audit := must[[]inventory.Event](t)(inv.Audit.Find(t.Context(), inventory.EventFilter{User: "eve", Limit: 10}))
	if len(audit) != 2 || audit[0].NodeID != 0 {
		t.Errorf("audit log %+v", audit)
	}
	if rest := must[[]inventory.Event](t)(inv.Events.Last(t.Context(), m.ID, 10)); len(rest) != 0 {
		t.Errorf("events of a machine that is gone: %+v", rest)
	}
}

// A subnet is reported from the threshold on. One with less than three times as many addresses is
// not: it is always close to it.
func TestExhaustion(t *testing.T) {
	inv := openInventory(t, "memory:")
	ctx := t.Context()
	s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/26"), Name: "lab"}))
	small := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.2.0.0/27"), Name: "small"}))
	must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.1.0.0/16")}))
	take := func(subnet ipam.Subnet, n int) {
		for range n {
			must[ipam.Allocation](t)(inv.ReserveAddress(ctx, inventory.Reservation{SubnetID: subnet.ID, Owner: "ada"}))
		}
	}
	check := func(when string, want ...string) {
		t.Helper()
		var got []string
		for _, n := range must[[]inventory.ExhaustionNotice](t)(inv.ExhaustionNotices(ctx)) {
			got = append(got, n.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	const lab = "subnet lab is running out of addresses: 16 free, 46 of 62 addresses used (74.2 %); release some, shrink a range or extend the subnet"
	check("empty subnets")
	take(s, 45)
	take(small, 20)
	check("17 are left, and 10 in the small one")
	take(s, 1)
	check("16 are left", lab)
	ok(t, inv.Settings.Set(ctx, setting.Exhaustion, "10"))
	check("10 are enough", "subnet small is running out of addresses: 10 free, 20 of 30 addresses used (66.7 %); release some, shrink a range or extend the subnet")
	ok(t, inv.Settings.Set(ctx, setting.Exhaustion, "0"))
	take(small, 10)
	check("switched off")
}
