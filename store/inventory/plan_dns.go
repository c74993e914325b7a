package inventory

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/ipam"
)

// DNSPlan is what DNS servers serve.
type DNSPlan struct {
	Zones      []dnssrv.Zone  // in order of name
	Sets       []dnssrv.RRset // in order of name, type and Learned; data sorted
	Forwarding dnssrv.Forwarding
	Access     dnssrv.Access
}

// PlanDNS names everything that has an address. A machine's own name leads to
// the addresses of one interface, its boot interface if that has any; its
// others are <interface>.<name>. Addresses seen in leases count only where no
// other was given, and are marked as learned. Reverse records exist for all
// of them, and a machine's name wins over others. Addresses of dynamic ranges
// have names such as 10-0-3-7 as long as they have no other.
func PlanDNS(m *Model) DNSPlan {
	p := dnsPlan{m: m, sets: make(map[setKey][]string), ptr: make(map[netip.Addr]pointer), ttl: make(map[setKey]uint32), taken: make(map[string]bool)}
	p.makeZones()
	m.eachNode(p.node)
	p.racks()
	p.strays()
	p.records()
	p.reverse()
	return DNSPlan{Zones: p.zones, Sets: p.sorted(), Forwarding: m.forwarding(), Access: m.dnsAccess()}
}

type setKey struct {
	name, kind string
	learned    bool
}

// pointer is where a reverse record leads. A smaller rank wins.
type pointer struct {
	name    string
	rank    int
	learned bool
}

const (
	rankNode = iota
	rankOther
)

type dnsPlan struct {
	m     *Model
	zones []dnssrv.Zone
	sets  map[setKey][]string
	ttl   map[setKey]uint32
	ptr   map[netip.Addr]pointer
	taken map[string]bool // names of nodes
}

// ns is the name of the site's DNS servers.
func (p *dnsPlan) ns() string { return "ns." + p.m.defaultDomain() }

func (p *dnsPlan) makeZones() {
	ttl := uint32(p.m.number(SettingDNSTTL, dnssrv.DefaultTTL))
	names := make(map[string]uint32)
	for _, d := range p.m.Domains {
		if !d.External {
			names[d.Name] = cmp.Or(uint32(d.TTL), ttl)
		}
	}
	for _, s := range p.m.Subnets {
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
	made := p.madeUp()
	servers := p.servers()
	for name, ttl := range names {
		p.zones = append(p.zones, dnssrv.Zone{Name: name, TTL: ttl, NS: servers, Ranges: made[name]})
	}
	slices.SortFunc(p.zones, func(a, b dnssrv.Zone) int { return strings.Compare(a.Name, b.Name) })
}

// servers are the names of the servers of every zone: the site's own, then
// those that the operator says have copies.
func (p *dnsPlan) servers() []string {
	servers := []string{p.ns()}
	for _, s := range p.m.list(SettingSecondaryNS) {
		if name, err := domainName(s); err == nil && !slices.Contains(servers, name) {
			servers = append(servers, name)
		}
	}
	return servers
}

// madeUp gives every address of a dynamic range a name in the default domain,
// and the way back to it in the subnet's reverse zones, without a record each.
func (p *dnsPlan) madeUp() map[string][]dnssrv.Range {
	out := make(map[string][]dnssrv.Range)
	for _, r := range p.m.Ranges {
		s := p.m.subnet(r.SubnetID)
		if r.Type != ipam.RangeDynamic || s == nil || s.Unmanaged {
			continue
		}
		home := p.m.defaultDomain()
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

// classless is the zone of a subnet smaller than /24 after RFC 2317 section 4,
// such as "64-26.2.0.192.in-addr.arpa"; "" if the subnet has none.
func classless(s ipam.Subnet) string {
	if s.RDNS != ipam.RDNSRFC2317 || !s.Prefix.Addr().Is4() || s.Prefix.Bits() <= 24 {
		return ""
	}
	b := s.Prefix.Addr().As4()
	return fmt.Sprintf("%d-%d.%d.%d.%d.in-addr.arpa", b[3], s.Prefix.Bits(), b[2], b[1], b[0])
}

// racks names the racks, and gives the servers' name their addresses on
// subnets whose clients may use them.
func (p *dnsPlan) racks() {
	for _, r := range p.m.Racks {
		host, err := hostName(KindRack, r.Name)
		name := host + "." + p.m.defaultDomain()
		for _, l := range r.Links {
			for _, a := range l.Addrs {
				s := p.subnetOf(a.Addr())
				if s == nil {
					continue
				}
				if !s.DenyDNS {
					p.addAddr(p.ns(), a.Addr(), false)
				}
				if err == nil && !p.taken[name] {
					p.addAddr(name, a.Addr(), false)
					p.addPTR(a.Addr(), name, rankOther, false)
				}
			}
		}
	}
}

func (p *dnsPlan) subnetOf(a netip.Addr) *ipam.Subnet {
	for i := range p.m.Subnets {
		if p.m.Subnets[i].Prefix.Contains(a) {
			return &p.m.Subnets[i]
		}
	}
	return nil
}

func (p *dnsPlan) addAddr(name string, a netip.Addr, learned bool) {
	kind := "AAAA"
	if a.Is4() {
		kind = "A"
	}
	key := setKey{name, kind, learned}
	if text := a.String(); !slices.Contains(p.sets[key], text) {
		p.sets[key] = append(p.sets[key], text)
	}
}

func (p *dnsPlan) addPTR(a netip.Addr, name string, rank int, learned bool) {
	if have, ok := p.ptr[a]; !ok || rank < have.rank {
		p.ptr[a] = pointer{name, rank, learned}
	}
}

// node names the addresses of one machine or device, family by family.
func (p *dnsPlan) node(_, fqdn string, ifaces []Interface) {
	p.taken[fqdn] = true
	for _, is4 := range []bool{true, false} {
		given := false
		for _, i := range ifaces {
			given = given || len(addrsOf(i, is4, false)) > 0
		}
		main := true
		for _, i := range byPreference(ifaces) {
			addrs := addrsOf(i, is4, !given)
			for _, a := range addrs {
				name := fqdn
				if !main {
					name = ifaceLabel(i.Name) + "." + fqdn
				}
				p.addAddr(name, a, !given)
				p.addPTR(a, name, rankNode, !given)
			}
			main = main && len(addrs) == 0
		}
	}
}

// addrsOf returns the addresses of an interface: those given, or those seen.
func addrsOf(i Interface, is4, seen bool) []netip.Addr {
	var out []netip.Addr
	for _, l := range i.Links {
		if l.Addr.IsValid() && l.Addr.Is4() == is4 && (l.Type == ipam.AllocDiscovered) == seen {
			out = append(out, l.Addr)
		}
	}
	return out
}

// byPreference orders interfaces by how well they stand for their node: the
// boot interface, physical ones, then those made of others.
func byPreference(ifaces []Interface) []Interface {
	out := slices.Clone(ifaces)
	rank := func(i Interface) int {
		switch {
		case i.Boot:
			return 0
		case i.Kind == ipam.Physical:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b Interface) int { return cmp.Compare(rank(a), rank(b)) })
	return out
}

// ifaceLabel makes a DNS label of an interface's name.
func ifaceLabel(name string) string {
	l := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return strings.Trim(l, "-")
}

// strays names reserved addresses and clients that are no machines. A name
// that a machine has stays the machine's.
func (p *dnsPlan) strays() {
	for _, s := range p.m.Strays {
		learned := s.Type == ipam.AllocDiscovered
		host := s.Hostname
		if host == "" {
			if s.Type != ipam.AllocUserReserved {
				continue
			}
			host = numbered(s.Addr)
		}
		name := host + "." + p.m.defaultDomain()
		if p.taken[name] {
			continue
		}
		p.addAddr(name, s.Addr, learned)
		p.addPTR(s.Addr, name, rankOther, learned)
	}
}

// numbered is the name of an address that has no other: "10-0-0-7".
func numbered(a netip.Addr) string {
	return strings.Trim(strings.NewReplacer(".", "-", ":", "-").Replace(a.StringExpanded()), "-")
}

// records adds what operators wrote.
func (p *dnsPlan) records() {
	zone := make(map[int64]Domain)
	for _, d := range p.m.Domains {
		zone[d.ID] = d
	}
	for _, r := range p.m.Records {
		d := zone[r.DomainID]
		if d.External || d.Name == "" {
			continue
		}
		name := d.Name
		if r.Name != "@" {
			name = r.Name + "." + d.Name
		}
		key := setKey{name, r.Type, false}
		p.sets[key] = append(p.sets[key], qualified(r, d.Name))
		p.ttl[key] = uint32(r.TTL)
		if a, err := netip.ParseAddr(r.Data); err == nil && (r.Type == "A" || r.Type == "AAAA") {
			p.addPTR(a, name, rankOther, false)
		}
	}
}

// qualified completes a server name of one label with its domain.
func qualified(r DNSRecord, domain string) string {
	switch r.Type {
	case "CNAME", "NS", "MX", "SRV":
		if f := strings.Fields(r.Data); len(f) > 0 && !strings.Contains(f[len(f)-1], ".") {
			return strings.Join(f, " ") + "." + domain
		}
	}
	return r.Data
}

// reverse adds the PTR records of addresses whose subnet has reverse zones.
func (p *dnsPlan) reverse() {
	for a, to := range p.ptr {
		s := p.subnetOf(a)
		if s == nil || s.RDNS == ipam.RDNSDisabled {
			continue
		}
		name := strings.TrimSuffix(dnssrv.PTRName(a), ".")
		if zone := classless(*s); zone != "" {
			own := fmt.Sprintf("%d.%s", a.As4()[3], zone)
			p.sets[setKey{name, "CNAME", false}] = []string{own}
			name = own
		}
		key := setKey{name, "PTR", to.learned}
		p.sets[key] = append(p.sets[key], to.name)
	}
}

func (p *dnsPlan) sorted() []dnssrv.RRset {
	out := make([]dnssrv.RRset, 0, len(p.sets))
	others := make(map[string]bool) // names with records besides a CNAME
	for key := range p.sets {
		others[key.name] = others[key.name] || key.kind != "CNAME"
	}
	for key, data := range p.sets {
		if key.kind == "CNAME" && others[key.name] {
			continue // a CNAME stands alone (RFC 1034 section 3.6.2): a machine took the name since
		}
		slices.Sort(data)
		out = append(out, dnssrv.RRset{Name: key.name, Type: key.kind, TTL: p.ttl[key], Data: slices.Compact(data), Learned: key.learned})
	}
	slices.SortFunc(out, func(a, b dnssrv.RRset) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Type, b.Type), cmp.Compare(btoi(a.Learned), btoi(b.Learned)))
	})
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// forwarding lets the clients of subnets that may use DNS ask for other names.
func (m *Model) forwarding() dnssrv.Forwarding {
	f := dnssrv.Forwarding{Servers: m.servers(SettingUpstreamDNS), Validation: dnssrv.Validation(m.Settings[SettingDNSSEC])}
	for _, s := range m.Subnets {
		if !s.DenyDNS {
			f.Allow = append(f.Allow, s.Prefix)
		}
	}
	f.Allow = append(f.Allow, m.networks(SettingDNSTrustedACL)...)
	for _, d := range m.Domains {
		if d.External && len(d.Forward) > 0 {
			f.Domains = append(f.Domains, dnssrv.DomainForwarding{Name: d.Name, Servers: d.Forward})
		}
	}
	slices.SortFunc(f.Allow, netip.Prefix.Compare)
	f.Allow = slices.Compact(f.Allow)
	return f
}

// dnsAccess is what secondaries elsewhere may do.
func (m *Model) dnsAccess() dnssrv.Access {
	return dnssrv.Access{Transfer: m.networks(SettingDNSTransfer), Notify: m.servers(SettingDNSNotify)}
}
