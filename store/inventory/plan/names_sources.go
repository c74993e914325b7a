package plan

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// The names that each part of a site wants.

// node names the addresses of one machine or device, family by family.
func (p *NamePlanner) node(t touched, back bool, id int64, fqdn string, ifaces []inventory.Interface) {
	c := claimant{p, t, source{fromNode, id}, back, ""}
	t.names[fqdn] = true
	if back {
		p.at(fqdn).nodes--
	} else {
		p.at(fqdn).nodes++
	}
	p.at(fqdn).holder = nil
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
				c.addr(name, a, !given)
				c.pointer(a, pointer{name: name, rank: rankNode, learned: !given})
			}
			main = main && len(addrs) == 0
		}
	}
}

// rack names a rack, and gives the servers' name its addresses on subnets whose clients may use
// them.
func (p *NamePlanner) rack(t touched, r *inventory.Rack) {
	own := claimant{p, t, source{fromRack, r.ID}, false, ""}
	service := claimant{p, t, source{fromService, 0}, false, ""}
	host, err := inventory.HostName(kinds.Rack, r.Name)
	name := host + "." + p.home
	for _, l := range r.Links {
		for _, a := range l.Addrs {
			s := p.subnets.of(a.Addr())
			if s == nil {
				continue
			}
			if !s.DenyDNS {
				service.addr(p.server, a.Addr(), false)
			}
			if err == nil {
				own.addr(name, a.Addr(), false)
				own.pointer(a.Addr(), pointer{name: name, rank: rankOther})
			}
		}
	}
}

// orphan names a reserved address, or a client that is no machine.
func (p *NamePlanner) orphan(t touched, back bool, s *inventory.Orphan) {
	host := s.Hostname
	if host == "" {
		if s.Type != ipam.AllocUserReserved {
			return
		}
		host = numbered(s.Addr)
	}
	c := claimant{p, t, source{fromReserved, s.ID}, back, s.Owner}
	name, learned := host+"."+p.home, s.Type == ipam.AllocDiscovered
	if learned { // by the rule of the racks, which name their leases before the region knows them
		if name = dhcpsrv.ClientName(s.Hostname, p.home); name == "" {
			return
		}
		c.from.class, c.owner = fromLease, ""
	}
	c.addr(name, s.Addr, learned)
	c.pointer(s.Addr, pointer{name: name, rank: rankOther, learned: learned})
}

var dashes = strings.NewReplacer(".", "-", ":", "-")

// numbered is the name of an address that has no other: "10-0-0-7".
func numbered(a netip.Addr) string { return strings.Trim(dashes.Replace(a.StringExpanded()), "-") }

// record adds what an operator wrote.
func (p *NamePlanner) record(t touched, back bool, r *inventory.DNSRecord) {
	d := p.domains[r.DomainID]
	if d.External || d.Name == "" {
		return
	}
	c := claimant{p, t, source{fromRecord, r.ID}, back, ""}
	name := inventory.AbsoluteName(r.Name, d.Name)
	c.set(name, claim{kind: r.Type, data: inventory.QualifiedData(*r, d.Name), ttl: uint32(r.TTL)})
	wildcard := strings.HasPrefix(r.Name, "*") // that is no host's name
	if a, err := netip.ParseAddr(r.Data); err == nil && !wildcard && (r.Type == "A" || r.Type == "AAAA") {
		c.pointer(a, pointer{name: name, rank: rankOther})
	}
}

// addrsOf returns the addresses of an interface: those given, or those seen.
func addrsOf(i inventory.Interface, is4, seen bool) []netip.Addr {
	var out []netip.Addr
	for _, l := range i.Links {
		if l.Addr.IsValid() && l.Addr.Is4() == is4 && (l.Type == ipam.AllocDiscovered) == seen {
			out = append(out, l.Addr)
		}
	}
	return out
}

// byPreference orders interfaces by how well they represent their node: the boot interface,
// physical ones, then interfaces made of others.
func byPreference(ifaces []inventory.Interface) []inventory.Interface {
	out := slices.Clone(ifaces)
	rank := func(i inventory.Interface) int {
		switch {
		case i.Boot:
			return 0
		case i.Kind == ipam.Physical:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(out, func(a, b inventory.Interface) int { return cmp.Compare(rank(a), rank(b)) })
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

// prefixIndex finds the subnet of an address without going through all.
type prefixIndex struct {
	bits     []int // the lengths there are, longest first
	byPrefix map[netip.Prefix]*ipam.Subnet
}

func indexSubnets(subnets []ipam.Subnet) prefixIndex {
	x := prefixIndex{byPrefix: make(map[netip.Prefix]*ipam.Subnet, len(subnets))}
	for i := range subnets {
		p := subnets[i].Prefix
		x.byPrefix[p] = &subnets[i]
		if !slices.Contains(x.bits, p.Bits()) {
			x.bits = append(x.bits, p.Bits())
		}
	}
	slices.SortFunc(x.bits, func(a, b int) int { return b - a })
	return x
}

// of returns the smallest subnet that has the address; nil if none has.
func (x prefixIndex) of(a netip.Addr) *ipam.Subnet {
	for _, bits := range x.bits {
		if p, err := a.Prefix(bits); err == nil {
			if s := x.byPrefix[p]; s != nil {
				return s
			}
		}
	}
	return nil
}
