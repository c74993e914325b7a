package plan

import (
	"net/netip"
	"reflect"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// NodeInputs holds everything that reservations and BootOf depend on besides machines and devices.
// Most changes of networks leave it as it is; then planning the nodes of NodesChanged is enough.
type NodeInputs struct {
	site  siteInputs
	racks map[string]rackInputs // by name of the rack
}

// rackInputs is the part of one rack: the subnets that it serves, and what it was given.
type rackInputs struct {
	served   []servedInputs
	assigned inventory.Assignment
}

// siteInputs is the part that all racks share.
type siteInputs struct {
	reserved   []ipam.ReservedIP
	snippets   []inventory.Snippet
	tags       []inventory.Tag
	profiles   map[inventory.BootTarget]pxe.Profile
	kernelOpts string
	configured string // setting.BootConfigured
}

// servedInputs holds the settings of a served subnet that reservations depend on.
type servedInputs struct {
	id     int64
	prefix netip.Prefix
	own    netip.Addr // the rack's address there
}

// NodeInputsOf returns the inputs of a model.
func NodeInputsOf(m *inventory.Model) *NodeInputs {
	b := &NodeInputs{
		site:  siteInputs{m.Reserved, m.Snippets, m.Tags, m.Profiles, m.Settings[setting.KernelOpts], m.Settings[setting.BootConfigured]},
		racks: make(map[string]rackInputs, len(m.Racks)),
	}
	for _, rack := range m.Racks {
		p := newDHCPPlan(m, rack)
		served := p.served()
		list := make([]servedInputs, 0, len(served))
		for _, s := range m.Subnets {
			if served[s.ID] {
				_, own := p.addressIn(rack, s.Prefix)
				list = append(list, servedInputs{s.ID, s.Prefix, own})
			}
		}
		b.racks[rack.Name] = rackInputs{list, m.Assignment(rack)}
	}
	return b
}

// Equal reports whether machines and devices are planned alike, as far as that is the same for all
// racks. Nothing is like nil.
func (b *NodeInputs) Equal(other *NodeInputs) bool {
	return b != nil && other != nil && reflect.DeepEqual(b.site, other.site)
}

// EqualFor reports whether they are planned alike for one rack, also in what is of it alone.
func (b *NodeInputs) EqualFor(other *NodeInputs, rack string) bool {
	if !b.Equal(other) {
		return false
	}
	x, known := b.racks[rack]
	y, both := other.racks[rack]
	return known && both && reflect.DeepEqual(x, y)
}
