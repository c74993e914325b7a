package plan

import (
	"net/netip"
	"slices"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// DiscoveryPlan holds the discovery settings of one rack.
type DiscoveryPlan struct {
	Listen    bool
	Ignore    []string         // rules, as discovery.ParseIgnore reads them
	Resolvers []netip.AddrPort // that know names of addresses
	Subnets   []netip.Prefix   // that it may sweep: those it is linked to
	Confirm   []netip.Prefix   // of Subnets, those with active discovery, while sweeps are on
}

const dnsPort = 53

// Discovery makes the plan of a rack.
func Discovery(m *inventory.Model, rack inventory.Rack) DiscoveryPlan {
	p := DiscoveryPlan{Listen: m.DiscoveryEnabled(), Ignore: m.SettingList(setting.DiscoveryIgnore)}
	for _, text := range m.SettingList(setting.UpstreamDNS) {
		if a, err := netip.ParseAddr(text); err == nil {
			p.Resolvers = append(p.Resolvers, netip.AddrPortFrom(a, dnsPort))
		} else if ap, err := netip.ParseAddrPort(text); err == nil {
			p.Resolvers = append(p.Resolvers, ap)
		}
	}
	for _, s := range m.Subnets {
		if rack.LinkedTo(s) {
			p.Subnets = append(p.Subnets, s.Prefix)
			if s.ActiveDiscovery && m.ScanInterval() > 0 {
				p.Confirm = append(p.Confirm, s.Prefix)
			}
		}
	}
	slices.SortFunc(p.Subnets, netip.Prefix.Compare)
	slices.SortFunc(p.Confirm, netip.Prefix.Compare)
	return p
}
