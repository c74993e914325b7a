package siteexport

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory/setting"
	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

func (b *dhcpBuilder) subnets() {
	vlans := map[string]*sitedoc.VLAN{}
	for i := range b.doc.VLANs {
		v := &b.doc.VLANs[i]
		vlans[fmt.Sprintf("%s/%d", v.Fabric, v.VID)] = v
		b.left("a server answers where it has an interface: list the interfaces of its VLANs", &v.DHCP, &v.DHCPMode)
		b.changed("the shared network has the name of its VLAN", &v.Fabric, &v.VID)
	}
	byName := map[string]*network{}
	domain, search := b.domain()
	for i := range b.doc.Subnets {
		d := &b.doc.Subnets[i]
		prefix, err := netip.ParsePrefix(d.CIDR)
		if err != nil || prefix != prefix.Masked() {
			b.left("is not a network; correct it", &d.CIDR)
			continue
		}
		is4 := prefix.Addr().Is4()
		s := &subnet{prefix: prefix, doc: d}
		link := linkName(d.VLAN)
		n := byName[link]
		if n == nil {
			n = &network{name: link}
			byName[link] = n
			b.site.networks = append(b.site.networks, n)
		}
		n.subnets, b.byPrefix[prefix] = append(n.subnets, s), s
		b.taken("a subnet", &d.CIDR)
		b.taken("shared network "+link, &d.VLAN)
		b.gateway(s)
		if dns := addrsOf(d.DNSServers, is4); len(dns) > 0 {
			s.options = append(s.options, addrOption(map[bool]uint8{true: 6, false: 23}[is4], dns...))
			if b.taken("DNS servers of its clients", &d.DNSServers); !d.DenyDNS {
				b.changed("DNS servers of its clients, which asked the racks first; put another server before them if it has the names of the site", &d.DNSServers)
			}
		}
		b.changed("clients get dns_servers alone, with and without it", &d.DenyDNS)
		b.changed("no pool is written", &d.Unmanaged)
		b.siteOptions(s, domain, search)
		if v := vlans[d.VLAN]; v != nil && v.MTU != 0 && v.MTU != ipam.DefaultMTU {
			if b.taken("option interface-mtu", &v.MTU); is4 {
				s.options = append(s.options, dhcpsrv.Option{Code: 26, Data: []byte{byte(v.MTU >> 8), byte(v.MTU)}})
			}
		}
		for _, text := range d.Relays {
			if a, err := netip.ParseAddr(text); err == nil {
				s.relays = append(s.relays, a)
			}
		}
		for _, text := range d.Delegated {
			var pd ipam.PrefixPool
			if err := pd.UnmarshalText([]byte(text)); err == nil {
				s.pd = append(s.pd, pd)
			}
		}
	}
	for i := range b.doc.VLANs {
		v := &b.doc.VLANs[i]
		if v.MTU == ipam.DefaultMTU {
			b.left("clients assume it without the option", &v.MTU)
		}
	}
}

// siteOptions adds what all clients of the site are given: its domain, search list and time
// servers.
func (b *dhcpBuilder) siteOptions(s *subnet, domain string, search []string) {
	is4 := s.prefix.Addr().Is4()
	if domain != "" && is4 {
		s.options = append(s.options, dhcpsrv.TextOption(15, domain), dhcpsrv.DomainsOption(119, search...))
	} else if domain != "" {
		s.options = append(s.options, dhcpsrv.DomainsOption(24, search...))
	}
	if ntp := b.ntp(is4); len(ntp) > 0 {
		s.options = append(s.options, addrOption(map[bool]uint8{true: 42, false: 31}[is4], ntp...))
	}
}

// linkName is the name of the shared network of a VLAN: its fabric, with the tag if it has one.
func linkName(vlan string) string {
	fabric, untagged := strings.CutSuffix(vlan, "/0")
	if untagged {
		return fabric
	}
	return strings.ReplaceAll(vlan, "/", "-")
}

func (b *dhcpBuilder) gateway(s *subnet) {
	a, err := netip.ParseAddr(s.doc.Gateway)
	switch {
	case err != nil:
	case a.Is4():
		s.options = append(s.options, addrOption(3, a))
		b.reserved.Add(a)
		b.taken("the router of its clients", &s.doc.Gateway)
	default:
		b.left("clients of IPv6 learn routers from router advertisements", &s.doc.Gateway)
	}
}

// domain returns the domain of clients and their search list.
func (b *dhcpBuilder) domain() (domain string, search []string) {
	for i := range b.doc.Domains {
		d := &b.doc.Domains[i]
		switch {
		case d.External:
			b.changed("clients do not search it", &d.Name, &d.External)
		case d.Default:
			domain = d.Name
			b.taken("the domain of clients", &d.Name, &d.Default)
		default:
			search = append(search, d.Name)
			b.taken("in the search list of clients", &d.Name)
		}
	}
	if domain == "" { // without one, clients have no domain to search first
		for i := range b.doc.Domains {
			b.changed("the document has no default domain, so that clients get none", &b.doc.Domains[i].Name)
		}
		return "", nil
	}
	slices.Sort(search)
	return domain, append([]string{domain}, search...)
}

// addrOption writes addresses of either family.
func addrOption(code uint8, addrs ...netip.Addr) (o dhcpsrv.Option) {
	for _, a := range addrs {
		o.Data = append(o.Data, a.AsSlice()...)
	}
	o.Code = code
	return o
}

func (b *dhcpBuilder) ntp(is4 bool) []netip.Addr {
	return addrsOf(listOf(b.setting(setting.NTPServers, siteimport.Taken, "NTP servers of clients")), is4)
}

// listOf cuts the value of a setting that is a list.
func listOf(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}

func addrsOf(texts []string, is4 bool) (out []netip.Addr) {
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil && a.Is4() == is4 && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// subnetOf returns the subnet of an address; nil = none.
func (b *dhcpBuilder) subnetOf(a netip.Addr) *subnet {
	for bits := a.BitLen(); bits > 0; bits-- {
		if s := b.byPrefix[netip.PrefixFrom(a, bits).Masked()]; s != nil {
			return s
		}
	}
	return nil
}

// ranges makes pools of dynamic ranges. Other servers give an address of a pool to whichever client
// asks first, so pools are without what is reserved.
func (b *dhcpBuilder) ranges() {
	var dynamic []*sitedoc.Range
	for i := range b.doc.Ranges {
		r := &b.doc.Ranges[i]
		if r.Type == "dynamic" {
			dynamic = append(dynamic, r)
			continue
		}
		if span := spanOf(r); span.IsValid() {
			b.reserved.AddRange(span)
		}
		b.changed("no pool has its addresses", &r.Type, &r.Start, &r.End)
		b.left("nothing is written for a reserved range", &r.Comment, &r.Class)
	}
	out, _ := b.reserved.IPSet()
	for _, r := range dynamic {
		span := spanOf(r)
		s := (*subnet)(nil)
		if span.IsValid() {
			s = b.subnetOf(span.From())
		}
		if s == nil {
			b.left("lies in no subnet; correct it", &r.Type, &r.Start, &r.End, &r.Comment, &r.Class)
			continue
		}
		if s.doc.Unmanaged {
			b.left("racks give no addresses of an unmanaged subnet", &r.Type, &r.Start, &r.End, &r.Comment, &r.Class)
			continue
		}
		if r.Class != "" && !slices.ContainsFunc(b.site.classes, func(c *class) bool { return c.doc.Name == r.Class }) {
			b.left("its class is left out, and all clients would get its addresses", &r.Type, &r.Start, &r.End, &r.Comment, &r.Class)
			continue
		}
		var left netipx.IPSetBuilder
		left.AddRange(span)
		left.RemoveSet(out)
		set, _ := left.IPSet()
		parts := set.Ranges()
		for _, part := range parts {
			s.pools = append(s.pools, pool{part, r.Class, nil, r.Comment})
		}
		b.taken("a pool", &r.Type, &r.Start, &r.End)
		if len(parts) != 1 || parts[0] != span {
			b.changed("pools without the reserved addresses", &r.Type, &r.Start, &r.End)
		}
		b.taken("the pool is for the class alone", &r.Class)
		b.taken("a comment", &r.Comment)
	}
	for _, s := range b.byPrefix {
		slices.SortFunc(s.pools, func(x, y pool) int { return x.From().Compare(y.From()) })
	}
}

func spanOf(r *sitedoc.Range) netipx.IPRange {
	first, _ := netip.ParseAddr(r.Start)
	last, _ := netip.ParseAddr(r.End)
	return netipx.IPRangeFrom(first, last)
}
