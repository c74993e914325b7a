package plan

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// ProxyPlan holds the settings of one rack's proxy.
type ProxyPlan struct {
	Policy proxy.Policy
	// Port is the TCP port on the rack's addresses; 0 = the rack serves no proxy, since there is to
	// be none, or machines use another one.
	Port int
	// DenyHosts are the names of BMCs that have no address in the plan: what a rack finds under
	// them is denied as Policy.Deny is.
	DenyHosts []string
}

// Proxy returns the settings of a rack's proxy. Clients of every subnet that does not deny it may
// reach what lies outside of the site; see inside.
//
// The proxy of the rack in the region's process, "" = none, is the parent of the other racks'
// proxies, and it alone goes through the site's external proxy, if that is to be a parent.
//
// BMCs are the result of [BMCsOf]; the zero BMCs keep none out.
func Proxy(m *inventory.Model, rack, beside string, bmcs BMCs) ProxyPlan {
	p := ProxyPlan{Port: proxyPort(m)}
	if p.Port == 0 {
		return p
	}
	p.Policy.PreferIPv4 = m.SettingFlag(setting.PreferV4Proxy, false)
	p.Policy.Direct = m.SettingList(setting.NoProxy)
	p.Policy.Routes = inventory.ProxyRoutes(m.SettingList(setting.ProxyRoutes))
	p.Policy.Uplink = int64(m.SettingNumber(setting.ProxyUplink, 0))
	// Settings were checked when they were set, so that an error means the default.
	p.Policy.Ports, _ = inventory.ProxyPorts(m.SettingList(setting.ProxyPorts))
	p.Policy.TunnelPorts, _ = inventory.ProxyPorts(m.SettingList(setting.ProxyTunnelPorts))
	for _, s := range m.Subnets {
		if !s.DenyProxy {
			p.Policy.Allow = append(p.Policy.Allow, s.Prefix)
		}
	}
	for _, r := range m.Racks {
		own := hostsOf(&r)
		if rack == beside && r.Name != rack {
			p.Policy.Allow = append(p.Policy.Allow, own...)
		}
		if rack != beside && r.Name == beside {
			for _, host := range own {
				p.Policy.Parents = append(p.Policy.Parents, proxyURL(host.Addr().String(), p.Port))
			}
		}
	}
	// The proxy beside the region has the parents of the site, so the others need only that one.
	if len(p.Policy.Parents) == 0 {
		p.Policy.HostParents = inventory.ProxyParents(m.SettingList(setting.ProxyParents))
		if external := m.Settings[setting.HTTPProxy]; external != "" {
			p.Policy.Parents = []string{external}
		}
	}
	slices.SortFunc(p.Policy.Allow, netip.Prefix.Compare)
	p.Policy.Allow, p.Policy.Deny = slices.Compact(p.Policy.Allow), inside(m, bmcs)
	p.DenyHosts = slices.Sorted(maps.Keys(bmcs.names))
	return p
}

// proxyPort returns the port of the racks' proxies; 0 = they serve none.
func proxyPort(m *inventory.Model) int {
	external := m.Settings[setting.HTTPProxy] != "" && !m.SettingFlag(setting.UsePeerProxy, false)
	if external || !m.SettingFlag(setting.EnableHTTPProxy, true) {
		return 0
	}
	return m.SettingNumber(setting.ProxyPort, setting.DefaultProxyPort)
}

// hostsOf returns the rack's addresses, each as a network of its own, in order. Link-local ones
// mean something else on each link, and are left out.
func hostsOf(r *inventory.Rack) (own []netip.Prefix) {
	for _, l := range r.Links {
		for _, a := range l.Addrs {
			if !a.Addr().IsLinkLocalUnicast() {
				own = append(own, netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))
			}
		}
	}
	return own
}

// ProxyURLs are the proxies that machines use whom one rack serves; "" = none.
type ProxyURLs struct {
	Subnets  map[netip.Prefix]string
	Anywhere string // for machines in none of them
}

// ProxyURLsOf returns the site's external proxy for all, or the rack's own: in each subnet by its
// address nearest to it or, where another rack serves too, by the name that leads to both, so that
// one is enough.
func ProxyURLsOf(m *inventory.Model, rack inventory.Rack) ProxyURLs {
	port := proxyPort(m)
	switch {
	case !m.SettingFlag(setting.EnableHTTPProxy, true):
		return ProxyURLs{}
	case port == 0:
		return ProxyURLs{Anywhere: m.Settings[setting.HTTPProxy]}
	}
	type side struct {
		vlan int64
		is4  bool
	}
	near, on := make(map[netip.Prefix]string), make(map[side]string)
	u := ProxyURLs{Subnets: make(map[netip.Prefix]string, len(m.Subnets))}
	for _, host := range hostsOf(&rack) {
		if s := subnetOf(m, host.Addr()); s != nil {
			url, at := proxyURL(host.Addr().String(), port), side{s.VLANID, host.Addr().Is4()}
			near[s.Prefix], on[at] = cmp.Or(near[s.Prefix], url), cmp.Or(on[at], url)
			if !s.DenyProxy {
				u.Anywhere = cmp.Or(u.Anywhere, url)
			}
		}
	}
	p := newDHCPPlan(m, rack)
	for i := range m.Subnets {
		s := &m.Subnets[i]
		name := p.sharedName(s)
		switch {
		case s.DenyProxy:
			u.Subnets[s.Prefix] = ""
		case name != "":
			u.Subnets[s.Prefix] = proxyURL(name, port)
		default:
			u.Subnets[s.Prefix] = cmp.Or(near[s.Prefix], on[side{p.serving(s).ID, s.Prefix.Addr().Is4()}], u.Anywhere)
		}
	}
	return u
}

func proxyURL(host string, port int) string {
	return fmt.Sprintf("http://%s/", net.JoinHostPort(host, strconv.Itoa(port)))
}

// subnetOf returns the subnet that an address is in; nil = none.
func subnetOf(m *inventory.Model, a netip.Addr) *ipam.Subnet {
	for i := range m.Subnets {
		if m.Subnets[i].Prefix.Contains(a) {
			return &m.Subnets[i]
		}
	}
	return nil
}
