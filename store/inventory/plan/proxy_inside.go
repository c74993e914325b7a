package plan

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"go4.org/netipx"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// inside returns the networks of the site that the proxy of a rack keeps its clients from. A
// machine could reach through the proxy what its own network does not route it to: the BMCs of all
// machines, and the services of racks and regions that are for administrators. Of the other subnets
// the setting AllowProxyTo makes exceptions.
func inside(m *inventory.Model, rack string, bmcs BMCs) []netip.Prefix {
	own := servedBy(m, rack)
	var deny netipx.IPSetBuilder
	for _, s := range m.Subnets {
		if !own[s.ID] {
			deny.AddPrefix(s.Prefix)
		}
	}
	for _, text := range m.SettingList(setting.AllowProxyTo) {
		// Settings were checked when they were set.
		if p, err := inventory.ProxyNetwork(text); err == nil {
			deny.RemovePrefix(p)
		}
	}
	for a := range bmcs {
		deny.Add(a)
		if s := subnetOf(m, a); s != nil && !own[s.ID] {
			deny.AddPrefix(s.Prefix) // where one BMC is, others are that the site does not know
		}
	}
	for _, r := range m.Regions {
		for _, at := range r.Addresses {
			if host, _, err := net.SplitHostPort(at); err == nil {
				if a, err := netip.ParseAddr(host); err == nil {
					deny.Add(a.Unmap().WithZone(""))
				}
			}
		}
	}
	for i := range m.Racks {
		for _, host := range hostsOf(&m.Racks[i]) {
			deny.AddPrefix(host)
		}
	}
	set, err := deny.IPSet()
	if err != nil {
		return []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)} // rather nothing than all
	}
	return set.Prefixes()
}

// servedBy returns the IDs of the subnets whose machines a rack serves, through relays too.
func servedBy(m *inventory.Model, name string) map[int64]bool {
	own := make(map[int64]bool)
	for _, r := range m.Racks {
		if r.Name != name {
			continue
		}
		p := newDHCPPlan(m, r)
		near := make(map[int64]bool) // VLANs
		for _, host := range hostsOf(&r) {
			if s := subnetOf(m, host.Addr()); s != nil {
				near[s.VLANID] = true
			}
		}
		for i := range m.Subnets {
			s := &m.Subnets[i]
			own[s.ID] = near[s.VLANID] || near[p.serving(s).ID]
		}
	}
	return own
}

// BMCs are the addresses of BMCs. A BMC that is known by name alone has none: what the name leads
// to may change after the plan.
type BMCs map[netip.Addr]bool

// BMCsOf returns the addresses of the machines' BMCs.
func BMCsOf(machines []inventory.Machine) BMCs {
	out := make(BMCs)
	for i := range machines {
		if a := bmcOf(&machines[i]); a.IsValid() {
			out[a.Unmap().WithZone("")] = true
		}
		for _, value := range machines[i].Power.Params { // webhooks have a URL for each operation
			if !strings.Contains(value, "://") {
				continue // most are no URLs, and this runs for all machines
			}
			if u, err := url.Parse(value); err == nil {
				if a, err := netip.ParseAddr(u.Hostname()); err == nil {
					out[a.Unmap().WithZone("")] = true
				}
			}
		}
	}
	return out
}

// BMCsChanged reports whether a change of machines changes the addresses of BMCs.
func BMCsChanged(c *inventory.Changes) bool {
	return !maps.Equal(BMCsOf(c.Before.Machines), BMCsOf(c.After.Machines))
}
