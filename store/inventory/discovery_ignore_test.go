package inventory_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// An ignored device is a rule of the one setting: it may be added and removed by either way, and
// what is known of it goes with its rule.
func TestDeviceIsIgnoredByTheSetting(t *testing.T) {
	onDatabases(t, func(t *testing.T, _ *store.DB, inv *inventory.Inventory) {
		watched(t, inv, "192.0.2.0/24")
		ctx := inventory.As(t.Context(), inventory.Actor{User: "ada", Doing: func() string { return "test" }})
		ds := inv.Discoveries
		see := func() int {
			t.Helper()
			for n, addr := range map[byte]string{7: "192.0.2.7", 8: "192.0.2.8"} {
				ok(t, ds.Record(t.Context(), "rack-1", seenEvent(discovery.New, n, addr, named("printer", discovery.MDNS))))
			}
			return len(must[[]inventory.Discovery](t)(ds.List(ctx, inventory.AllDiscoveries)))
		}
		if n := see(); n != 2 {
			t.Fatalf("%d devices before", n)
		}
		ok(t, inv.Settings.Set(ctx, setting.DiscoveryIgnore, "b8:27:eb 198.51.100.0/24"))
		at := netip.MustParseAddr("192.0.2.7")
		made := must[inventory.IgnoredDevice](t)(ds.Ignore(ctx, at, seenMAC(7), " noisy "))
		if made.Rule != "02:00:00:00:00:07" || made.Addr != at || made.Hostname != "printer" || made.Reason != "noisy" || made.User != "ada" {
			t.Errorf("made %+v", made)
		}
		if n := see(); n != 1 {
			t.Errorf("%d devices with one of two ignored", n)
		}
		if _, err := ds.Ignore(ctx, at, seenMAC(7), ""); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ignored twice: %v", err)
		}
		var long *inventory.InvalidError
		if _, err := ds.Ignore(ctx, netip.MustParseAddr("192.0.2.8"), seenMAC(8), strings.Repeat("x", 501)); !errors.As(err, &long) {
			t.Errorf("a reason of 501 bytes: %v", err)
		}
		rules := func() (out []string) {
			for _, d := range must[[]inventory.IgnoredDevice](t)(ds.Ignored(ctx)) {
				out = append(out, strings.TrimSpace(d.Rule+" "+d.Hostname))
			}
			return out
		}
		if got := strings.Join(rules(), ", "); got != "b8:27:eb, 198.51.100.0/24, 02:00:00:00:00:07 printer" {
			t.Errorf("rules: %s", got)
		}
		// Spelling does not matter.
		ok(t, ds.Unignore(ctx, "B827EB"))
		ok(t, ds.Unignore(ctx, "198.51.100.9/24"))
		for _, rule := range []string{"198.51.100.0/24", "02:00:00", "no rule"} {
			if err := ds.Unignore(ctx, rule); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is removed: %v", rule, err)
			}
		}
		if got := must[string](t)(inv.Settings.Get(ctx, setting.DiscoveryIgnore)); got != "02:00:00:00:00:07" {
			t.Errorf("setting: %s", got)
		}
		// The setting that loses and gains the rule leaves nothing of the device.
		ok(t, inv.Settings.Set(ctx, setting.DiscoveryIgnore, ""))
		ok(t, inv.Settings.Set(ctx, setting.DiscoveryIgnore, "02:00:00:00:00:07"))
		if got := strings.Join(rules(), ", "); got != "02:00:00:00:00:07" {
			t.Errorf("rules: %s", got)
		}
		ok(t, ds.Unignore(ctx, "02:00:00:00:00:07"))
		if n := see(); n != 2 {
			t.Errorf("%d devices after", n)
		}
	})
}
