package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// DNS returns what DNS servers serve for a site; see [NamePlanner] for the names.
func DNS(m *inventory.Model) inventory.DNSPlan { return new(NamePlanner).Plan(m) }

// dnsZones returns the zones of the site's domains and of the reverse records of its subnets.
func dnsZones(m *inventory.Model) []dnssrv.Zone {
	ttl := uint32(m.SettingNumber(setting.DNSTTL, dnssrv.DefaultTTL))
	names := make(map[string]uint32)
	for _, d := range m.Domains {
		if !d.External {
			names[d.Name] = cmp.Or(uint32(d.TTL), ttl)
		}
	}
	if internal := internalDomain(m); internal != "" {
		names[internal] = cmp.Or(names[internal], internalTTL)
	}
	for _, s := range m.Subnets {
		if s.RDNS == ipam.RDNSDisabled {
			continue
		}
		for _, z := range dnssrv.ReverseZones(s.Prefix) {
			names[strings.TrimSuffix(z, ".")] = ttl
		}
		if z := classless(s); z != "" {
			names[z] = ttl
		}
	}
	made, servers := madeUp(m), nameServers(m)
	zones := make([]dnssrv.Zone, 0, len(names))
	for name, ttl := range names {
		zones = append(zones, dnssrv.Zone{Name: name, TTL: ttl, NS: servers, Ranges: made[name]})
	}
	slices.SortFunc(zones, func(a, b dnssrv.Zone) int { return strings.Compare(a.Name, b.Name) })
	return zones
}

// nameServer is the name of the site's DNS servers. It is in a domain that they serve, if one
// exists.
func nameServer(m *inventory.Model) string {
	home := defaultDomain(m)
	if isExternal(m, home) {
		home = cmp.Or(internalDomain(m), home)
	}
	return "ns." + home
}

// isExternal reports whether a domain is served by others.
func isExternal(m *inventory.Model, name string) bool {
	return slices.ContainsFunc(m.Domains, func(d inventory.Domain) bool { return d.Name == name && d.External })
}

// nameServers are the names of the servers of every zone: the site's own, then those that the
// operator says have copies.
func nameServers(m *inventory.Model) []string {
	servers := []string{nameServer(m)}
	for _, s := range m.SettingList(setting.SecondaryNS) {
		if name, err := inventory.DomainName(s); err == nil && !slices.Contains(servers, name) {
			servers = append(servers, name)
		}
	}
	return servers
}

// madeUp gives every address of a dynamic range a name in the default domain, and the way back to
// it in the subnet's reverse zones, without a record each.
func madeUp(m *inventory.Model) map[string][]dnssrv.Range {
	out := make(map[string][]dnssrv.Range)
	if isExternal(m, defaultDomain(m)) {
		return out // a name of such an address would not exist
	}
	for _, r := range m.Ranges {
		s := subnetByID(m, r.SubnetID)
		if r.Type != ipam.RangeDynamic || s == nil || s.Unmanaged {
			continue
		}
		home := defaultDomain(m)
		out[home] = append(out[home], dnssrv.Range{From: r.Start, To: r.End})
		if s.RDNS == ipam.RDNSDisabled {
			continue
		}
		for _, z := range dnssrv.ReverseZones(s.Prefix) {
			z = strings.TrimSuffix(z, ".")
			out[z] = append(out[z], dnssrv.Range{From: r.Start, To: r.End, Domain: home})
		}
	}
	for _, rs := range out {
		slices.SortFunc(rs, func(a, b dnssrv.Range) int { return a.From.Compare(b.From) })
	}
	return out
}

// classless is the zone of a subnet smaller than /24 after RFC 2317 section 4, such as
// "64-26.2.0.192.in-addr.arpa"; "" if the subnet has none.
func classless(s ipam.Subnet) string {
	if s.RDNS != ipam.RDNSRFC2317 || !s.Prefix.Addr().Is4() || s.Prefix.Bits() <= 24 {
		return ""
	}
	b := s.Prefix.Addr().As4()
	return fmt.Sprintf("%d-%d.%d.%d.%d.in-addr.arpa", b[3], s.Prefix.Bits(), b[2], b[1], b[0])
}

// forwarding lets the clients of subnets that may use DNS ask for other names.
func forwarding(m *inventory.Model) dnssrv.Forwarding {
	f := dnssrv.Forwarding{Servers: m.SettingServers(setting.UpstreamDNS), Validation: dnssrv.Validation(m.Settings[setting.DNSSEC])}
	for _, s := range m.Subnets {
		if !s.DenyDNS {
			f.Allow = append(f.Allow, s.Prefix)
		}
	}
	f.Allow = append(f.Allow, m.SettingNetworks(setting.DNSTrustedACL)...)
	for _, d := range m.Domains {
		if d.External && len(d.Forward) > 0 {
			f.Domains = append(f.Domains, dnssrv.DomainForwarding{Name: d.Name, Servers: d.Forward})
		}
	}
	slices.SortFunc(f.Allow, netip.Prefix.Compare)
	f.Allow = slices.Compact(f.Allow)
	return f
}

// dnsAccess holds the rights of other servers and of holders of keys. DNSKeys adds the keys.
func dnsAccess(m *inventory.Model) dnssrv.Access {
	out := dnssrv.Access{Notify: m.SettingServers(setting.DNSNotify)}
	out.Transfer, out.TransferKeys = inventory.SplitTransfer(m.SettingList(setting.DNSTransfer))
	for _, d := range m.Domains {
		if d.External {
			continue
		}
		if len(d.AllowTransfer)+len(d.Notify) > 0 {
			z := dnssrv.ZoneAccess{Zone: d.Name, Notify: d.Notify}
			z.Transfer, z.TransferKeys = inventory.SplitTransfer(d.AllowTransfer)
			out.Zones = append(out.Zones, z)
		}
		for _, g := range d.AllowUpdate {
			out.Update = append(out.Update, dnssrv.UpdateRule{Key: g.Key, Zone: d.Name, Below: inventory.AbsoluteName(g.Name, d.Name), Types: g.Types})
		}
	}
	return out
}
