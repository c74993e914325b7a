package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/dnssrv/catalog"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
	"github.com/gomaas/maas/store/inventory/setting"
)

// Only a rack that gives leases in a zone of others gets the zone, and its key.
func TestForeignDNS(t *testing.T) {
	m := town()
	m.VLANs = []ipam.VLAN{{ID: 1, DHCP: true, PrimaryRack: m.Racks[0].Name}}
	m.Settings[setting.DNSUpdate] = "maas=192.0.2.53/update 10.in-addr.arpa=192.0.2.53 9.9.10.in-addr.arpa=192.0.2.53 other.example=192.0.2.53/never sub.maas=192.0.2.53"
	m.Settings[setting.DNSFollow] = "catalog.example=192.0.2.54/follow"
	for i, want := range [][]string{{"maas", "10.in-addr.arpa"}, nil, nil} {
		f := plan.ForeignDNSOf(m, m.Racks[i])
		var zones []string
		for _, z := range f.Update {
			zones = append(zones, z.Zone)
		}
		if !slices.Equal(zones, want) {
			t.Errorf("%s updates %v, want %v", m.Racks[i].Name, zones, want)
		}
		if given := !m.Assignment(m.Racks[i]).Empty(); given != (len(f.Follow) == 1) {
			t.Errorf("%s follows %v", m.Racks[i].Name, f.Follow)
		}
	}
	if got := fmt.Sprint(plan.ForeignDNSOf(m, m.Racks[0]).Keys()); got != "[update follow]" {
		t.Errorf("keys %s", got)
	}
}

// A catalog lists the zones that a rack serves, and no others.
func TestCatalogOfARack(t *testing.T) {
	m := town()
	m.Settings[setting.DNSCatalog] = "catalog.example"
	m.Domains = append(m.Domains, inventory.Domain{ID: 9, Name: "away.example", Racks: []string{"elsewhere"}})
	p := plan.DNSCutOf(m, m.Racks[0]).Plan(plan.DNS(m))
	members, err := catalog.Parse("catalog.example", slices.DeleteFunc(slices.Clone(p.Sets), func(s dnssrv.RRset) bool { return !strings.HasSuffix(s.Name, ".catalog.example") }))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, z := range p.Zones {
		if z.Name != "catalog.example" {
			want = append(want, z.Name)
		}
	}
	for _, one := range members {
		got = append(got, strings.TrimSuffix(one.Zone, "."))
	}
	slices.Sort(got)
	if len(want) == 0 || slices.Contains(want, "away.example") || !slices.Equal(got, want) {
		t.Errorf("lists %v, serves %v", got, want)
	}
	if err := dnssrv.New(dnssrv.Config{}).Update(dnssrv.Change{Zones: p.Zones, Set: p.Sets}); err != nil {
		t.Error(err)
	}
}
