package inventory

import (
	"net/netip"
	"slices"

	"github.com/gomaas/maas/proxy"
)

// SettingHTTPProxy is the proxy that the racks' proxies go through; "" = none.
const SettingHTTPProxy = "http_proxy"

// PlanProxy lets the clients of all subnets but those that deny it use the
// racks' proxies.
func PlanProxy(m *Model) proxy.Policy {
	p := proxy.Policy{Parent: m.Settings[SettingHTTPProxy]}
	for _, s := range m.Subnets {
		if !s.DenyProxy {
			p.Allow = append(p.Allow, s.Prefix)
		}
	}
	slices.SortFunc(p.Allow, netip.Prefix.Compare)
	return p
}
