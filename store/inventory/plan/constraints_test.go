package plan_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

func TestRacksOfTheZoneComeFirst(t *testing.T) {
	now := time.Now()
	link := func(cidr string) []inventory.RackLink {
		return []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix(cidr)}}}
	}
	racks := []inventory.Rack{
		{Name: "far-linked", ZoneID: 2, Links: link("192.0.2.1/24"), LastSeen: now},
		{Name: "near-fresh", ZoneID: 1, Links: link("198.51.100.1/24"), LastSeen: now},
		{Name: "near-old", ZoneID: 1, LastSeen: now.Add(-time.Hour)},
		{Name: "near-linked", ZoneID: 1, Links: link("192.0.2.2/24"), LastSeen: now.Add(-time.Minute)},
	}
	for address, want := range map[string]string{
		"192.0.2.9": "near-linked near-fresh near-old far-linked", "https://192.0.2.9:8443/redfish": "near-linked near-fresh near-old far-linked",
		"192.0.2.9:623": "near-linked near-fresh near-old far-linked", "bmc.example": "near-fresh near-linked near-old far-linked",
	} {
		m := inventory.Machine{ZoneID: 1, Power: inventory.Power{Params: map[string]string{"power_address": address}}}
		var got []string
		for _, r := range plan.RacksFor(&m, racks) {
			got = append(got, r.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", address, got, want)
		}
	}
}
