package sitedoc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

// fitInterfaces makes a machine's interfaces match the document, if it lists any.
func (a *applier) fitInterfaces(d Machine, id int64) error {
	n := nodeInterfaces{a, id, a.machineKey(d), func() ([]inventory.Interface, error) {
		m, err := a.inv.Machines.Get(a.ctx, id)
		return m.Interfaces, err
	}}
	return n.fit(d.Interfaces)
}

// nodeInterfaces are the interfaces of a machine or device.
type nodeInterfaces struct {
	*applier
	id   int64
	name string // of the node
	read func() ([]inventory.Interface, error)
}

// fit makes the interfaces match a list; nil leaves them alone.
func (a nodeInterfaces) fit(list []Interface) error {
	if list == nil {
		return nil
	}
	name := a.name
	all, err := a.read()
	if err != nil {
		return err
	}
	for _, i := range slices.Backward(all) { // what rests on others is newer
		if !slices.ContainsFunc(list, func(want Interface) bool { return want.Name == i.Name }) {
			before, err := a.interfaceText(i, all)
			if err != nil {
				return err
			}
			if err := a.inv.Interfaces.Delete(a.ctx, i.ID); err != nil {
				return err
			}
			a.note("delete", "interface", name+"/"+i.Name, before, nil)
		}
	}
	for n, want := range list {
		if slices.ContainsFunc(list[:n], func(o Interface) bool { return o.Name == want.Name }) {
			return &partError{fmt.Errorf("interface %s is there twice", want.Name), []any{"interfaces", n}}
		}
		// In the order of the document, in which parents precede bonds and VLAN interfaces.
		if err := a.one(want); err != nil {
			return &partError{fmt.Errorf("interface %s: %w", want.Name, err), []any{"interfaces", n}}
		}
	}
	return nil
}

// interfaceDoc refers to parents by name: IDs differ from site to site.
func (a *applier) interfaceDoc(i inventory.Interface, all []inventory.Interface) (Interface, error) {
	vlan, err := a.vlanRef(i.VLANID)
	out := Interface{Name: i.Name, Type: i.Kind.String(), MAC: i.MAC.String(), VLAN: vlan, Disabled: !i.Enabled, Tags: i.Tags, Params: i.Params}
	for _, id := range i.Parents {
		for _, p := range all {
			if p.ID == id {
				out.Parents = append(out.Parents, p.Name)
			}
		}
	}
	for _, x := range i.Links {
		if x.Type == ipam.AllocDiscovered {
			continue // a lease, which no document can give
		}
		l, err := a.linkDoc(x)
		if err != nil {
			return out, err
		}
		out.Links = append(out.Links, l)
	}
	return out, err
}

// interfaceText returns an interface as the document shows it, to compare and to report it.
func (a *applier) interfaceText(i inventory.Interface, all []inventory.Interface) ([]byte, error) {
	d, err := a.interfaceDoc(i, all)
	if err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

// one creates or updates an interface with its links. Both are one change in the report.
func (a nodeInterfaces) one(want Interface) error {
	// Read anew for each interface: the ones before may be its parents.
	all, err := a.read()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(i inventory.Interface) bool { return i.Name == want.Name })
	i, op, before := inventory.Interface{Interface: ipam.Interface{NodeID: a.id}}, "create", []byte(nil)
	if at >= 0 {
		i, op = all[at], "update"
		if before, err = a.interfaceText(i, all); err != nil {
			return err
		}
	}
	if err := a.fillInterface(want, &i.Interface, all); err != nil {
		return err
	}
	after, err := a.interfaceText(i, all)
	if err != nil {
		return err
	}
	switch {
	case at < 0:
		i.Interface, err = a.inv.Interfaces.Create(a.ctx, i.Interface)
	case string(before) != string(after):
		_, err = a.inv.Interfaces.Update(a.ctx, i.Interface)
	}
	if err != nil {
		return err
	}
	if err := a.fitLinks(i.ID, want.Links); err != nil {
		return err
	}
	// Links may put the interface on a VLAN, and static ones without an address get one.
	now, err := a.inv.Interface(a.ctx, i.ID)
	if err != nil {
		return err
	}
	if after, err = a.interfaceText(now, all); err == nil && string(before) != string(after) {
		a.note(op, "interface", a.name+"/"+want.Name, before, after)
	}
	return err
}

// interfaceVLAN returns the VLAN of an interface; 0 = none. Without a VLAN of its own the interface
// is on the VLAN of its first link, as the inventory puts it there when it makes the link:
// otherwise a second application of the document would take it off that VLAN again.
func (a *applier) interfaceVLAN(d Interface) (int64, error) {
	if d.VLAN != "" {
		v, err := a.vlanOf(d.VLAN)
		return v.ID, err
	}
	for _, l := range d.Links {
		if l.Subnet != "" {
			s, err := a.subnetByCIDR(l.Subnet)
			return s.VLANID, err
		}
		if l.IP != "" {
			ip, err := addrOf("ip_address", l.IP)
			if err != nil {
				return 0, err
			}
			s, err := a.inv.SubnetFor(a.ctx, ip)
			return s.VLANID, err
		}
	}
	return 0, nil
}

// fillInterface sets the fields of an interface. A MAC that is left out stays: bonds and VLAN
// interfaces take it from their parents.
func (a *applier) fillInterface(d Interface, i *ipam.Interface, all []inventory.Interface) (err error) {
	if d.Name == "" {
		return errors.New("name is missing")
	}
	i.Name, i.Kind, i.Enabled, i.VLANID, i.Parents = d.Name, ipam.Physical, !d.Disabled, 0, nil
	if d.Type != "" {
		if i.Kind, err = ipam.ParseInterfaceKind(d.Type); err != nil {
			return err
		}
	}
	if d.Tags != nil {
		i.Tags = d.Tags
	}
	if d.Params != nil {
		i.Params = d.Params
	}
	if d.MAC != "" {
		if i.MAC, err = macOf(d.MAC); err != nil {
			return err
		}
	}
	if i.VLANID, err = a.interfaceVLAN(d); err != nil {
		return err
	}
	for _, name := range d.Parents {
		at := slices.IndexFunc(all, func(p inventory.Interface) bool { return p.Name == name })
		if at < 0 {
			return fmt.Errorf("there is no interface %s for a parent; parents stand before those that rest on them", name)
		}
		i.Parents = append(i.Parents, all[at].ID)
	}
	return nil
}
