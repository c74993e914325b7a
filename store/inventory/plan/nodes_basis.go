package plan

import (
	"net/netip"
	"reflect"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// NodesBasis is all that the plans of machines and devices, their reservations in DHCP and their
// BootOf, follow from besides these themselves. Most changes of networks leave it as it is: then
// nothing but what NodesChanged tells of has to be planned anew.
type NodesBasis struct {
	site  siteBasis
	racks map[string][]servedBasis // by name of the rack
}

// siteBasis is what is the same for all racks.
type siteBasis struct {
	reserved   []ipam.ReservedIP
	snippets   []inventory.Snippet
	tags       []inventory.Tag
	profiles   map[inventory.BootTarget]pxe.Profile
	kernelOpts string
}

// servedBasis is what reservations follow from of a subnet that a rack serves.
type servedBasis struct {
	id     int64
	prefix netip.Prefix
	own    netip.Addr // the rack's address there
}

// NodesBasisOf returns that of a model.
func NodesBasisOf(m *inventory.Model) *NodesBasis {
	b := &NodesBasis{
		site:  siteBasis{m.Reserved, m.Snippets, m.Tags, m.Profiles, m.Settings[inventory.SettingKernelOpts]},
		racks: make(map[string][]servedBasis, len(m.Racks)),
	}
	for _, rack := range m.Racks {
		p := newDHCPPlan(m, rack)
		served := p.served()
		list := make([]servedBasis, 0, len(served))
		for _, s := range m.Subnets {
			if served[s.ID] {
				_, own := p.addressIn(rack, s.Prefix)
				list = append(list, servedBasis{s.ID, s.Prefix, own})
			}
		}
		b.racks[rack.Name] = list
	}
	return b
}

// Equal reports whether machines and devices are planned alike, as far as that is the same for all
// racks. Nothing is like nil.
func (b *NodesBasis) Equal(other *NodesBasis) bool {
	return b != nil && other != nil && reflect.DeepEqual(b.site, other.site)
}

// EqualFor reports whether they are planned alike for one rack, also in what is of it alone.
func (b *NodesBasis) EqualFor(other *NodesBasis, rack string) bool {
	if !b.Equal(other) {
		return false
	}
	x, known := b.racks[rack]
	y, both := other.racks[rack]
	return known && both && reflect.DeepEqual(x, y)
}
