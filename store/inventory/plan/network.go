package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netconfig"
	"github.com/gomaas/maas/store/inventory"
)

// firstTable is the routing table of the first subnet whose gateway is not the default one.
const firstTable = 101

// NetworkConfig returns the network configuration of a machine, and what is open in it: links whose
// address is assigned at deployment, and interfaces that are off.
//
// The default gateway of each family is the one that was chosen for the machine, else that of the
// link on a VLAN with DHCP, on a bond or bridge before the boot interface, other physical ones and
// VLANs, with a fixed before an automatic address, and with the lowest interface ID, as in MAAS. A
// further subnet with a gateway gets a routing table, so that answers leave by the interface that
// was asked. A machine without any link asks for an address by DHCP on its boot interface.
func NetworkConfig(m *inventory.Model, machine *inventory.Machine) (c netconfig.Config, open []string) {
	p := &networkPlan{m: m, machine: machine, dhcp: newDHCPPlan(m, inventory.Rack{}), names: make(map[int64]string)}
	for _, i := range machine.Interfaces {
		p.names[i.ID] = i.Name
	}
	boot, _ := machine.BootInterface()
	linked := slices.ContainsFunc(machine.Interfaces, func(i inventory.Interface) bool { return len(configured(i)) > 0 })
	for _, i := range machine.Interfaces {
		if !i.Enabled {
			p.open = append(p.open, i.Name+" is off")
			continue
		}
		out := p.link(i)
		p.addresses(i, &out)
		if !linked && i.ID == boot.ID {
			out.DHCP4 = true
		}
		c.Interfaces = append(c.Interfaces, out)
	}
	p.gateways(&c)
	c.DNS, c.Search = p.resolvers(), searchList(m)
	return c, p.open
}

// networkPlan makes one machine's configuration.
type networkPlan struct {
	m       *inventory.Model
	machine *inventory.Machine
	dhcp    *dhcpPlan
	names   map[int64]string // of interfaces by ID
	open    []string
	nets    []heldSubnet // in which the machine has links
	dns     []*ipam.Subnet
}

// heldSubnet is a subnet in which an interface has an address, or asks for one.
type heldSubnet struct {
	subnet *ipam.Subnet
	iface  inventory.Interface
	link   ipam.Allocation
}

// configured returns the links that an administrator made; observed addresses configure nothing.
func configured(i inventory.Interface) (out []ipam.Allocation) {
	for _, l := range i.Links {
		if l.Type != ipam.AllocDiscovered {
			out = append(out, l)
		}
	}
	return out
}

// link returns an interface without addresses.
func (p *networkPlan) link(i inventory.Interface) netconfig.Interface {
	out := netconfig.Interface{Name: i.Name, Kind: i.Kind, MAC: i.MAC, AcceptRA: i.Params["accept_ra"] == "true"}
	if i.Kind == ipam.Unknown {
		out.Kind = ipam.Physical
	}
	number := func(name string) int { n, _ := strconv.Atoi(i.Params[name]); return n }
	v := p.dhcp.vlans[i.VLANID]
	if out.MTU = number("mtu"); out.MTU == 0 && v.MTU != ipam.DefaultMTU {
		out.MTU = v.MTU
	}
	for _, id := range i.Parents {
		if name := p.names[id]; name != "" {
			out.Parents = append(out.Parents, name)
		}
	}
	switch i.Kind {
	case ipam.VLANInterface:
		out.VID, out.MAC = v.VID, nil // which is its parent's
	case ipam.Bond:
		out.Bond = netconfig.Bond{
			Mode: i.Params["bond_mode"], MIIMonitor: number("bond_miimon"), UpDelay: number("bond_updelay"), DownDelay: number("bond_downdelay"),
			LACPRate: i.Params["bond_lacp_rate"], TransmitPolicy: i.Params["bond_xmit_hash_policy"],
		}
	case ipam.Bridge:
		out.Bridge = netconfig.Bridge{STP: i.Params["bridge_stp"] == "true", ForwardDelay: number("bridge_fd")}
	}
	return out
}

// addresses gives an interface what its links hold, with the static routes of their subnets.
func (p *networkPlan) addresses(i inventory.Interface, out *netconfig.Interface) {
	for _, l := range configured(i) {
		s := subnetByID(p.m, l.SubnetID)
		switch {
		case l.Type == ipam.AllocDHCP && s != nil && s.Prefix.Addr().Is6():
			out.DHCP6 = true
		case l.Type == ipam.AllocDHCP:
			out.DHCP4 = true
		case l.Type == ipam.AllocAuto && !l.Addr.IsValid():
			p.open = append(p.open, fmt.Sprintf("%s gets its address when the machine is deployed", i.Name))
			continue
		case !l.Addr.IsValid() || s == nil:
			continue // brought up only
		default:
			out.Addresses = append(out.Addresses, netip.PrefixFrom(l.Addr, s.Prefix.Bits()))
			for _, r := range p.m.Routes {
				if to := subnetByID(p.m, r.DestinationID); r.SourceID == s.ID && to != nil {
					out.Routes = append(out.Routes, netconfig.Route{To: to.Prefix, Via: r.Gateway, Metric: r.Metric})
				}
			}
		}
		if s != nil {
			p.nets = append(p.nets, heldSubnet{s, i, l})
		}
	}
}

// rank orders links by how well they suit for the default gateway, lower before higher.
func (p *networkPlan) rank(h heldSubnet) []int64 {
	chosen, dhcp, kind, fixed := int64(1), int64(1), int64(2), int64(1)
	if h.link.ID != 0 && (h.link.ID == p.machine.Gateway4 || h.link.ID == p.machine.Gateway6) {
		chosen = 0
	}
	if p.dhcp.vlans[h.subnet.VLANID].DHCP {
		dhcp = 0
	}
	switch {
	case h.iface.Kind == ipam.Bond || h.iface.Kind == ipam.Bridge:
		kind = 0
	case h.iface.Kind == ipam.VLANInterface:
		kind = 3
	case h.iface.Boot:
		kind = 1
	}
	if h.link.Type == ipam.AllocSticky {
		fixed = 0
	}
	return []int64{chosen, dhcp, kind, fixed, h.iface.ID, h.link.ID}
}

// gateways adds the default routes, and tables for the gateways of other subnets.
func (p *networkPlan) gateways(c *netconfig.Config) {
	table := firstTable
	for _, is4 := range []bool{true, false} {
		var candidates []heldSubnet
		for _, h := range p.nets {
			if h.subnet.Prefix.Addr().Is4() == is4 && h.subnet.Gateway.IsValid() && h.link.Addr.IsValid() {
				candidates = append(candidates, h)
			}
		}
		slices.SortStableFunc(candidates, func(a, b heldSubnet) int { return slices.Compare(p.rank(a), p.rank(b)) })
		for n, h := range candidates {
			i := slices.IndexFunc(c.Interfaces, func(i netconfig.Interface) bool { return i.Name == h.iface.Name })
			out := &c.Interfaces[i]
			to := netconfig.Default6
			if is4 {
				to = netconfig.Default4
			}
			if n == 0 {
				out.Routes = append(out.Routes, netconfig.Route{To: to, Via: h.subnet.Gateway})
				p.dns = append(p.dns, h.subnet)
				continue
			}
			if h.subnet.ID == candidates[0].subnet.ID {
				continue // a further address in the subnet of the default gateway
			}
			out.Routes = append(out.Routes, netconfig.Route{To: to, Via: h.subnet.Gateway, Table: table}, netconfig.Route{To: h.subnet.Prefix, Table: table})
			out.Rules = append(out.Rules, netconfig.Rule{From: netip.PrefixFrom(h.link.Addr, h.link.Addr.BitLen()), Table: table})
			table++
		}
	}
}

// resolvers returns the DNS servers of the subnets with the default gateways, else those of all
// subnets of the machine; IPv4 before IPv6. Where DHCP answers, it names them.
func (p *networkPlan) resolvers() (out []netip.Addr) {
	from := p.dns
	if len(from) == 0 {
		for _, h := range p.nets {
			if h.link.Addr.IsValid() {
				from = append(from, h.subnet)
			}
		}
	}
	for _, s := range from {
		racks := p.dhcp.otherRacks(s, p.dhcp.serving(s))
		for _, a := range p.dhcp.dns(s, racks) {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return cmp.Compare(a.BitLen(), b.BitLen()) })
	return out
}
