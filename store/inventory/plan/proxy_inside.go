package plan

import (
	"maps"
	"net"
	"net/netip"
	"strings"

	"go4.org/netipx"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// inside returns the networks of the site that the proxies keep their clients from. A machine could
// reach through a proxy what its own network does not route it to: the BMCs of all machines, the
// services of racks and regions that are for administrators, and machines that trust a rack's
// address. The setting AllowProxyTo makes exceptions. A network there does not open a subnet with
// BMCs, because where one is, others are that the site does not know; an address does.
func inside(m *inventory.Model, bmcs BMCs) []netip.Prefix {
	var deny netipx.IPSetBuilder
	for _, s := range m.Subnets {
		deny.AddPrefix(s.Prefix)
	}
	var hosts []netip.Prefix
	for _, text := range m.SettingList(setting.AllowProxyTo) {
		p, err := inventory.ProxyNetwork(text)
		if err != nil {
			continue // settings were checked when they were set
		}
		if p.IsSingleIP() {
			hosts = append(hosts, p)
		}
		deny.RemovePrefix(p)
	}
	for a := range bmcs.addrs {
		if s := subnetOf(m, a); s != nil {
			deny.AddPrefix(s.Prefix)
		}
	}
	for _, p := range hosts {
		deny.RemovePrefix(p)
	}
	for a := range bmcs.addrs {
		deny.Add(a)
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

// BMCs are the BMCs of the site: addresses, and names of those that are known by name. What a name
// leads to may change after the plan, so racks look them up.
type BMCs struct {
	addrs map[netip.Addr]bool
	names map[string]bool
}

// BMCsOf returns the BMCs of machines.
func BMCsOf(machines []inventory.Machine) BMCs {
	out := BMCs{make(map[netip.Addr]bool), make(map[string]bool)}
	add := func(host string) {
		if a, err := netip.ParseAddr(host); err == nil {
			out.addrs[a.Unmap().WithZone("")] = true
		} else if host != "" {
			out.names[strings.ToLower(strings.TrimSuffix(host, "."))] = true
		}
	}
	for i := range machines {
		add(BMCHost(&machines[i]))
		for _, value := range machines[i].Power.Params { // webhooks have a URL for each operation
			if !strings.Contains(value, "://") {
				continue // most are no URLs, and this runs for all machines
			}
			add(hostOf(value))
		}
	}
	return out
}

// BMCsChanged reports whether a change of machines changes addresses or names of BMCs.
func BMCsChanged(c *inventory.Changes) bool {
	before, after := BMCsOf(c.Before.Machines), BMCsOf(c.After.Machines)
	return !maps.Equal(before.addrs, after.addrs) || !maps.Equal(before.names, after.names)
}
