package plan

import (
	"net/netip"
	"reflect"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// NodesBasis holds everything that reservations and BootOf depend on besides machines and devices.
// Most changes of networks leave it as it is; then planning the nodes of NodesChanged is enough.
type NodesBasis struct {
	site  siteBasis
	racks map[string][]servedBasis // by name of the rack
}

// siteBasis is the part that all racks share.
type siteBasis struct {
	reserved   []ipam.ReservedIP
	snippets   []inventory.Snippet
	tags       []inventory.Tag
	profiles   map[inventory.BootTarget]pxe.Profile
	kernelOpts string
}

// servedBasis holds the settings of a served subnet that reservations depend on.
type servedBasis struct {
	id     int64
	prefix netip.Prefix
	own    netip.Addr // the rack's address there
}

// NodesBasisOf returns the basis of a model.
func NodesBasisOf(m *inventory.Model) *NodesBasis {
	b := &NodesBasis{
		site:  siteBasis{m.Reserved, m.Snippets, m.Tags, m.Profiles, m.Settings[setting.KernelOpts]},
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
