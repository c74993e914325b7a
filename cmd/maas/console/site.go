package console

import (
	"context"
	"net"
	"sync"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// site is the model that all pages are made of. It is read whole at the first visit, and follows
// the changes from then on, so that a page of a large site costs what changed and not the site.
type site struct {
	source Follower

	mu    sync.Mutex // guards the fields below, and all that a view leads to
	model inventory.Model
	index *index
}

// view is the site at one moment, for as long as the function that it is passed to runs.
type view struct {
	*inventory.Model
	*index
}

// look calls f with the site as it is now. What f keeps it must copy: the model's lists are changed
// in place by the next call.
func (s *site) look(ctx context.Context, f func(v view) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.model.Revision
	changes, err := s.source.Follow(ctx, &s.model)
	if err != nil {
		return err
	}
	if s.index == nil || changes == nil || s.model.Revision != before {
		s.index = newIndex(&s.model)
	}
	return f(view{&s.model, s.index})
}

// index finds objects of a model. It is made again after each change of the model.
type index struct {
	byMAC    map[string]int // place in Machines
	bySystem map[string]int
	vlans    map[int64]*ipam.VLAN
	fabrics  map[int64]*ipam.Fabric

	uses map[int64]*subnetUse // nil = not asked for yet
}

func newIndex(m *inventory.Model) *index {
	x := &index{byMAC: make(map[string]int, len(m.Machines)), bySystem: make(map[string]int, len(m.Machines)), vlans: map[int64]*ipam.VLAN{}, fabrics: map[int64]*ipam.Fabric{}}
	for i := range m.Machines {
		x.bySystem[m.Machines[i].SystemID] = i
		for _, nic := range m.Machines[i].Interfaces {
			x.byMAC[string(nic.MAC)] = i
		}
	}
	for i := range m.VLANs {
		x.vlans[m.VLANs[i].ID] = &m.VLANs[i]
	}
	for i := range m.Fabrics {
		x.fabrics[m.Fabrics[i].ID] = &m.Fabrics[i]
	}
	return x
}

// machineOf returns the machine with a link address; nil = there is none.
func (v view) machineOf(mac net.HardwareAddr) *inventory.Machine {
	if i, ok := v.byMAC[string(mac)]; ok && len(mac) > 0 {
		return &v.Machines[i]
	}
	return nil
}

// machine returns a machine by system ID; nil = there is none.
func (v view) machine(system string) *inventory.Machine {
	if i, ok := v.bySystem[system]; ok {
		return &v.Machines[i]
	}
	return nil
}

// vlanName returns fabric and tag of a VLAN, as commands name it.
func (v view) vlanName(id int64) string {
	vlan := v.vlans[id]
	if vlan == nil {
		return ""
	}
	name := ""
	if f := v.fabrics[vlan.FabricID]; f != nil {
		name = f.Name
	}
	if vlan.VID == 0 {
		return name + "/untagged"
	}
	return name + "/" + itoa(vlan.VID)
}

// subnetUse is a subnet with all that decides over its addresses.
type subnetUse struct {
	ipam.Usage
	Stats ipam.Statistics
}

// usage returns the use of each subnet by ID. It is computed once for a state of the site.
func (v view) usage() map[int64]*subnetUse {
	if v.uses != nil {
		return v.uses
	}
	uses := make(map[int64]*subnetUse, len(v.Subnets))
	for _, s := range v.Subnets {
		uses[s.ID] = &subnetUse{Usage: ipam.Usage{Subnet: s}}
	}
	add := func(a ipam.Allocation, holder string) {
		if u := uses[a.SubnetID]; u != nil && a.Addr.IsValid() {
			if a.Holder == "" {
				a.Holder = holder
			}
			u.Allocations = append(u.Allocations, a)
		}
	}
	each := func(name string, nics []inventory.Interface) {
		for _, nic := range nics {
			for _, link := range nic.Links {
				add(link, name)
			}
		}
	}
	for i := range v.Machines {
		each(v.Machines[i].Hostname, v.Machines[i].Interfaces)
	}
	for i := range v.Devices {
		each(v.Devices[i].Hostname, v.Devices[i].Interfaces)
	}
	for _, o := range v.Orphans {
		add(o.Allocation, o.Hostname)
	}
	for _, r := range v.Ranges {
		if u := uses[r.SubnetID]; u != nil {
			u.Ranges = append(u.Ranges, r)
		}
	}
	for _, r := range v.Routes {
		if u := uses[r.SourceID]; u != nil {
			u.Routes = append(u.Routes, r)
		}
	}
	for _, r := range v.Reserved {
		if u := uses[r.SubnetID]; u != nil {
			u.Reserved = append(u.Reserved, r)
		}
	}
	for _, u := range uses {
		u.Stats = u.Statistics()
	}
	v.index.uses = uses
	return uses
}
