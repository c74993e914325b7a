package plan_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

// Zones of a domain that names its racks, and its keys, are on these alone; the others forward.
func TestRacksServeTheirPartOfTheNames(t *testing.T) {
	link := func(addr string) []inventory.RackLink {
		return []inventory.RackLink{{Name: "eth0", Addrs: []netip.Prefix{netip.MustParsePrefix(addr), netip.MustParsePrefix("fe80::1/64")}}}
	}
	claim := &inventory.Registration{Links: link("203.0.113.1/24")}
	m := &inventory.Model{
		Settings: map[string]string{setting.DNSTransfer: "everywhere"},
		Domains: []inventory.Domain{
			{ID: 1, Name: "maas", AllowTransfer: []string{"open"}},
			{ID: 2, Name: "prod.example", Signed: true, Racks: []string{"a"}, AllowUpdate: []inventory.UpdateGrant{{Key: "updates", Name: "@"}}},
			{ID: 3, Name: "lab.prod.example"},
		},
		VLANs: []ipam.VLAN{{ID: 1}},
		Racks: []inventory.Rack{{Name: "a", Links: link("192.0.2.1/24")}, {Name: "b", Links: link("198.51.100.1/24")}, {Name: "waits", Claim: claim}},
		Records: []inventory.DNSRecord{
			{ID: 1, DomainID: 1, Name: "www", Type: "A", Data: "192.0.2.9"}, {ID: 2, DomainID: 2, Name: "db", Type: "A", Data: "192.0.2.8"},
			{ID: 3, DomainID: 3, Name: "x", Type: "A", Data: "192.0.2.7"},
		},
	}
	whole := plan.DNS(m)
	whole.Access.Keys = []dnssrv.Key{{Name: "everywhere"}, {Name: "open"}, {Name: "updates"}}
	type part struct{ Zones, Keys, Forwarded, Sets []string }
	of := func(rack inventory.Rack) (p part) {
		cut := plan.DNSCutOf(m, rack).Plan(whole)
		for _, z := range cut.Zones {
			p.Zones = append(p.Zones, z.Name)
		}
		for _, k := range cut.Access.Keys {
			p.Keys = append(p.Keys, k.Name)
		}
		for _, d := range cut.Forwarding.Domains {
			p.Forwarded = append(p.Forwarded, d.Name+" "+d.Servers[0].String())
		}
		for _, s := range cut.Sets {
			if s.Type == "A" && s.Data[0] > "192.0.2.5" {
				p.Sets = append(p.Sets, s.Name)
			}
		}
		return p
	}
	want := map[string]part{
		"a": {Zones: []string{"lab.prod.example", "maas", "maas-internal", "prod.example"}, Keys: []string{"everywhere", "open", "updates"},
			Sets: []string{"db.prod.example", "www.maas", "x.lab.prod.example"}},
		"b": {Zones: []string{"lab.prod.example", "maas", "maas-internal"}, Keys: []string{"everywhere", "open"}, Forwarded: []string{"prod.example 192.0.2.1:53"},
			Sets: []string{"www.maas", "x.lab.prod.example"}},
		"waits": {},
	}
	for _, rack := range m.Racks {
		got := of(rack)
		got.Sets = slices.DeleteFunc(got.Sets, func(name string) bool { return name == "ns.maas" || name == "a.maas" || name == "b.maas" })
		if diff := cmp.Diff(want[rack.Name], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", rack.Name, diff)
		}
	}
	if plan.DNSCutOf(m, m.Racks[0]).Key() == plan.DNSCutOf(m, m.Racks[1]).Key() {
		t.Error("racks with different parts have one key")
	}
}
