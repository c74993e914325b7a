package inventory

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/proxy"
)

// ProxyPlan is what the proxy of one rack does.
type ProxyPlan struct {
	Policy proxy.Policy
	// Port is the TCP port on the rack's addresses; 0 = the rack serves no
	// proxy, since there is to be none, or machines use another one.
	Port int
}

// PlanProxy lets the clients of all subnets but those that deny it use a
// rack's proxy, for everything but the racks' own addresses: what listens
// there is for administrators, and machines reach what is for them directly.
//
// The proxy of the rack that runs beside the region, "" = none does, is also
// the parent of those of the other racks; and it alone goes through the site's
// external proxy, if that is to be a parent.
func PlanProxy(m *Model, rack, beside string) ProxyPlan {
	p := ProxyPlan{Port: m.proxyPort()}
	if p.Port == 0 {
		return p
	}
	p.Policy.PreferIPv4 = m.flag(SettingPreferV4Proxy, false)
	p.Policy.Direct = m.list(SettingNoProxy)
	p.Policy.Routes = proxyRoutes(m.list(SettingProxyRoutes))
	p.Policy.Uplink = int64(m.number(SettingProxyUplink, 0))
	for _, s := range m.Subnets {
		if !s.DenyProxy {
			p.Policy.Allow = append(p.Policy.Allow, s.Prefix)
		}
	}
	for _, r := range m.Racks {
		own := r.hosts()
		p.Policy.Deny = append(p.Policy.Deny, own...)
		if rack == beside && r.Name != rack {
			p.Policy.Allow = append(p.Policy.Allow, own...)
		}
		if rack != beside && r.Name == beside {
			for _, host := range own {
				p.Policy.Parents = append(p.Policy.Parents, proxyURL(host.Addr(), p.Port))
			}
		}
	}
	if external := m.Settings[SettingHTTPProxy]; external != "" && len(p.Policy.Parents) == 0 {
		p.Policy.Parents = []string{external}
	}
	slices.SortFunc(p.Policy.Allow, netip.Prefix.Compare)
	slices.SortFunc(p.Policy.Deny, netip.Prefix.Compare)
	p.Policy.Allow, p.Policy.Deny = slices.Compact(p.Policy.Allow), slices.Compact(p.Policy.Deny)
	return p
}

// proxyPort returns the port of the racks' proxies; 0 = they serve none.
func (m *Model) proxyPort() int {
	external := m.Settings[SettingHTTPProxy] != "" && !m.flag(SettingUsePeerProxy, false)
	if external || !m.flag(SettingEnableHTTPProxy, true) {
		return 0
	}
	return m.number(SettingProxyPort, DefaultProxyPort)
}

// hosts returns the rack's addresses, each as a network of its own, in order.
func (r *Rack) hosts() (own []netip.Prefix) {
	for _, l := range r.Links {
		for _, a := range l.Addrs {
			own = append(own, netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))
		}
	}
	return own
}

// ProxyURL returns the proxy that a machine on a VLAN uses whom a rack serves:
// that of the rack at its address there, the site's external one, or "" = none.
// VLAN 0 stands for any.
func ProxyURL(m *Model, rack Rack, vlan int64) string {
	if !m.flag(SettingEnableHTTPProxy, true) {
		return ""
	}
	port := m.proxyPort()
	if port == 0 {
		return m.Settings[SettingHTTPProxy]
	}
	var fallback netip.Addr
	for _, host := range rack.hosts() {
		s := m.subnetOf(host.Addr())
		switch {
		case s == nil || s.DenyProxy:
		case s.VLANID == vlan:
			return proxyURL(host.Addr(), port)
		case !fallback.IsValid():
			fallback = host.Addr()
		}
	}
	if !fallback.IsValid() {
		return ""
	}
	return proxyURL(fallback, port)
}

func proxyURL(host netip.Addr, port int) string {
	return fmt.Sprintf("http://%s/", netip.AddrPortFrom(host, uint16(port)))
}

// subnetOf returns the subnet that an address is in; nil = none.
func (m *Model) subnetOf(a netip.Addr) *ipam.Subnet {
	for i := range m.Subnets {
		if m.Subnets[i].Prefix.Contains(a) {
			return &m.Subnets[i]
		}
	}
	return nil
}
