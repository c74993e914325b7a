package plan_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

func TestRacksOfTheZoneComeFirst(t *testing.T) {
	now := time.Now()
	link := func(cidr string) []inventory.RackLink {
		return []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix(cidr)}}}
	}
	model := &inventory.Model{Racks: []inventory.Rack{
		{Name: "far-linked", ZoneID: 2, Links: link("192.0.2.1/24"), LastSeen: now},
		{Name: "near-fresh", ZoneID: 1, Links: link("198.51.100.1/24"), LastSeen: now},
		{Name: "near-old", ZoneID: 1, Links: link("198.51.100.2/24"), LastSeen: now.Add(-time.Hour)},
		{Name: "near-linked", ZoneID: 1, Links: link("192.0.2.2/24"), LastSeen: now.Add(-time.Minute)},
	}}
	for address, want := range map[string]string{
		"192.0.2.9": "near-linked near-fresh near-old far-linked", "https://192.0.2.9:8443/redfish": "near-linked near-fresh near-old far-linked",
		"192.0.2.9:623": "near-linked near-fresh near-old far-linked", "bmc.example": "near-fresh near-linked near-old far-linked",
	} {
		m := inventory.Machine{ZoneID: 1, Power: inventory.Power{Params: map[string]string{"power_address": address}}}
		if got := racksFor(model, &m); got != want {
			t.Errorf("%s: %v, want %s", address, got, want)
		}
	}
}

func racksFor(model *inventory.Model, m *inventory.Machine) string {
	var got []string
	for _, r := range plan.RacksFor(model, m) {
		got = append(got, r.Name)
	}
	return strings.Join(got, " ")
}

// Only a rack that was given a BMC's network, or that serves the machine, is sent the password.
func TestPasswordsGoToAssignedRacksOnly(t *testing.T) {
	networks := func(cidrs ...string) (out []netip.Prefix) {
		for _, c := range cidrs {
			out = append(out, netip.MustParsePrefix(c))
		}
		return out
	}
	claim := &inventory.Registration{Links: []inventory.RackLink{{Name: "any", Addrs: networks("198.51.100.77/0", "198.51.100.77/24")}}}
	model := &inventory.Model{
		VLANs:   []ipam.VLAN{{ID: 1, PrimaryRack: "serving"}, {ID: 2, RelayVLANID: 1}, {ID: 3, PrimaryRack: "evil"}},
		Subnets: []ipam.Subnet{{ID: 1, VLANID: 1, Prefix: netip.MustParsePrefix("192.0.2.0/24")}, {ID: 3, VLANID: 3, Prefix: netip.MustParsePrefix("203.0.113.0/24")}},
		Racks: []inventory.Rack{
			{Name: "bmc", BMCNetworks: networks("198.51.100.0/24"), Claim: &inventory.Registration{}},
			{Name: "serving", Claim: &inventory.Registration{}}, {Name: "evil", Claim: claim}, {Name: "new", Claim: claim},
			{Name: "wide", BMCNetworks: networks("0.0.0.0/0", "::/0"), Claim: &inventory.Registration{}},
		},
	}
	for _, c := range []struct {
		vlan    int64
		address string
		want    string
	}{
		{0, "198.51.100.9", "bmc wide"}, {1, "198.51.100.9", "bmc serving wide"}, {2, "198.51.100.9", "bmc serving wide"},
		{3, "198.51.100.9", "bmc evil wide"}, {0, "203.0.113.9", "evil wide"}, {0, "10.9.9.9", "wide"}, {1, "bmc.example", "serving wide"},
		{0, "bmc.example", "wide"}, {0, "[2001:db8::9]:623", "wide"},
	} {
		m := inventory.Machine{
			Interfaces: []inventory.Interface{{Interface: ipam.Interface{VLANID: c.vlan}}},
			Power:      inventory.Power{Params: map[string]string{"power_address": c.address}},
		}
		if got := racksFor(model, &m); got != c.want {
			t.Errorf("VLAN %d, BMC %s: %q, want %q", c.vlan, c.address, got, c.want)
		}
	}
}
