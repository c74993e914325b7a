package plan

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// DHCP returns what a rack's DHCP server serves from: the managed subnets of the VLANs that it is a
// rack of and on which DHCP is on, and of the VLANs relayed to those. A subnet in which the rack
// has no address, and to which no VLAN of its own is relayed, is left out.
//
// Primary and secondary rack of a VLAN both have its dynamic ranges and its fixed addresses: they
// are partners, of which each answers half of the clients, and all while the other one is away.
func DHCP(m *inventory.Model, rack inventory.Rack) dhcpsrv.Snapshot {
	snap := DHCPNetworks(m, rack)
	p := newDHCPPlan(m, rack)
	snap.Reservations = p.reservations(p.served())
	return snap
}

// DHCPNetworks is DHCP without the reservations, in time that does not depend on how many machines
// there are.
func DHCPNetworks(m *inventory.Model, rack inventory.Rack) dhcpsrv.Snapshot {
	p := newDHCPPlan(m, rack)
	subnets := p.subnets()
	site := p.options[place{}]
	return dhcpsrv.Snapshot{
		Options: site.v4, Options6: site.v6, Subnets: subnets, Classes: classes(m),
		Partners: p.partners(subnets),
	}
}

func newDHCPPlan(m *inventory.Model, rack inventory.Rack) *dhcpPlan {
	p := &dhcpPlan{m: m, rack: rack, vlans: make(map[int64]ipam.VLAN), options: placedOptions(m)}
	for _, v := range m.VLANs {
		p.vlans[v.ID] = v
	}
	return p
}

// subnets returns those that the rack serves.
func (p *dhcpPlan) subnets() (out []dhcpsrv.Subnet) {
	for i := range p.m.Subnets {
		if at := p.at(&p.m.Subnets[i]); at.server.IsValid() {
			out = append(out, p.subnet(&p.m.Subnets[i], at))
		}
	}
	return out
}

// served returns the IDs of the subnets that the rack serves.
func (p *dhcpPlan) served() map[int64]bool {
	ids := make(map[int64]bool)
	for i := range p.m.Subnets {
		if p.at(&p.m.Subnets[i]).server.IsValid() {
			ids[p.m.Subnets[i].ID] = true
		}
	}
	return ids
}

type dhcpPlan struct {
	m       *inventory.Model
	rack    inventory.Rack
	vlans   map[int64]ipam.VLAN
	options map[place]families // that operators set
}

// serves reports whether the rack answers on a VLAN directly.
func (p *dhcpPlan) serves(v ipam.VLAN) bool {
	return v.DHCP && p.rack.Name != "" && (v.PrimaryRack == p.rack.Name || v.SecondaryRack == p.rack.Name)
}

// servedAt holds the addresses and the VLAN with which a rack serves a subnet.
type servedAt struct {
	link    string     // empty: behind a relay
	server  netip.Addr // the rack's; not valid = it does not serve it
	serving ipam.VLAN  // whose racks answer
}

func (p *dhcpPlan) at(s *ipam.Subnet) (at servedAt) {
	v, ok := p.vlans[s.VLANID]
	if !ok || s.Unmanaged {
		return servedAt{}
	}
	at.serving = p.serving(s)
	// A rack that watches is silent: by DHCPv6 and router advertisements it could only serve.
	if at.serving.DHCPMode == ipam.DHCPWatch && s.Prefix.Addr().Is6() {
		return servedAt{}
	}
	switch {
	case !p.serves(at.serving):
	case at.serving.ID == v.ID:
		// On its own VLAN a rack answers from its address in the subnet: clients renew by unicast.
		at.link, at.server = p.addressIn(p.rack, s.Prefix)
	default:
		// Behind a relay it has no address in the subnet, and answers from one that the relay
		// reaches.
		at.server = p.addressOn(p.rack, at.serving.ID, s.Prefix.Addr().Is4())
	}
	return at
}

func (p *dhcpPlan) subnet(s *ipam.Subnet, at servedAt) dhcpsrv.Subnet {
	v := p.vlans[s.VLANID]
	sub := dhcpsrv.Subnet{
		Name: s.Prefix.String(), Prefix: s.Prefix, SharedNetwork: fmt.Sprintf("vlan-%d", v.ID), Link: at.link, Server: at.server,
		Relays: s.Relays,
		Domain: defaultDomain(p.m), Search: searchList(p.m), NTP: p.ntp(s.Prefix.Addr().Is4()),
		Options: p.options[place{subnet: s.ID}].of(s.Prefix.Addr().Is6()),
	}
	sub.DNS = p.dns(s, append([]netip.Addr{sub.Server}, p.otherRacks(s, at.serving)...))
	sub.Pools = p.pools(s.ID)
	p.share(&sub, s, at.serving)
	sub.LeaseTime = cmp.Or(p.options[place{subnet: s.ID}].lease, p.options[place{}].lease)
	sub.CircuitQuota, sub.LinkQuota = p.m.SettingNumber(setting.CircuitQuota, 0), p.m.SettingNumber(setting.LinkQuota, 0)
	if s.Prefix.Addr().Is6() {
		return p.subnet6(sub, s.Delegated)
	}
	sub.Mode = modeOf(v, at.serving)
	if s.Gateway.IsValid() {
		sub.Routers = []netip.Addr{s.Gateway}
	}
	if v.MTU != ipam.DefaultMTU { // clients assume it without the option
		sub.MTU = v.MTU
	}
	sub.Routes = p.routes(s.ID)
	return sub
}

// modeOf returns the mode in which DHCP is served on a VLAN. Behind a relay a rack cannot receive
// other servers' answers, so automatic mode serves there.
func modeOf(v, serving ipam.VLAN) dhcpsrv.Mode {
	switch mode := serving.DHCPMode; {
	case mode == ipam.DHCPProxy:
		return dhcpsrv.ModeProxy
	case mode == ipam.DHCPWatch:
		return dhcpsrv.ModeWatch
	case mode == ipam.DHCPAuto && v.ID == serving.ID:
		return dhcpsrv.ModeAuto
	}
	return dhcpsrv.ModeServe
}

// serving returns the VLAN whose racks answer the clients of a subnet.
func (p *dhcpPlan) serving(s *ipam.Subnet) ipam.VLAN {
	v := p.vlans[s.VLANID]
	// A rack on the VLAN itself precedes the relay; else clients would get two answers.
	if target, relayed := p.vlans[v.RelayVLANID]; relayed && !p.serves(v) && p.serves(target) {
		return target
	}
	return v
}

// otherRacks returns the addresses at which clients of a subnet reach the other racks of the VLAN
// that serves it.
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
func (p *dhcpPlan) addressIn(rack inventory.Rack, prefix netip.Prefix) (string, netip.Addr) {
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
func (p *dhcpPlan) addressOn(rack inventory.Rack, vlan int64, is4 bool) netip.Addr {
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

// dns returns the DNS servers of a subnet's clients: the racks, this one first, then the
// operator's. Without a gateway clients reach only servers in the subnet.
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
	for _, s := range p.m.SettingList(setting.NTPServers) {
		// Option 42 carries addresses only (RFC 2132 section 8.3), so names are left out.
		if a, err := netip.ParseAddr(s); err == nil && a.Is4() == is4 {
			out = append(out, a)
		}
	}
	return out
}

// classes returns the classes that racks can read, which the inventory checks before it stores
// them.
func classes(m *inventory.Model) (out []dhcpsrv.Class) {
	for _, c := range m.Classes {
		if k, err := c.DHCP(); err == nil {
			out = append(out, k)
		}
	}
	return out
}

func (p *dhcpPlan) pools(subnet int64) []dhcpsrv.Pool {
	var out []dhcpsrv.Pool
	names := make(map[int64]string, len(p.m.Classes))
	for _, c := range p.m.Classes {
		names[c.ID] = c.Name
	}
	for _, r := range p.m.Ranges {
		if r.SubnetID == subnet && r.Type == ipam.RangeDynamic {
			out = append(out, dhcpsrv.Pool{First: r.Start, Last: r.End, Options: p.options[place{rng: r.ID}].of(r.Start.Is6()), Class: names[r.ClassID]})
		}
	}
	return out
}

func (p *dhcpPlan) routes(subnet int64) []dhcpsrv.Route {
	var out []dhcpsrv.Route
	for _, r := range p.m.Routes {
		if to := subnetByID(p.m, r.DestinationID); r.SourceID == subnet && to != nil {
			out = append(out, dhcpsrv.Route{Dest: to.Prefix, Via: r.Gateway})
		}
	}
	return out
}

// searchList is the default domain, then the others in order of name.
func searchList(m *inventory.Model) []string {
	var rest []string
	// Names of external domains are complete when users write them.
	for _, d := range m.Domains[min(1, len(m.Domains)):] {
		if !d.External {
			rest = append(rest, d.Name)
		}
	}
	slices.Sort(rest)
	return append([]string{defaultDomain(m)}, rest...)
}

// reservations gives each interface the addresses that it holds on the served subnets; an interface
// without one gets its machine's name. A rack that serves no subnet needs none.
func (p *dhcpPlan) reservations(served map[int64]bool) []dhcpsrv.Reservation {
	// Otherwise every change of a machine would be sent to racks that answer no client.
	if len(served) == 0 {
		return nil
	}
	l := newReservationList(p, served)
	for _, n := range Nodes(p.m) {
		l.node(n)
	}
	for _, r := range p.m.Reserved {
		l.reserved(r)
	}
	return l.sorted()
}

// listed is the key that no two reservations share.
type listed struct {
	subnet int64
	mac    string
}

type reservationList struct {
	*dhcpPlan
	served  map[int64]bool
	waiting map[string]bool        // link addresses for which a reserved IP waits
	holders map[string]PlannedNode // by link address
	listed  map[listed]bool
	list    []dhcpsrv.Reservation
}

func newReservationList(p *dhcpPlan, served map[int64]bool) *reservationList {
	l := &reservationList{dhcpPlan: p, served: served, waiting: make(map[string]bool), holders: make(map[string]PlannedNode), listed: make(map[listed]bool)}
	// Such an interface gets no reservation of its name alone: it would come first and hide the
	// address.
	for _, r := range p.m.Reserved {
		if served[r.SubnetID] && r.Addr.Is4() {
			l.waiting[string(r.MAC)] = true
		}
	}
	return l
}

func (l *reservationList) add(subnet int64, r dhcpsrv.Reservation) {
	if key := (listed{subnet, string(r.MAC)}); !l.listed[key] {
		l.listed[key] = true
		l.list = append(l.list, r)
	}
}

func (l *reservationList) node(n PlannedNode) {
	options := l.options[place{node: n.id}]
	for _, i := range n.Interfaces {
		l.holders[string(i.MAC)] = n
		// A VLAN interface has the MAC of its parent, whose reservation serves both.
		if len(i.MAC) == 0 || i.Kind == ipam.VLANInterface {
			continue
		}
		base := dhcpsrv.Reservation{Name: n.Hostname + "-" + i.Name, MAC: i.MAC, Aliases: members(i, n.Interfaces), Hostname: n.Hostname}
		fixed := false
		for _, link := range i.Links {
			if link.Type != ipam.AllocDiscovered && link.Addr.IsValid() && l.served[link.SubnetID] && l.hostOf(link.SubnetID, link.Addr) {
				r := base
				r.Addr, r.Options = link.Addr, options.of(link.Addr.Is6())
				l.add(link.SubnetID, r)
				fixed = fixed || link.Addr.Is4()
			}
		}
		if !fixed && !l.waiting[string(i.MAC)] && !isMember(i, n.Interfaces) {
			base.Options = options.v4
			l.add(0, base) // in any subnet
		}
	}
}

func (l *reservationList) reserved(r ipam.ReservedIP) {
	if !l.served[r.SubnetID] || !l.hostOf(r.SubnetID, r.Addr) {
		return
	}
	var options families
	n, known := l.holders[string(r.MAC)]
	if known {
		options = l.options[place{node: n.id}]
	}
	l.add(r.SubnetID, dhcpsrv.Reservation{
		Name: "reserved-" + r.Addr.String(), MAC: r.MAC, Addr: r.Addr, Hostname: n.Hostname, Options: options.of(r.Addr.Is6()),
	})
}

func (l *reservationList) sorted() []dhcpsrv.Reservation {
	// The order must not depend on that of machines: equal snapshots are not sent again.
	slices.SortStableFunc(l.list, func(a, b dhcpsrv.Reservation) int {
		return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Name, b.Name), bytes.Compare(a.MAC, b.MAC))
	})
	return l.list
}

// members are the link addresses of a bond's members that are not its own.
func members(i inventory.Interface, all []inventory.Interface) []net.HardwareAddr {
	if i.Kind != ipam.Bond {
		return nil
	}
	// Until the bond is set up, firmware and installer use each member with its own MAC.
	var out []net.HardwareAddr
	for _, o := range all {
		if slices.Contains(i.Parents, o.ID) && o.MAC.String() != i.MAC.String() {
			out = append(out, o.MAC)
		}
	}
	return out
}

func isMember(i inventory.Interface, all []inventory.Interface) bool {
	return slices.ContainsFunc(all, func(o inventory.Interface) bool {
		return (o.Kind == ipam.Bond || o.Kind == ipam.Bridge) && slices.Contains(o.Parents, i.ID)
	})
}
