package plan

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/dnssrv/catalog"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// DNSCut is the part of a site's names that one rack serves. A rack that was given no network
// serves none, and holds no key. Domains that name their racks are forwarded by the others, so that
// the keys of their zones are on the named racks only. Racks with equal [DNSCut.Key] have the same
// part.
type DNSCut struct {
	none    bool
	away    []awayDomain
	here    []string // names of domains that it serves
	allKeys []string // names of keys that it holds; used with away
	catalog string   // zone that lists the zones that it serves; "" = none
}

// awayDomain is a domain that other racks serve.
type awayDomain struct {
	name    string
	servers []netip.AddrPort
}

// DNSCutOf returns the part of a rack.
func DNSCutOf(m *inventory.Model, rack inventory.Rack) (c DNSCut) {
	if m.Assignment(rack).Empty() {
		return DNSCut{none: true}
	}
	c.catalog = m.Settings[setting.DNSCatalog]
	for i := range m.Domains {
		d := &m.Domains[i]
		switch {
		case d.External:
		case d.ServedBy(rack.Name):
			c.here = append(c.here, d.Name)
		default:
			c.away = append(c.away, awayDomain{d.Name, serversOf(m, d)})
		}
	}
	if len(c.away) > 0 {
		_, c.allKeys = inventory.SplitTransfer(m.SettingList(setting.DNSTransfer))
		for i := range m.Domains {
			if d := &m.Domains[i]; slices.Contains(c.here, d.Name) {
				c.allKeys = append(c.allKeys, d.Keys()...)
			}
		}
	}
	return c
}

// serversOf returns the addresses of the racks of a domain.
func serversOf(m *inventory.Model, d *inventory.Domain) (servers []netip.AddrPort) {
	for i := range m.Racks {
		if !slices.Contains(d.Racks, m.Racks[i].Name) {
			continue
		}
		for _, host := range hostsOf(&m.Racks[i]) {
			servers = append(servers, netip.AddrPortFrom(host.Addr(), dnsPort))
		}
	}
	return servers
}

// Key returns a text that is equal for racks with the same part, in all models.
func (c DNSCut) Key() string {
	if c.none {
		return "none"
	}
	var b strings.Builder
	for _, d := range c.away {
		b.WriteString(d.name + "\n")
	}
	return b.String()
}

// Plan returns the rack's part of a plan.
func (c DNSCut) Plan(p inventory.DNSPlan) inventory.DNSPlan {
	switch {
	case c.none:
		return inventory.DNSPlan{}
	case len(c.away) == 0:
		return c.listed(p)
	}
	p.Zones = slices.DeleteFunc(slices.Clone(p.Zones), func(z dnssrv.Zone) bool { return c.isAway(z.Name) })
	p.Sets = c.Sets(p.Sets)
	p.Forwarding.Domains = slices.Clone(p.Forwarding.Domains)
	for _, d := range c.away {
		if len(d.servers) > 0 {
			p.Forwarding.Domains = append(p.Forwarding.Domains, dnssrv.DomainForwarding{Name: d.name, Servers: d.servers})
		}
	}
	p.Access.Keys = slices.DeleteFunc(slices.Clone(p.Access.Keys), func(k dnssrv.Key) bool { return !slices.Contains(c.allKeys, k.Name) })
	p.Access.Zones = slices.DeleteFunc(slices.Clone(p.Access.Zones), func(z dnssrv.ZoneAccess) bool { return c.isAway(z.Zone) })
	p.Access.Update = slices.DeleteFunc(slices.Clone(p.Access.Update), func(u dnssrv.UpdateRule) bool { return c.isAway(u.Zone) })
	return c.listed(p)
}

// listed returns the plan with the catalog of its zones.
func (c DNSCut) listed(p inventory.DNSPlan) inventory.DNSPlan {
	if c.catalog == "" {
		return p
	}
	members := make([]catalog.Member, 0, len(p.Zones))
	for _, z := range p.Zones {
		members = append(members, catalog.Member{Zone: z.Name})
	}
	list, err := catalog.Change(c.catalog, nil, members)
	if err != nil || slices.ContainsFunc(p.Zones, func(z dnssrv.Zone) bool { return z.Name == c.catalog }) {
		return p // a domain that was made after the setting
	}
	for i := range list.Zones {
		list.Zones[i].Name = strings.TrimSuffix(list.Zones[i].Name, ".")
	}
	for i := range list.Set {
		list.Set[i].Name = strings.TrimSuffix(list.Set[i].Name, ".")
	}
	p.Zones = slices.SortedFunc(slices.Values(slices.Concat(p.Zones, list.Zones)), func(a, b dnssrv.Zone) int { return strings.Compare(a.Name, b.Name) })
	p.Sets = slices.Concat(p.Sets, list.Set)
	slices.SortStableFunc(p.Sets, func(a, b dnssrv.RRset) int { return strings.Compare(a.Name, b.Name) })
	return p
}

// Sets returns the record sets of the rack's zones.
func (c DNSCut) Sets(sets []dnssrv.RRset) []dnssrv.RRset {
	switch {
	case c.none:
		return nil
	case len(c.away) == 0:
		return sets
	}
	return slices.DeleteFunc(slices.Clone(sets), func(s dnssrv.RRset) bool { return c.isAway(s.Name) })
}

// isAway reports whether the domain that holds a name most closely is served by others.
func (c DNSCut) isAway(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for name != "" {
		if slices.Contains(c.here, name) {
			return false
		}
		if slices.ContainsFunc(c.away, func(d awayDomain) bool { return d.name == name }) {
			return true
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return false
}
