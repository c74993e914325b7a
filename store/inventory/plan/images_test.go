package plan_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

func TestImageNeighbors(t *testing.T) {
	rack := func(id, zone int64, at string) inventory.Rack {
		return inventory.Rack{ID: id, ZoneID: zone, Links: []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix(at)}}}}
	}
	racks := []inventory.Rack{
		rack(1, 1, "192.0.2.1/24"), rack(2, 1, "192.0.2.2/24"), rack(3, 2, "198.51.100.3/24"), rack(4, 1, "203.0.113.4/24"), rack(5, 1, "192.0.2.5/24"),
		{ID: 6, ZoneID: 1}, rack(7, 1, "10.0.7.1/24"), rack(8, 1, "10.0.8.1/24"),
	}
	for id, want := range map[int]string{
		1: "[192.0.2.2 192.0.2.5 203.0.113.4 10.0.7.1]", 2: "[192.0.2.5 192.0.2.1 203.0.113.4 10.0.7.1]",
		3: "[]", 4: "[192.0.2.5 10.0.7.1 10.0.8.1 192.0.2.1]", 8: "[192.0.2.1 192.0.2.2 203.0.113.4 192.0.2.5]",
	} {
		if got := fmt.Sprint(plan.ImageNeighbors(racks, racks[id-1])); got != want {
			t.Errorf("rack %d: %s, want %s", id, got, want)
		}
	}
}
