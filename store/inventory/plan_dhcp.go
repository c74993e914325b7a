package inventory

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
)

// PlanDHCP returns what a rack's DHCP server serves from: the managed
// subnets of the VLANs that it is a rack of and on which DHCP is on, and of the
// VLANs relayed to those. A subnet in which the rack has no address, and to
// which no VLAN of its own is relayed, is left out.
//
// The primary rack gives out the dynamic ranges. The secondary one has no
// share in the leases, so it has no ranges and leaves unknown leases alone;
// what has a fixed address gets that from either, and so boots while the
// primary rack is away.
func PlanDHCP(m *Model, rack Rack) dhcpsrv.Snapshot {
	p := dhcpPlan{m: m, rack: rack, vlans: make(map[int64]ipam.VLAN), options: m.placedOptions()}
	for _, v := range m.VLANs {
		p.vlans[v.ID] = v
	}
	snap := dhcpsrv.Snapshot{Options: p.options[place{}].v4, Options6: p.options[place{}].v6}
	served := make(map[int64]bool)
	for i := range m.Subnets {
		s := &m.Subnets[i]
		if s.Unmanaged {
			continue
		}
		if sub, ok := p.subnet(s); ok {
			snap.Subnets = append(snap.Subnets, sub)
			served[s.ID] = true
		}
	}
	snap.Reservations = p.reservations(served)
	snap.Advertisements = p.advertisements(snap.Subnets)
	return snap
}

type dhcpPlan struct {
	m       *Model
	rack    Rack
	vlans   map[int64]ipam.VLAN
	options map[place]families // that operators set
}

// serves tells whether the rack answers on a VLAN directly.
func (p *dhcpPlan) serves(v ipam.VLAN) bool {
	return v.DHCP && p.rack.Name != "" && (v.PrimaryRack == p.rack.Name || v.SecondaryRack == p.rack.Name)
}

// standsBy tells whether the rack is not the one that has a VLAN's leases.
func (p *dhcpPlan) standsBy(v ipam.VLAN) bool { return v.PrimaryRack != p.rack.Name }

func (p *dhcpPlan) subnet(s *ipam.Subnet) (dhcpsrv.Subnet, bool) {
	v, ok := p.vlans[s.VLANID]
	if !ok {
		return dhcpsrv.Subnet{}, false
	}
	sub := dhcpsrv.Subnet{
		Name: s.Prefix.String(), Prefix: s.Prefix, Segment: fmt.Sprintf("vlan-%d", v.ID),
		Domain: p.m.defaultDomain(), Search: p.m.searchList(), NTP: p.ntp(s.Prefix.Addr().Is4()),
		Options: p.options[place{subnet: s.ID}].of(s.Prefix.Addr().Is6()),
	}
	serving := v // the VLAN whose racks answer
	switch target, relayed := p.vlans[v.RelayVLANID]; {
	case p.serves(v):
		sub.Link, sub.Server = p.addressIn(p.rack, s.Prefix)
	case relayed && p.serves(target):
		serving = target
		sub.Server = p.addressOn(p.rack, target.ID, s.Prefix.Addr().Is4())
	}
	if !sub.Server.IsValid() {
		return sub, false
	}
	sub.DNS = p.dns(s, append([]netip.Addr{sub.Server}, p.otherRacks(s, serving)...))
	if sub.NotAuthoritative = p.standsBy(serving); !sub.NotAuthoritative {
		sub.Pools = p.pools(s.ID)
	}
	if s.Prefix.Addr().Is6() {
		return p.subnet6(sub), true
	}
	if s.Gateway.IsValid() {
		sub.Routers = []netip.Addr{s.Gateway}
	}
	if v.MTU != ipam.DefaultMTU {
		sub.MTU = v.MTU
	}
	sub.Routes = p.routes(s.ID)
	return sub, true
}

// otherRacks returns the addresses at which clients of a subnet reach the
// other racks of the VLAN that serves it.
func (p *dhcpPlan) otherRacks(s *ipam.Subnet, v ipam.VLAN) []netip.Addr {
	var out []netip.Addr
	for _, r := range p.m.Racks {
		if r.Name == p.rack.Name || r.Name != v.PrimaryRack && r.Name != v.SecondaryRack {
			continue
		}
		_, a := p.addressIn(r, s.Prefix)
		if !a.IsValid() {
			a = p.addressOn(r, v.ID, s.Prefix.Addr().Is4())
		}
		if a.IsValid() {
			out = append(out, a)
		}
	}
	return out
}

// addressIn returns a rack's link to a prefix and its address there.
func (p *dhcpPlan) addressIn(rack Rack, prefix netip.Prefix) (string, netip.Addr) {
	for _, l := range rack.Links {
		for _, a := range l.Addrs {
			if prefix.Contains(a.Addr()) {
				return l.Name, a.Addr()
			}
		}
	}
	return "", netip.Addr{}
}

// addressOn returns a rack's first address of a family on a VLAN.
func (p *dhcpPlan) addressOn(rack Rack, vlan int64, is4 bool) netip.Addr {
	for _, s := range p.m.Subnets {
		if s.VLANID != vlan || s.Prefix.Addr().Is4() != is4 {
			continue
		}
		if _, a := p.addressIn(rack, s.Prefix); a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// dns returns the servers a subnet's clients are told: the racks, this one
// first, then those the operator named. Without a gateway clients reach only
// what is in the subnet.
func (p *dhcpPlan) dns(s *ipam.Subnet, racks []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range racks {
		if !s.DenyDNS && (s.Gateway.IsValid() || s.Prefix.Contains(a)) && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	for _, a := range s.DNSServers {
		if a.Is4() == s.Prefix.Addr().Is4() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

func (p *dhcpPlan) ntp(is4 bool) []netip.Addr {
	var out []netip.Addr
	for _, s := range p.m.list(SettingNTPServers) {
		if a, err := netip.ParseAddr(s); err == nil && a.Is4() == is4 {
			out = append(out, a)
		}
	}
	return out
}

func (p *dhcpPlan) pools(subnet int64) []dhcpsrv.Pool {
	var out []dhcpsrv.Pool
	for _, r := range p.m.Ranges {
		if r.SubnetID == subnet && r.Type == ipam.RangeDynamic {
			out = append(out, dhcpsrv.Pool{First: r.Start, Last: r.End, Options: p.options[place{rng: r.ID}].of(r.Start.Is6())})
		}
	}
	return out
}

func (p *dhcpPlan) routes(subnet int64) []dhcpsrv.Route {
	var out []dhcpsrv.Route
	for _, r := range p.m.Routes {
		if to := p.m.subnet(r.DestinationID); r.SourceID == subnet && to != nil {
			out = append(out, dhcpsrv.Route{Dest: to.Prefix, Via: r.Gateway})
		}
	}
	return out
}

// searchList is the default domain, then the others in order of name.
func (m *Model) searchList() []string {
	var rest []string
	for _, d := range m.Domains[min(1, len(m.Domains)):] {
		if !d.External {
			rest = append(rest, d.Name)
		}
	}
	slices.Sort(rest)
	return append([]string{m.defaultDomain()}, rest...)
}

// reservations gives each interface the addresses it holds on the served
// subnets and, if it holds none, its machine's name.
func (p *dhcpPlan) reservations(served map[int64]bool) []dhcpsrv.Reservation {
	var out []dhcpsrv.Reservation
	listed := make(map[string]bool) // by MAC and subnet
	add := func(subnet int64, r dhcpsrv.Reservation) {
		if key := fmt.Sprint(subnet, r.MAC); !listed[key] {
			listed[key] = true
			out = append(out, r)
		}
	}
	p.m.eachNodeByID(func(id int64, hostname, _ string, ifaces []Interface) {
		options := p.options[place{node: id}]
		for _, i := range ifaces {
			if len(i.MAC) == 0 || i.Kind == ipam.VLANInterface {
				continue
			}
			base := dhcpsrv.Reservation{Name: hostname + "-" + i.Name, MAC: i.MAC, Aliases: members(i, ifaces), Hostname: hostname}
			fixed := false
			for _, l := range i.Links {
				if l.Type != ipam.AllocDiscovered && l.Addr.IsValid() && served[l.SubnetID] && p.hostOf(l.SubnetID, l.Addr) {
					r := base
					r.Addr, r.Options = l.Addr, options.of(l.Addr.Is6())
					add(l.SubnetID, r)
					fixed = fixed || l.Addr.Is4()
				}
			}
			if !fixed && !p.reserved(i.MAC, served) && !isMember(i, ifaces) {
				base.Options = options.v4
				add(0, base)
			}
		}
	})
	for _, r := range p.m.Reserved {
		if served[r.SubnetID] && p.hostOf(r.SubnetID, r.Addr) {
			node, name := p.m.hostOf(r.MAC)
			var options families
			if node != 0 {
				options = p.options[place{node: node}]
			}
			add(r.SubnetID, dhcpsrv.Reservation{
				Name: "reserved-" + r.Addr.String(), MAC: r.MAC, Addr: r.Addr, Hostname: name, Options: options.of(r.Addr.Is6()),
			})
		}
	}
	slices.SortStableFunc(out, func(a, b dhcpsrv.Reservation) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// reserved tells whether a reserved IP waits for a link address.
func (p *dhcpPlan) reserved(mac net.HardwareAddr, served map[int64]bool) bool {
	return slices.ContainsFunc(p.m.Reserved, func(r ipam.ReservedIP) bool { return served[r.SubnetID] && r.Addr.Is4() && r.For(mac) })
}

// members are the link addresses of a bond's members that are not its own.
func members(i Interface, all []Interface) []net.HardwareAddr {
	if i.Kind != ipam.Bond {
		return nil
	}
	var out []net.HardwareAddr
	for _, o := range all {
		if slices.Contains(i.Parents, o.ID) && o.MAC.String() != i.MAC.String() {
			out = append(out, o.MAC)
		}
	}
	return out
}

func isMember(i Interface, all []Interface) bool {
	return slices.ContainsFunc(all, func(o Interface) bool {
		return (o.Kind == ipam.Bond || o.Kind == ipam.Bridge) && slices.Contains(o.Parents, i.ID)
	})
}

// eachNode calls f for each machine and device, in order of ID.
func (m *Model) eachNode(f func(hostname, fqdn string, ifaces []Interface)) {
	m.eachNodeByID(func(_ int64, hostname, fqdn string, ifaces []Interface) { f(hostname, fqdn, ifaces) })
}

// eachNodeByID is eachNode for who needs the ID.
func (m *Model) eachNodeByID(f func(id int64, hostname, fqdn string, ifaces []Interface)) {
	for i := range m.Machines {
		f(m.Machines[i].ID, m.Machines[i].Hostname, m.Machines[i].FQDN, m.Machines[i].Interfaces)
	}
	for i := range m.Devices {
		f(m.Devices[i].ID, m.Devices[i].Hostname, m.Devices[i].FQDN, m.Devices[i].Interfaces)
	}
}

// hostOf returns the node with a link address; 0 if there is none.
func (m *Model) hostOf(mac net.HardwareAddr) (node int64, name string) {
	m.eachNodeByID(func(id int64, hostname, _ string, ifaces []Interface) {
		for _, i := range ifaces {
			if i.MAC.String() == mac.String() {
				node, name = id, hostname
			}
		}
	})
	return node, name
}
