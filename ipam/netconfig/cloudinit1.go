package netconfig

import (
	"net/netip"
	"strconv"

	"github.com/gomaas/maas/ipam"
)

// cloudInit1 writes network-config of version 1.
func (r *renderer) cloudInit1() error {
	var config []mapping
	for _, i := range r.ordered() {
		config = append(config, r.interface1(i))
	}
	var servers mapping
	servers.add("type", "nameserver")
	servers.add("address", texts(r.DNS))
	servers.add("search", r.Search)
	if len(servers) > 1 {
		config = append(config, servers)
	}
	m := mapping{{"version", 1}}
	m.add("config", config)
	r.file("network-config", 0o644, m.String())
	return nil
}

func (r *renderer) interface1(i Interface) mapping {
	var m mapping
	m.add("type", i.Kind.String())
	m.add("name", i.Name)
	m.add("mac_address", i.MAC.String())
	m.add("mtu", i.MTU)
	switch i.Kind {
	case ipam.Bond:
		m.add("bond_interfaces", i.Parents)
		var p mapping
		p.add("bond-mode", i.Bond.Mode)
		p.add("bond-miimon", i.Bond.MIIMonitor)
		p.add("bond-updelay", i.Bond.UpDelay)
		p.add("bond-downdelay", i.Bond.DownDelay)
		p.add("bond-lacp-rate", i.Bond.LACPRate)
		p.add("bond-xmit-hash-policy", i.Bond.TransmitPolicy)
		m.add("params", p)
	case ipam.Bridge:
		m.add("bridge_interfaces", i.Parents)
		var p mapping
		p.add("bridge_stp", i.Bridge.STP)
		p.add("bridge_fd", i.Bridge.ForwardDelay)
		m.add("params", p)
	case ipam.VLANInterface:
		m.add("vlan_link", i.Parents[0])
		m.add("vlan_id", i.VID)
	}
	m.add("accept-ra", i.AcceptRA)
	m.add("subnets", r.subnets1(i))
	for _, rule := range i.Rules {
		r.warn(i, "the rule from %s to table %d cannot be said in version 1", rule.From, rule.Table)
	}
	return m
}

// subnets1 returns the addresses of an interface; routes are part of the first address of their
// family.
func (r *renderer) subnets1(i Interface) (out []mapping) {
	if i.DHCP4 {
		out = append(out, mapping{{"type", "dhcp4"}})
	}
	if i.DHCP6 {
		out = append(out, mapping{{"type", "dhcp6"}})
	}
	for _, is4 := range []bool{true, false} {
		routes := r.routes1(i, is4)
		for n, a := range i.addresses(is4) {
			m := mapping{{"type", "static"}}
			if !is4 {
				m[0].value = "static6"
			}
			m.add("address", a.String())
			if n == 0 {
				m.add("routes", routes)
			}
			out = append(out, m)
		}
		if len(i.addresses(is4)) == 0 {
			for _, route := range i.routes(is4) {
				r.warn(i, "the route to %s has no address of its family to go with", route.To)
			}
		}
	}
	if len(out) == 0 {
		out = append(out, mapping{{"type", "manual"}})
	}
	return out
}

func (r *renderer) routes1(i Interface, is4 bool) (out []mapping) {
	if len(i.addresses(is4)) == 0 {
		return nil
	}
	for _, route := range i.routes(is4) {
		switch {
		case route.Table != 0:
			r.warn(i, "the route to %s of table %d cannot be said in version 1", route.To, route.Table)
			continue
		case !route.Via.IsValid():
			r.warn(i, "the route to %s without a gateway cannot be said in version 1", route.To)
			continue
		case i.onLink(route.Via):
			r.warn(i, "that the gateway %s is on the link cannot be said in version 1", route.Via)
		}
		var m mapping
		m.add("network", route.To.Masked().Addr().String())
		m.add("netmask", netmask(route.To))
		m.add("gateway", route.Via.String())
		m.add("metric", route.Metric)
		out = append(out, m)
	}
	return out
}

// netmask returns the mask of an IPv4 network, and the length of an IPv6 one.
func netmask(p netip.Prefix) string {
	if !p.Addr().Is4() {
		return strconv.Itoa(p.Bits())
	}
	m := ^uint32(0) << (32 - p.Bits())
	if p.Bits() == 0 {
		m = 0
	}
	return netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}).String()
}
