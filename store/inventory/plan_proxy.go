package inventory

import (
	"net/netip"
	"slices"

	"github.com/gomaas/maas/proxy"
)

// SettingHTTPProxy is the proxy that the racks' proxies go through; "" = none.
const SettingHTTPProxy = "http_proxy"

// PlanProxy lets the clients of all subnets but those that deny it use the
// racks' proxies, for everything but the racks' own addresses: what listens
// there is for administrators, and machines reach what is for them directly.
func PlanProxy(m *Model) proxy.Policy {
	p := proxy.Policy{Parent: m.Settings[SettingHTTPProxy]}
	for _, s := range m.Subnets {
		if !s.DenyProxy {
			p.Allow = append(p.Allow, s.Prefix)
		}
	}
	for _, r := range m.Racks {
		for _, l := range r.Links {
			for _, a := range l.Addrs {
				p.Deny = append(p.Deny, netip.PrefixFrom(a.Addr(), a.Addr().BitLen()))
			}
		}
	}
	slices.SortFunc(p.Allow, netip.Prefix.Compare)
	slices.SortFunc(p.Deny, netip.Prefix.Compare)
	p.Deny = slices.Compact(p.Deny)
	return p
}
