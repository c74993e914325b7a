package plan

import (
	"slices"
	"strings"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// ForeignDNS holds what a rack does with the DNS servers of others.
type ForeignDNS struct {
	Update []inventory.ForeignZone // get the names of the rack's leases
	Follow []inventory.ForeignZone // catalogs whose zones the rack serves, too
}

// ForeignDNSOf returns a rack's part. Only racks that give leases in a zone get the key of it.
func ForeignDNSOf(m *inventory.Model, rack inventory.Rack) (f ForeignDNS) {
	if m.Assignment(rack).Empty() {
		return f
	}
	// Settings were checked when they were set.
	f.Follow, _ = inventory.ForeignZones(m.SettingList(setting.DNSFollow))
	zones, _ := inventory.ForeignZones(m.SettingList(setting.DNSUpdate))
	if len(zones) == 0 {
		return f
	}
	var names []string
	served := newDHCPPlan(m, rack).served()
	for i := range m.Subnets {
		if s := &m.Subnets[i]; served[s.ID] {
			names = append(append(names, defaultDomain(m)), dnssrv.ReverseZones(s.Prefix)...)
		}
	}
	for _, z := range zones {
		// A reverse zone may enclose the zones of a subnet, or be one part of them.
		if slices.ContainsFunc(names, func(name string) bool {
			name = strings.TrimSuffix(name, ".")
			return below(name, z.Zone) || below(z.Zone, name) && name != defaultDomain(m)
		}) {
			f.Update = append(f.Update, z)
		}
	}
	return f
}

// Keys returns the names of the TSIG keys that the rack needs for it.
func (f ForeignDNS) Keys() (names []string) {
	for _, z := range slices.Concat(f.Update, f.Follow) {
		if z.Key != "" && !slices.Contains(names, z.Key) {
			names = append(names, z.Key)
		}
	}
	return names
}

// below reports whether a name is a zone's own or below it.
func below(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }
