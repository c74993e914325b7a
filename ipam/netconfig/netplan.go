package netconfig

import "github.com/gomaas/maas/ipam"

// netplan writes a file for netplan. It holds no secret, and netplan warns of one that others can
// read.
func (r *renderer) netplan() error {
	r.file("/etc/netplan/50-maas.yaml", 0o600, mapping{{"network", r.version2()}}.String())
	return nil
}

// cloudInit2 writes network-config of version 2, which is the content of netplan's "network".
func (r *renderer) cloudInit2() error {
	r.file("network-config", 0o644, r.version2().String())
	return nil
}

func (r *renderer) version2() mapping {
	m := mapping{{"version", 2}}
	for _, kind := range []struct {
		key  string
		kind ipam.InterfaceKind
	}{{"ethernets", ipam.Physical}, {"bonds", ipam.Bond}, {"bridges", ipam.Bridge}, {"vlans", ipam.VLANInterface}} {
		var all mapping
		for _, i := range r.of(kind.kind) {
			all.add(i.Name, r.interface2(i))
		}
		m.add(kind.key, all)
	}
	return m
}

func (r *renderer) interface2(i Interface) mapping {
	var m mapping
	switch i.Kind {
	case ipam.Physical:
		m.add("match", mapping{{"macaddress", i.MAC.String()}})
		m.add("set-name", i.Name)
	case ipam.VLANInterface:
		m.add("id", i.VID)
		m.add("link", i.Parents[0])
	default:
		m.add("interfaces", i.Parents)
	}
	if i.Kind != ipam.Physical {
		m.add("macaddress", i.MAC.String())
	}
	m.add("parameters", parameters2(i))
	m.add("mtu", i.MTU)
	m.add("dhcp4", i.DHCP4)
	m.add("dhcp6", i.DHCP6)
	m.add("accept-ra", i.AcceptRA)
	m.add("addresses", texts(i.Addresses))
	m.add("routes", r.routes2(i))
	var rules []mapping
	for _, rule := range i.Rules {
		rules = append(rules, mapping{{"from", rule.From.Masked().String()}, {"table", rule.Table}})
	}
	m.add("routing-policy", rules)
	// Without addresses of its own, an interface needs no resolver; netplan has none for the
	// machine.
	if i.Name == r.resolverInterface() {
		var servers mapping
		servers.add("addresses", texts(r.DNS))
		servers.add("search", r.Search)
		m.add("nameservers", servers)
	}
	return m
}

func parameters2(i Interface) (m mapping) {
	switch i.Kind {
	case ipam.Bond:
		m.add("mode", i.Bond.Mode)
		m.add("mii-monitor-interval", i.Bond.MIIMonitor)
		m.add("up-delay", i.Bond.UpDelay)
		m.add("down-delay", i.Bond.DownDelay)
		m.add("lacp-rate", i.Bond.LACPRate)
		m.add("transmit-hash-policy", i.Bond.TransmitPolicy)
	case ipam.Bridge:
		m.add("stp", i.Bridge.STP)
		m.add("forward-delay", i.Bridge.ForwardDelay)
	}
	return m
}

func (r *renderer) routes2(i Interface) (out []mapping) {
	for _, route := range i.Routes {
		var m mapping
		to := route.destination()
		if to == "default" {
			to = route.To.String() // "default" is unknown to netplan before 0.104, and to cloud-init
		}
		m.add("to", to)
		if route.Via.IsValid() {
			m.add("via", route.Via.String())
		} else {
			m.add("scope", "link")
		}
		if i.onLink(route.Via) {
			m.add("on-link", true)
		}
		m.add("metric", route.Metric)
		m.add("table", route.Table)
		out = append(out, m)
	}
	return out
}

// resolverInterface returns the interface that the machine's resolvers are configured on, for
// systems that have them per interface: the one with a default route, else the first with
// addresses, else the first of all.
func (c Config) resolverInterface() string {
	name, rank := "", -1
	for _, i := range c.ordered() {
		this := 0
		if len(i.Addresses) > 0 || i.DHCP4 || i.DHCP6 {
			this = 1
		}
		for _, route := range i.Routes {
			if route.To.Bits() == 0 && route.Table == 0 {
				this = 2
			}
		}
		if this > rank {
			name, rank = i.Name, this
		}
	}
	return name
}
