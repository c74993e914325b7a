package siteexport

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// ansibleGroup is a group of an inventory of Ansible.
type ansibleGroup struct {
	Hosts    map[string]map[string]any `json:"hosts,omitempty"`
	Vars     map[string]any            `json:"vars,omitempty"`
	Children map[string]*ansibleGroup  `json:"children,omitempty"`
}

// group returns a group below, which is made if it does not exist.
func (g *ansibleGroup) group(prefix, name string) *ansibleGroup {
	name = prefix + "_" + groupName(name)
	if g.Children[name] == nil {
		g.Children[name] = &ansibleGroup{Hosts: map[string]map[string]any{}, Vars: map[string]any{}}
	}
	return g.Children[name]
}

// groupName writes a name with the characters that names of groups may have.
func groupName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, name)
}

func writeAnsible(p *page) {
	all := &ansibleGroup{Hosts: map[string]map[string]any{}, Vars: map[string]any{}, Children: map[string]*ansibleGroup{}}
	for i := range p.doc.Machines {
		p.ansibleMachine(all, &p.doc.Machines[i])
	}
	for i := range p.doc.Devices {
		p.ansibleDevice(all, &p.doc.Devices[i])
	}
	if len(all.Hosts) == 0 {
		return
	}
	p.namesOf()
	p.ansibleGroups(all)
	p.ansibleTags(all)
	if len(p.doc.Subnets) > 0 {
		all.Vars["maas_subnets"] = p.doc.Subnets
	}
	if len(p.doc.VLANs) > 0 {
		all.Vars["maas_vlans"] = p.doc.VLANs
	}
	for i := range p.doc.Subnets {
		s := &p.doc.Subnets[i]
		p.taken("variable maas_subnets of all hosts", &s.CIDR, &s.Name, &s.Description, &s.VLAN, &s.Gateway, &s.DNSServers, &s.RDNS, &s.Unmanaged, &s.DenyDNS,
			&s.DenyProxy, &s.Scan, &s.DisabledBootMethods, &s.Relays, &s.Delegated)
	}
	for i := range p.doc.VLANs {
		v := &p.doc.VLANs[i]
		p.taken("variable maas_vlans of all hosts", &v.Fabric, &v.VID, &v.Name, &v.Description, &v.MTU, &v.Space, &v.DHCP, &v.DHCPMode, &v.Primary, &v.Secondary, &v.Relay)
	}
	out, err := json.MarshalIndent(map[string]*ansibleGroup{"all": all}, "", "  ")
	if err == nil { // texts and numbers have no error
		p.add("inventory.json", string(out)+"\n")
	}
}

func (p *page) ansibleMachine(all *ansibleGroup, m *sitedoc.Machine) {
	name := fqdn(m.Hostname, p.domainOf(m.Domain))
	vars := p.nodeVars(m.Interfaces)
	set(vars, "maas_description", m.Description)
	set(vars, "maas_architecture", m.Architecture)
	if m.Power != nil {
		set(vars, "maas_power_type", m.Power.Type)
		if len(m.Power.Parameters) > 0 {
			vars["maas_power_parameters"] = m.Power.Parameters
		}
		p.taken("variables of the host, without secrets", &m.Power.Type, &m.Power.Parameters)
	}
	all.Hosts[name] = vars
	all.group("group", "machines").Hosts[name] = map[string]any{}
	p.taken("a host", &m.Hostname, &m.Domain)
	p.taken("a variable of the host", &m.Description, &m.Architecture)
	if m.Zone != "" {
		all.group("zone", m.Zone).Hosts[name] = map[string]any{}
	}
	if m.Pool != "" {
		all.group("pool", m.Pool).Hosts[name] = map[string]any{}
	}
	p.taken("a group", &m.Zone, &m.Pool)
}

func (p *page) ansibleDevice(all *ansibleGroup, d *sitedoc.Device) {
	name := fqdn(d.Hostname, p.domainOf(d.Domain))
	vars := p.nodeVars(d.Interfaces)
	set(vars, "maas_description", d.Description)
	set(vars, "maas_owner", d.Owner)
	set(vars, "maas_parent", d.Parent)
	all.Hosts[name] = vars
	all.group("group", "devices").Hosts[name] = map[string]any{}
	p.taken("a host", &d.Hostname, &d.Domain)
	p.taken("a variable of the host", &d.Description, &d.Owner, &d.Parent)
	if d.Zone != "" {
		all.group("zone", d.Zone).Hosts[name] = map[string]any{}
	}
	p.taken("a group", &d.Zone)
}

func set(vars map[string]any, name, value string) {
	if value != "" {
		vars[name] = value
	}
}

// nodeVars are the variables of a host: its first address, by which Ansible reaches it, and its
// interfaces as the document has them.
func (p *page) nodeVars(interfaces []sitedoc.Interface) map[string]any {
	vars := map[string]any{}
	if len(interfaces) > 0 {
		vars["maas_interfaces"] = interfaces
	}
	for _, x := range slices.Backward(byPreference(interfaces)) {
		p.taken("variable maas_interfaces", &x.Name, &x.Type, &x.MAC, &x.VLAN, &x.Parents, &x.Disabled, &x.Tags, &x.Params)
		for i := range slices.Backward(x.Links) {
			l := &x.Links[i]
			p.taken("variable maas_interfaces", &l.Mode, &l.Subnet, &l.IP)
			if a, err := netip.ParseAddr(l.IP); err == nil {
				vars["ansible_host"] = a.String()
			}
		}
	}
	return vars
}

// ansibleGroups adds the zones and pools without machines as well, for their descriptions.
func (p *page) ansibleGroups(all *ansibleGroup) {
	for prefix, list := range map[string][]sitedoc.Group{"zone": p.doc.Zones, "pool": p.doc.Pools} {
		for i := range list {
			g := &list[i]
			set(all.group(prefix, g.Name).Vars, "maas_"+prefix+"_description", g.Description)
			p.taken("a group", &g.Name)
			p.taken("a variable of the group", &g.Description)
		}
	}
}

// ansibleTags makes groups of tags.
func (p *page) ansibleTags(all *ansibleGroup) {
	for i := range p.doc.Tags {
		t := &p.doc.Tags[i]
		g := all.group("tag", t.Name)
		set(g.Vars, "maas_tag_comment", t.Comment)
		set(g.Vars, "maas_tag_kernel_opts", t.KernelOpts)
		known := slices.Collect(maps.Keys(all.Hosts))
		for _, name := range slices.Concat(t.Machines, t.Devices) {
			if slices.Contains(known, name) {
				g.Hosts[name] = map[string]any{}
			}
		}
		p.taken("a group", &t.Name, &t.Machines, &t.Devices)
		p.taken("a variable of the group", &t.Comment, &t.KernelOpts)
	}
}
