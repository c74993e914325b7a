package sitedoc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

func (a *applier) machines(docs *[]Machine) step {
	inv := a.inv
	return kind[Machine, powered]{
		applier: a, name: "machine", docs: docs, list: a.listMachines, id: func(m powered) int64 { return m.ID },
		doc: a.machineDoc, key: a.machineKey, fill: a.fillMachine,
		create: func(ctx context.Context, m powered) (made powered, err error) {
			m.Status, made.secrets = inventory.StatusReady, m.secrets
			made.Machine, err = inv.CreateMachine(ctx, m.Machine)
			return made, err
		},
		update: func(ctx context.Context, m powered) error {
			_, err := inv.UpdateMachine(ctx, m.Machine)
			return err
		},
		remove: a.removeMachine, after: a.fitInterfaces,
	}
}

func (a *applier) machineKey(d Machine) string {
	domain := d.Domain
	if domain == "" {
		if first, err := a.domainByName(""); err == nil {
			domain = first.Name
		}
	}
	return strings.ToLower(d.Hostname + "." + domain)
}

func (a *applier) machineDoc(m powered) (Machine, error) {
	domain, err1 := a.inv.Domain(a.ctx, m.DomainID)
	zone, err2 := a.inv.Zone(a.ctx, m.ZoneID)
	pool, err3 := a.inv.Pool(a.ctx, m.PoolID)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Machine{}, err
	}
	out := Machine{
		Hostname: m.Hostname, Domain: domain.Name, Description: m.Description, Zone: zone.Name, Pool: pool.Name, Architecture: m.Architecture,
		Power: powerDoc(m),
	}
	for _, i := range m.Interfaces {
		d, err := a.interfaceDoc(i, m.Interfaces)
		if err != nil {
			return out, err
		}
		out.Interfaces = append(out.Interfaces, d)
	}
	return out, nil
}

func (a *applier) interfaceDoc(i inventory.Interface, all []inventory.Interface) (Interface, error) {
	vlan, err := a.vlanRef(i.VLANID)
	out := Interface{Name: i.Name, Type: i.Kind.String(), MAC: i.MAC.String(), VLAN: vlan, Disabled: !i.Enabled}
	for _, id := range i.Parents {
		for _, p := range all {
			if p.ID == id {
				out.Parents = append(out.Parents, p.Name)
			}
		}
	}
	for _, x := range i.Links {
		if x.Type == ipam.AllocDiscovered {
			continue
		}
		l, err := a.linkDoc(x)
		if err != nil {
			return out, err
		}
		out.Links = append(out.Links, l)
	}
	return out, err
}

func (a *applier) linkDoc(x ipam.Allocation) (Link, error) {
	l := Link{Mode: ipam.LinkUp.String()}
	switch {
	case x.Type == ipam.AllocAuto:
		l.Mode = ipam.LinkAuto.String()
	case x.Type == ipam.AllocDHCP:
		l.Mode = ipam.LinkDHCP.String()
	case x.Addr.IsValid():
		l.Mode, l.IP = ipam.LinkStatic.String(), x.Addr.String()
	}
	if x.SubnetID == 0 {
		return l, nil
	}
	s, err := a.inv.Subnet(a.ctx, x.SubnetID)
	l.Subnet = s.Prefix.String()
	return l, err
}

func (a *applier) fillMachine(d Machine, m *powered) error {
	domain, err := a.domainByName(d.Domain)
	if err != nil {
		return err
	}
	zones, err1 := a.inv.Zones(a.ctx)
	pools, err2 := a.inv.Pools(a.ctx)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	zone := slices.IndexFunc(zones, func(z inventory.AvailabilityZone) bool { return d.Zone == "" || z.Name == d.Zone })
	pool := slices.IndexFunc(pools, func(p inventory.ResourcePool) bool { return d.Pool == "" || p.Name == d.Pool })
	if zone < 0 || pool < 0 {
		return fmt.Errorf("there is no zone %q or pool %q", d.Zone, d.Pool)
	}
	m.Hostname, m.Description, m.Architecture = strings.ToLower(d.Hostname), d.Description, d.Architecture
	m.DomainID, m.ZoneID, m.PoolID = domain.ID, zones[zone].ID, pools[pool].ID
	return a.fillPower(d.Power, m)
}

// removeMachine removes what nobody has.
func (a *applier) removeMachine(ctx context.Context, m powered) error {
	why := ""
	switch {
	case m.Owner != "":
		why = "it belongs to " + m.Owner + "; release it first"
	case m.Status != inventory.StatusReady && m.Status != inventory.StatusNew:
		why = "it is " + string(m.Status)
	}
	if why != "" {
		return &inventory.InUseError{Kind: inventory.KindMachine, Name: m.FQDN, Remedy: why}
	}
	return a.inv.DeleteMachine(ctx, m.ID)
}

// fitInterfaces makes the interfaces of a machine those of the document, if it has any.
func (a *applier) fitInterfaces(d Machine, id int64) error {
	if d.Interfaces == nil {
		return nil
	}
	name := a.machineKey(d)
	m, err := a.inv.Machine(a.ctx, id)
	if err != nil {
		return err
	}
	for _, i := range slices.Backward(m.Interfaces) { // what rests on others is newer
		if !slices.ContainsFunc(d.Interfaces, func(want Interface) bool { return want.Name == i.Name }) {
			before, err := a.interfaceText(i, m.Interfaces)
			if err != nil {
				return err
			}
			if err := a.inv.DeleteInterface(a.ctx, i.ID); err != nil {
				return err
			}
			a.note("delete", "interface", name+"/"+i.Name, before, nil)
		}
	}
	for n, want := range d.Interfaces {
		if slices.ContainsFunc(d.Interfaces[:n], func(o Interface) bool { return o.Name == want.Name }) {
			return fmt.Errorf("interface %s is there twice", want.Name)
		}
		if err := a.fitInterface(id, name, want); err != nil {
			return fmt.Errorf("interface %s: %w", want.Name, err)
		}
	}
	return nil
}

func (a *applier) interfaceText(i inventory.Interface, all []inventory.Interface) ([]byte, error) {
	d, err := a.interfaceDoc(i, all)
	if err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

func (a *applier) fitInterface(machine int64, name string, want Interface) error {
	m, err := a.inv.Machine(a.ctx, machine)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(m.Interfaces, func(i inventory.Interface) bool { return i.Name == want.Name })
	i, op, before := inventory.Interface{Interface: ipam.Interface{NodeID: machine}}, "create", []byte(nil)
	if at >= 0 {
		i, op = m.Interfaces[at], "update"
		if before, err = a.interfaceText(i, m.Interfaces); err != nil {
			return err
		}
	}
	if err := a.fillInterface(want, &i.Interface, m.Interfaces); err != nil {
		return err
	}
	after, err := a.interfaceText(i, m.Interfaces)
	if err != nil {
		return err
	}
	switch {
	case at < 0:
		i.Interface, err = a.inv.CreateInterface(a.ctx, i.Interface)
	case string(before) != string(after):
		err = a.inv.UpdateInterface(a.ctx, i.Interface)
	}
	if err != nil {
		return err
	}
	if err := a.fitLinks(i.ID, want.Links); err != nil {
		return err
	}
	now, err := a.inv.Interface(a.ctx, i.ID)
	if err != nil {
		return err
	}
	if after, err = a.interfaceText(now, m.Interfaces); err == nil && string(before) != string(after) {
		a.note(op, "interface", name+"/"+want.Name, before, after)
	}
	return err
}

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
	if d.MAC != "" {
		if i.MAC, err = net.ParseMAC(d.MAC); err != nil {
			return fmt.Errorf("mac_address: %q is not a MAC address", d.MAC)
		}
	}
	if d.VLAN != "" {
		v, err := a.vlanOf(d.VLAN)
		if err != nil {
			return err
		}
		i.VLANID = v.ID
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

// fitLinks takes away what is not wanted and adds what is missing.
func (a *applier) fitLinks(id int64, want []Link) error {
	i, err := a.inv.Interface(a.ctx, id)
	if err != nil {
		return err
	}
	missing := slices.Clone(want)
	for n := range missing {
		missing[n].Subnet, missing[n].Mode = canonical(missing[n].Subnet), strings.ToLower(missing[n].Mode)
	}
	for _, x := range i.Links {
		if x.Type == ipam.AllocDiscovered {
			continue
		}
		have, err := a.linkDoc(x)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(missing, func(l Link) bool {
			return l.Mode == have.Mode && (l.Subnet == have.Subnet || l.Subnet == "" && l.IP != "") && (l.IP == have.IP || l.IP == "")
		})
		if at >= 0 {
			missing = slices.Delete(missing, at, at+1)
			continue
		}
		if have == (Link{Mode: ipam.LinkUp.String()}) && len(want) == 0 {
			continue // that is what an interface without links has
		}
		if err := a.inv.Unlink(a.ctx, x.ID); err != nil {
			return err
		}
	}
	for _, l := range missing {
		if err := a.addLink(id, l); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) addLink(id int64, l Link) error {
	mode, err := ipam.ParseLinkMode(l.Mode)
	if err != nil {
		return err
	}
	r := inventory.LinkRequest{Mode: mode}
	if l.Subnet != "" {
		s, err := a.subnetByCIDR(l.Subnet)
		if err != nil {
			return err
		}
		r.SubnetID = s.ID
	}
	if l.IP != "" {
		if r.Addr, err = netip.ParseAddr(l.IP); err != nil {
			return fmt.Errorf("ip_address: %q is not an address", l.IP)
		}
	}
	_, err = a.inv.LinkInterface(a.ctx, id, r)
	return err
}
