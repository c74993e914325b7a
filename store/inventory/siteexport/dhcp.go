package siteexport

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go4.org/netipx"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
	"github.com/gomaas/maas/store/inventory/sitedoc"
	"github.com/gomaas/maas/store/inventory/siteimport"
)

// leaseSeconds returns the length of a lease that racks give, of which no document says another
// one. A test compares it with what a plan says.
func leaseSeconds(is4 bool) int {
	if is4 {
		return int(dhcpsrv.DefaultLeaseTime / time.Second)
	}
	return int(3 * dhcpsrv.DefaultLeaseTime / time.Second)
}

// dhcpSite holds the parts that configurations of all DHCP servers have, in the order of writing.
type dhcpSite struct {
	networks []*network
	classes  []*class
	hosts    []*host
	options4 dhcpsrv.Options // of the whole site
	options6 dhcpsrv.Options
}

// network is a link with the subnets on it.
type network struct {
	name    string
	subnets []*subnet
}

type subnet struct {
	prefix  netip.Prefix
	doc     *sitedoc.Subnet
	options dhcpsrv.Options // all that clients get here besides those of the site
	own     dhcpsrv.Options // those of them that other subnets of the network do not have alike
	pools   []pool
	hosts   []*host
	relays  []netip.Addr
	pd      []ipam.PrefixPool
}

// pool is a dynamic range without what is reserved in it.
type pool struct {
	netipx.IPRange
	class   string
	options dhcpsrv.Options
	comment string
}

type class struct {
	dhcpsrv.Class
	doc *sitedoc.Class
}

// host is a client that is known by its MAC address.
type host struct {
	name     string // of the declaration; unique
	node     bool   // of a machine or device, which gets its name from racks
	mac      net.HardwareAddr
	comment  string
	addrs    []netip.Addr
	options4 dhcpsrv.Options
	options6 dhcpsrv.Options
}

func (h *host) in(p netip.Prefix) (out []netip.Addr) {
	for _, a := range h.addrs {
		if p.Contains(a) {
			out = append(out, a)
		}
	}
	return out
}

// dhcp reads the document as a DHCP server serves it, and decides on the fields that all servers
// have alike.
func (p *page) dhcp() *dhcpSite {
	s := &dhcpSite{}
	b := dhcpBuilder{page: p, site: s, byPrefix: map[netip.Prefix]*subnet{}, byMAC: map[string]*host{}, names: map[string]bool{}, reserved: &netipx.IPSetBuilder{}}
	b.subnets()
	b.classes()
	b.hosts()
	b.ranges()
	b.routes()
	b.snippets()
	return s
}

type dhcpBuilder struct {
	*page
	site     *dhcpSite
	byPrefix map[netip.Prefix]*subnet
	byMAC    map[string]*host
	nodes    map[string]*host // hosts of the first interfaces by full name of the node
	names    map[string]bool  // of hosts
	reserved *netipx.IPSetBuilder
}

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
		if domain != "" && is4 {
			s.options = append(s.options, dhcpsrv.TextOption(15, domain), dhcpsrv.DomainsOption(119, search...))
		} else if domain != "" {
			s.options = append(s.options, dhcpsrv.DomainsOption(24, search...))
		}
		if ntp := b.ntp(is4); len(ntp) > 0 {
			s.options = append(s.options, addrOption(map[bool]uint8{true: 42, false: 31}[is4], ntp...))
		}
		v := vlans[d.VLAN]
		if v != nil && v.MTU != 0 && v.MTU != ipam.DefaultMTU {
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

func (b *dhcpBuilder) classes() {
	for i := range b.doc.Classes {
		d := &b.doc.Classes[i]
		c := inventory.Class{Name: d.Name, VendorClass: d.VendorClass, UserClass: d.UserClass, Arch: d.Arch, MACPrefix: d.MACPrefix, CircuitID: d.CircuitID, Ignore: d.Ignore, Options: d.Options}
		k, err := c.DHCP()
		if err != nil {
			b.left("a rack cannot read it: "+err.Error(), &d.Name)
			continue
		}
		b.taken("a class", &d.Name, &d.VendorClass, &d.UserClass, &d.Arch, &d.MACPrefix, &d.CircuitID, &d.Options, &d.Ignore)
		b.changed("the order of the classes; a client of several classes has the options of all", &d.Sequence)
		b.site.classes = append(b.site.classes, &class{k, d})
	}
	slices.SortStableFunc(b.site.classes, func(x, y *class) int { return cmp.Compare(x.doc.Sequence, y.doc.Sequence) })
}

// hosts makes the hosts of machines, devices and reserved IPs. What has the same MAC address is one
// host: a bond and its first interface, or a device and its reserved IP.
func (b *dhcpBuilder) hosts() {
	b.nodes = map[string]*host{}
	for i := range b.doc.Machines {
		m := &b.doc.Machines[i]
		b.node(m.Hostname, m.Domain, m.Description, m.Interfaces, &m.Hostname, &m.Description)
	}
	for i := range b.doc.Devices {
		d := &b.doc.Devices[i]
		b.node(d.Hostname, d.Domain, d.Description, d.Interfaces, &d.Hostname, &d.Description)
	}
	for i := range b.doc.Reserved {
		r := &b.doc.Reserved[i]
		mac, err1 := net.ParseMAC(r.MAC)
		a, err2 := netip.ParseAddr(r.IP)
		if err1 != nil || err2 != nil || b.subnetOf(a) == nil {
			b.left("is no address of a subnet with a MAC address; correct it", &r.IP, &r.MAC, &r.Comment)
			continue
		}
		h := b.byMAC[mac.String()]
		if h == nil {
			name := hostLabel(r.Comment)
			if name == "" || b.names[name] {
				name = "reserved-" + strings.Trim(strings.NewReplacer(".", "-", ":", "-").Replace(a.String()), "-")
			}
			h = b.host(name, mac)
			if h.name == r.Comment {
				b.taken("the name of the host", &r.Comment)
			} else {
				h.comment = r.Comment
				b.changed("a comment of the host, or part of its name", &r.Comment)
			}
		} else {
			b.left("the host has the name of a machine, of a device or of another address", &r.Comment)
		}
		b.fixed(h, a)
		b.taken("a fixed address", &r.IP, &r.MAC)
	}
	for _, h := range b.site.hosts {
		for _, a := range h.addrs {
			s := b.subnetOf(a)
			if len(s.hosts) == 0 || s.hosts[len(s.hosts)-1] != h {
				s.hosts = append(s.hosts, h)
			}
		}
	}
	for i := range b.doc.Addresses { // no client gets what a user has
		x := &b.doc.Addresses[i]
		if a, err := netip.ParseAddr(x.IP); err == nil {
			b.reserved.Add(a)
		}
		b.changed("no pool has it", &x.IP)
	}
}

// node makes the hosts of the interfaces with a MAC address.
func (b *dhcpBuilder) node(hostname, domain, description string, interfaces []sitedoc.Interface, name, comment any) {
	first, wrote := true, false
	for i := range interfaces {
		x := &interfaces[i]
		mac, err := net.ParseMAC(x.MAC)
		if err != nil || len(mac) != 6 {
			b.left("a host is known by the MAC address of its interface", &x.Name)
			continue
		}
		label := hostname
		if !first {
			label += "-" + x.Name
			b.taken("part of the name of the host", &x.Name)
		} else {
			b.left("the host has the name of the machine or device", &x.Name)
		}
		h := b.byMAC[mac.String()]
		if h == nil {
			h = b.host(hostLabel(label), mac)
			h.node = true
			b.taken("a host", &x.MAC)
			if first {
				h.comment, wrote = description, true
			}
		} else {
			b.changed("one host has the addresses of all interfaces with this MAC address", &x.MAC)
			b.left("another interface has the MAC address", &x.Name)
		}
		if first {
			b.nodes[strings.ToLower(fqdn(hostname, b.domainOf(domain)))] = h
		}
		first = false
		for n := range x.Links {
			l := &x.Links[n]
			a, err := netip.ParseAddr(l.IP)
			if err != nil || b.subnetOf(a) == nil {
				b.left("the address is not known before the interface asks for one", &l.Mode, &l.Subnet)
				continue
			}
			b.fixed(h, a)
			b.taken("a fixed address", &l.IP)
			b.left("follows from the address", &l.Mode, &l.Subnet)
		}
	}
	if wrote {
		b.taken("the name of the host", name)
		b.taken("a comment", comment)
		return
	}
	b.left("no host without an interface with a MAC address of its own", name, comment)
}

// domainOf returns a domain by its name, or the default one.
func (p *page) domainOf(name string) string {
	for _, d := range p.doc.Domains {
		if name == "" && d.Default {
			return d.Name
		}
	}
	return name
}

// fqdn is the full name of a host.
func fqdn(hostname, domain string) string { return strings.Trim(hostname+"."+domain, ".") }

// host makes a host with a name that no other one has.
func (b *dhcpBuilder) host(name string, mac net.HardwareAddr) *host {
	base := name
	for n := 2; b.names[name]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	h := &host{name: name, mac: mac}
	b.names[name], b.byMAC[mac.String()] = true, h
	b.site.hosts = append(b.site.hosts, h)
	return h
}

func (b *dhcpBuilder) fixed(h *host, a netip.Addr) {
	b.reserved.Add(a)
	if !slices.Contains(h.addrs, a) {
		h.addrs = append(h.addrs, a)
	}
}

// hostLabel makes a name for a declaration of a text: letters, digits, dashes and dots.
func hostLabel(text string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
			return r
		}
		return '-'
	}, text), "-.")
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

// routes adds static routes as option 121 (RFC 3442): clients that read it ignore routers, so the
// gateway is a route as well.
func (b *dhcpBuilder) routes() {
	routes := map[*subnet][]byte{}
	for i := range b.doc.Routes {
		r := &b.doc.Routes[i]
		from, err1 := netip.ParsePrefix(r.Source)
		to, err2 := netip.ParsePrefix(r.Destination)
		via, err3 := netip.ParseAddr(r.Gateway)
		s := b.byPrefix[from]
		if err1 != nil || err2 != nil || err3 != nil || s == nil || !via.Is4() || !to.Addr().Is4() {
			b.left("DHCP has routes of IPv4 subnets alone", &r.Source, &r.Destination, &r.Gateway, &r.Metric)
			continue
		}
		routes[s] = append(routes[s], routeBytes(to, via)...)
		b.taken("option 121 of the subnet's clients", &r.Source, &r.Destination, &r.Gateway)
		b.left("DHCP has no metric of a route", &r.Metric)
	}
	for s, data := range routes {
		if gateway, err := netip.ParseAddr(s.doc.Gateway); err == nil {
			data = append(data, routeBytes(netip.MustParsePrefix("0.0.0.0/0"), gateway)...)
		}
		s.options = append(s.options, dhcpsrv.Option{Code: 121, Data: data})
	}
}

func routeBytes(to netip.Prefix, via netip.Addr) []byte {
	raw := append([]byte{byte(to.Bits())}, to.Addr().AsSlice()[:(to.Bits()+7)/8]...)
	return append(raw, via.AsSlice()...)
}

// snippets gives options to the places that have them; the later one of two counts.
func (b *dhcpBuilder) snippets() {
	for i := range b.doc.Snippets {
		s := &b.doc.Snippets[i]
		all := []any{&s.Name, &s.Description, &s.Value, &s.Disabled, &s.Machine, &s.Device, &s.Subnet, &s.Range}
		v4, v6, err := inventory.ParseDHCPOptions(s.Value)
		switch {
		case s.Disabled:
			b.left("it is disabled", all...)
			b.changed("nothing is written for it", &s.Disabled)
			continue
		case err != nil:
			b.left("a rack cannot read it: "+err.Error(), all...)
			continue
		}
		b.left("options have no names of their own", &s.Name, &s.Description)
		b.taken("options", &s.Value, &s.Machine, &s.Device, &s.Subnet, &s.Range)
		node := cmp.Or(s.Machine, s.Device)
		switch {
		case node != "":
			h := b.nodes[strings.ToLower(strings.TrimSuffix(node, "."))]
			if h == nil {
				b.left("its machine or device is no host here", all...)
				continue
			}
			h.options4, h.options6 = overlay(h.options4, v4), overlay(h.options6, v6)
		case s.Subnet != "":
			prefix, _ := netip.ParsePrefix(s.Subnet)
			to := b.byPrefix[prefix]
			if to == nil {
				b.left("the document does not have its subnet", all...)
				continue
			}
			to.options = overlay(to.options, ofFamily(prefix.Addr(), v4, v6))
		case s.Range != "":
			b.rangeOptions(s, v4, v6, all)
		default:
			b.site.options4, b.site.options6 = overlay(b.site.options4, v4), overlay(b.site.options6, v6)
		}
	}
}

func (b *dhcpBuilder) rangeOptions(s *sitedoc.Snippet, v4, v6 dhcpsrv.Options, all []any) {
	span, err := netipx.ParseIPRange(s.Range)
	if err == nil {
		if sub := b.subnetOf(span.From()); sub != nil {
			found := false
			for i := range sub.pools {
				if x := &sub.pools[i]; span.Contains(x.From()) {
					x.options, found = overlay(x.options, ofFamily(span.From(), v4, v6)), true
				}
			}
			if found {
				return
			}
		}
	}
	b.left("its range has no pool", all...)
}

func ofFamily(a netip.Addr, v4, v6 dhcpsrv.Options) dhcpsrv.Options {
	if a.Is4() {
		return v4
	}
	return v6
}

// overlay adds options; one with the code of another replaces that one.
func overlay(base, over dhcpsrv.Options) dhcpsrv.Options {
	base = slices.Clone(base)
	for _, o := range over {
		if at := slices.IndexFunc(base, func(have dhcpsrv.Option) bool { return have.Code == o.Code }); at >= 0 {
			base[at] = o
		} else {
			base = append(base, o)
		}
	}
	return base
}

// ofVersion returns the networks with the subnets of a family.
func (s *dhcpSite) ofVersion(is4 bool) (out []*network) {
	for _, n := range s.networks {
		some := &network{name: n.name}
		for _, sub := range n.subnets {
			if sub.prefix.Addr().Is4() == is4 {
				some.subnets = append(some.subnets, sub)
			}
		}
		if len(some.subnets) > 0 {
			out = append(out, some)
		}
	}
	return out
}
