package inventory_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/store/inventory"
)

func TestRacksThatAreAwayAreNoticedOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		west := must[inventory.AvailabilityZone](t)(inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: "west"}))
		for _, name := range []string{"w1", "w2"} {
			must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: name, ZoneID: west.ID}))
		}
		must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "e1"}))
		report := inventory.RackReport{Version: "1.2", Services: []inventory.RackService{{Name: "dhcp", Status: "running"}}, Waiting: 7}
		for _, name := range []string{"w1", "w2", "e1"} {
			ok(t, inv.Health.Report(ctx, name, "region-a", report))
		}
		if err := inv.Health.Report(ctx, "nobody", "region-a", report); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a rack that is not there: %v", err)
		}
		h := must[map[string]inventory.RackHealth](t)(inv.Health.Racks(ctx))["w1"]
		if h.Region != "region-a" || h.Report.Version != "1.2" || h.Report.Waiting != 7 || len(h.Report.Services) != 1 {
			t.Errorf("health %+v", h)
		}
		if away := must[[]string](t)(inv.Health.NoticeAway(ctx, time.Now().Add(-time.Minute))); len(away) != 0 {
			t.Errorf("away: %v", away)
		}
		time.Sleep(5 * time.Millisecond)
		since := time.Now()
		ok(t, inv.Health.Report(ctx, "e1", "region-a", report))
		if away := must[[]string](t)(inv.Health.NoticeAway(ctx, since)); strings.Join(away, " ") != "w1 w2" {
			t.Errorf("away: %v", away)
		}
		if away := must[[]string](t)(inv.Health.NoticeAway(ctx, since)); len(away) != 0 {
			t.Errorf("noticed again: %v", away)
		}
		lost := must[[]inventory.LostZone](t)(inv.Health.LostZones(ctx))
		if len(lost) != 1 || lost[0].Zone.Name != "west" {
			t.Errorf("lost zones %+v", lost)
		}
		ok(t, inv.Health.Report(ctx, "w2", "region-b", report))
		if lost := must[[]inventory.LostZone](t)(inv.Health.LostZones(ctx)); len(lost) != 0 {
			t.Errorf("lost zones %+v", lost)
		}
		var log []string
		for _, e := range must[[]inventory.Event](t)(inv.Events.After(ctx, 0, 0, 10)) {
			log = append(log, e.Level+" "+strings.Join(strings.Fields(e.Description)[:4], " "))
		}
		want := "warning rack w1 was not; warning rack w2 was not; error zone west is without; info rack w2 is back,"
		if got := strings.Join(log, "; "); got != want {
			t.Errorf("events\n%s, want\n%s", got, want)
		}
	})
}

// State that a rack refuses and services that fail are events, once each, and so is their end.
func TestRefusedStateIsAnEvent(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		ctx := t.Context()
		must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "r1"}))
		topic := func(refused string, served uint64) inventory.RackReport {
			return inventory.RackReport{Topics: []inventory.RackTopic{{Name: "dhcp", Revision: 9, Served: served, Refused: refused}, {Name: "dns", Revision: 9, Served: 9}}}
		}
		service := func(status, info string) inventory.RackReport {
			return inventory.RackReport{Services: []inventory.RackService{{Name: "tftp", Status: status, Info: info}}}
		}
		for _, r := range []inventory.RackReport{
			topic("", 9), topic("link a", 8), topic("link a", 8), topic("link b", 0), topic("", 10), topic("", 11),
			{Troubles: map[string]string{"upstream 192.0.2.53": "no answer"}}, {Troubles: map[string]string{"upstream 192.0.2.53": "no answer"}}, {},
			service("running", ""), service("dead", "port taken"), service("dead", "port taken"), service("running", ""),
		} {
			ok(t, inv.Health.Report(ctx, "r1", "region-a", r))
		}
		var log []string
		for _, e := range must[[]inventory.Event](t)(inv.Events.After(ctx, 0, 0, 10)) {
			log = append(log, e.Kind+" "+e.Level+" "+e.Description)
		}
		want := []string{
			"rack error rack r1 refused its dhcp state and serves older state: link a",
			"rack error rack r1 refused its dhcp state and serves nothing: link b",
			"rack info rack r1 accepts its dhcp state again",
			"rack error rack r1 reports upstream 192.0.2.53: no answer",
			"rack info rack r1 reports that upstream 192.0.2.53 is well again",
			"rack error rack r1 does not serve tftp: port taken",
			"rack info rack r1 has service tftp back: running",
		}
		if diff := cmp.Diff(want, log); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}
