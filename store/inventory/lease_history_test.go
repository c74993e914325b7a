package inventory_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

// history returns the periods of an address in order of time: client, minutes since at, how.
func history(t *testing.T, inv *inventory.Inventory, a string, at time.Time) string {
	t.Helper()
	var out []string
	for _, p := range must[[]inventory.LeasePeriod](t)(inv.Leases.History(t.Context(), inventory.PeriodFilter{Addr: addr(a)})) {
		end := ""
		if !p.Ended.IsZero() {
			end = fmt.Sprint(int(p.Ended.Sub(at).Minutes()))
		}
		out = append([]string{fmt.Sprintf("%x:%d-%s%s", p.MAC[5], int(p.Began.Sub(at).Minutes()), end, p.How)}, out...)
	}
	return strings.Join(out, " ")
}

func TestLeaseHistory(t *testing.T) {
	at := time.Now().Truncate(time.Second)
	const ip = "10.0.0.100"
	grant := func(client, minute int) inventory.LeaseFact {
		begin := at.Add(time.Duration(minute) * time.Minute)
		return inventory.LeaseFact{MAC: mac(client), Addr: addr(ip), Time: begin, Expires: begin.Add(time.Hour)}
	}
	end := func(client, minute int, how string) inventory.LeaseFact {
		f := grant(client, minute)
		f.Ended, f.How = true, how
		return f
	}
	reported := func(client, minute, began int) inventory.LeaseFact {
		f := grant(client, minute)
		f.Began = at.Add(time.Duration(began) * time.Minute)
		return f
	}
	for name, test := range map[string]struct {
		facts []inventory.LeaseFact
		want  string
	}{
		"granted":                       {[]inventory.LeaseFact{grant(1, 0)}, "1:0-"},
		"renewed":                       {[]inventory.LeaseFact{grant(1, 0), grant(1, 30), grant(1, 80)}, "1:0-"},
		"released":                      {[]inventory.LeaseFact{grant(1, 0), end(1, 5, "released")}, "1:0-5released"},
		"declined, then another":        {[]inventory.LeaseFact{grant(1, 0), end(1, 5, "declined"), grant(2, 9)}, "1:0-5declined 2:9-"},
		"again after a release":         {[]inventory.LeaseFact{grant(1, 0), end(1, 5, "released"), grant(1, 9)}, "1:0-5released 1:9-"},
		"replaced":                      {[]inventory.LeaseFact{grant(1, 0), grant(2, 9)}, "1:0-9replaced 2:9-"},
		"expired without a report":      {[]inventory.LeaseFact{grant(1, 0), grant(2, 90)}, "1:0-60expired 2:90-"},
		"again after it ran out":        {[]inventory.LeaseFact{grant(1, 0), grant(1, 90)}, "1:0-60expired 1:90-"},
		"the end reported late":         {[]inventory.LeaseFact{grant(1, 0), grant(2, 9), end(1, 5, "released")}, "1:0-5released 2:9-"},
		"the whole reported late":       {[]inventory.LeaseFact{grant(2, 9), grant(1, 0), end(1, 5, "released")}, "1:0-5released 2:9-"},
		"an end of nothing":             {[]inventory.LeaseFact{end(1, 5, "released")}, ""},
		"an end of another client":      {[]inventory.LeaseFact{grant(1, 0), end(2, 5, "released")}, "1:0-"},
		"a start that the rack knows":   {[]inventory.LeaseFact{reported(1, 100, 0)}, "1:0-"},
		"renewals that were not heard":  {[]inventory.LeaseFact{grant(1, 0), reported(1, 100, 0)}, "1:0-"},
		"a start after another's end":   {[]inventory.LeaseFact{grant(2, 0), end(2, 20, "released"), reported(1, 30, 10)}, "2:0-20released 1:20-"},
		"outside of the dynamic ranges": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inv := leasing(t)
			for range 2 { // facts may be repeated: the second time changes nothing
				for _, f := range test.facts {
					ok(t, inv.Leases.Record(t.Context(), f))
				}
			}
			if got := history(t, inv, ip, at); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestLeaseHistoryIsAsked(t *testing.T) {
	inv, at := leasing(t), time.Now().Add(-10*time.Hour).Truncate(time.Second)
	if !must[time.Time](t)(inv.Leases.HistoryBegins(t.Context())).IsZero() {
		t.Error("an empty history begins")
	}
	for n, a := range []string{"10.0.0.100", "10.0.0.50", "2001:db8::1000"} { // the second one by a reservation
		ok(t, inv.Leases.Record(t.Context(), inventory.LeaseFact{
			MAC: mac(n % 2), Addr: addr(a), Time: at, Expires: at.Add(time.Hour), Hostname: "laptop", ClientID: "01aa",
		}))
	}
	for name, test := range map[string]struct {
		filter inventory.PeriodFilter
		want   int
	}{
		"all":            {inventory.PeriodFilter{}, 3},
		"the last":       {inventory.PeriodFilter{Limit: 1}, 1},
		"of a client":    {inventory.PeriodFilter{MAC: mac(0)}, 2},
		"of an address":  {inventory.PeriodFilter{Addr: addr("10.0.0.50")}, 1},
		"at a time":      {inventory.PeriodFilter{At: at.Add(time.Minute)}, 3},
		"at its start":   {inventory.PeriodFilter{At: at}, 3},
		"before":         {inventory.PeriodFilter{At: at.Add(-time.Second)}, 0},
		"after it ended": {inventory.PeriodFilter{At: at.Add(time.Hour)}, 0},
	} {
		if got := must[[]inventory.LeasePeriod](t)(inv.Leases.History(t.Context(), test.filter)); len(got) != test.want {
			t.Errorf("%s: %d periods, want %d", name, len(got), test.want)
		}
	}
	must[int](t)(inv.Leases.Expire(t.Context(), time.Now()))
	got := must[[]inventory.LeasePeriod](t)(inv.Leases.History(t.Context(), inventory.PeriodFilter{Addr: addr("10.0.0.100")}))
	if len(got) != 1 || got[0].How != "expired" || !got[0].Ended.Equal(at.Add(time.Hour)) || got[0].Subnet != prefix("10.0.0.0/24") || got[0].ClientID != "01aa" {
		t.Errorf("%+v", got)
	}
	if !must[time.Time](t)(inv.Leases.HistoryBegins(t.Context())).Equal(at) {
		t.Error("the history does not begin with its first period")
	}
	// Each beginning is an event, of a level below those that are shown.
	if got := must[[]inventory.Event](t)(inv.Events.Last(t.Context(), 0, 10)); len(got) != 3 || got[0].Kind != "lease" || got[0].Level != "debug" {
		t.Errorf("%+v", got)
	}
}

// The history and its events are bounded by number, the oldest first.
func TestLeaseHistoryIsBounded(t *testing.T) {
	inv := leasing(t)
	inv.Leases.Bound(100, 50, 10)
	at := time.Now().Truncate(time.Second)
	for n := range 1000 {
		begin := at.Add(time.Duration(n) * time.Second)
		ok(t, inv.Leases.Record(t.Context(), inventory.LeaseFact{MAC: mac(n), Addr: addr("10.0.0.100"), Time: begin, Expires: begin.Add(time.Hour)}))
	}
	got := must[[]inventory.LeasePeriod](t)(inv.Leases.History(t.Context(), inventory.PeriodFilter{Limit: 2000}))
	if len(got) > 150 || len(got) < 100 || got[0].MAC.String() != mac(999).String() {
		t.Errorf("%d periods, want the last 100 to 150", len(got))
	}
	if events := must[[]inventory.Event](t)(inv.Events.Last(t.Context(), 0, 2000)); len(events) > 60 {
		t.Errorf("%d events, want at most 60", len(events))
	}
}
