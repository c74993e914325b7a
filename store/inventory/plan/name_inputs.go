package plan

import (
	"net/netip"
	"reflect"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// nameInputs holds everything that the names of a site depend on besides machines, devices,
// addresses and records.
type nameInputs struct {
	rest    inventory.DNSPlan // of a site without those
	domains []inventory.Domain
	keys    []inventory.TSIGKey
	racks   []string
	reverse []reverseInputs
	catalog string
}

// reverseInputs holds the settings of a subnet that reverse records depend on.
type reverseInputs struct {
	prefix netip.Prefix
	mode   ipam.RDNSMode
}

func nameInputsOf(m *inventory.Model) *nameInputs {
	site := *m
	site.Machines, site.Devices, site.Orphans, site.Records = nil, nil, nil, nil
	b := &nameInputs{rest: new(NamePlanner).plan(&site), domains: m.Domains, keys: m.TSIGKeys, catalog: m.Settings[setting.DNSCatalog]}
	for _, r := range m.Racks {
		b.racks = append(b.racks, r.Name)
	}
	for _, s := range m.Subnets {
		b.reverse = append(b.reverse, reverseInputs{s.Prefix, s.RDNS})
	}
	return b
}

// Fits reports whether everything but the objects in Changes is as it was for the last plan, so
// that Change is enough. Most changes of networks affect no names.
func (p *NamePlanner) Fits(m *inventory.Model) bool {
	return p.inputs != nil && reflect.DeepEqual(p.inputs, nameInputsOf(m))
}
