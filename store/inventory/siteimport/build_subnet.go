package siteimport

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go4.org/netipx"

	"github.com/gomaas/maas/store/inventory/sitedoc"
)

// subnetDecl is a subnet with what is in it.
type subnetDecl struct {
	prefix netip.Prefix
	doc    sitedoc.Subnet
	at     *scope
	ranges []*rangeDecl
	taken  []netip.Addr // reserved addresses, and the gateway
	lease  int64        // length of leases in seconds; 0 = the site's
	macs   map[string]bool
}

// rangeDecl is a range with the pool that it is in, if any.
type rangeDecl struct {
	netipx.IPRange
	at   *scope
	item int
}

// poolDecl holds what a pool says about its clients.
type poolDecl struct {
	at     *scope
	class  string
	permit int      // item of the permit by class
	denied []denial // classes whose clients get no address of the pool
}

// denial is a statement that keeps the clients of a class from a pool.
type denial struct {
	class, text string
	item        int
}

// finishDenials keeps denials of classes that have ranges of their own in the subnet: ranges
// without a class give their clients no address. Other pools are closed.
func (b *builder) finishDenials() {
	for _, p := range b.pools {
		for _, d := range p.denied {
			own := slices.ContainsFunc(b.pools, func(x *poolDecl) bool {
				return x.class == d.class && x.at.closed == "" && x.at.subnet == p.at.subnet
			})
			if own && p.class == "" {
				b.settle(d.item, Taken, "DHCP class %s has ranges of its own here, which its clients get alone", d.class)
				continue
			}
			p.at.closed = d.text
			b.settle(d.item, LeftOut, "%s", closes)
		}
	}
}

// closes is the reason of permits without a counterpart.
const closes = "has no counterpart; the ranges of the pool are reserved, and give no addresses until you change that"

// closedBy returns the permit of a scope or around it that is not kept, so that ranges give no
// addresses; "" = none.
func (in *scope) closedBy() string {
	for ; in != nil; in = in.parent {
		if in.closed != "" {
			return in.closed
		}
	}
	return ""
}

// subnetOf returns the declared subnet of an address; nil = none.
func (b *builder) subnetOf(a netip.Addr) *subnetDecl {
	for bits := a.BitLen(); bits > 0; bits-- {
		if s := b.byCIDR[netip.PrefixFrom(a, bits).Masked()]; s != nil {
			return s
		}
	}
	return nil
}

// perSubnet are options of the whole site that every subnet gets: these have a field there, or a
// plan gives subnets a value of its own, before which one of the site does not count.
var perSubnet = []string{"routers", "domain-name-servers", "dhcp6.name-servers", "domain-name", "domain-search", "ntp-servers", "interface-mtu", "dhcp6.domain-search"}

func (b *builder) finishSubnets() {
	doc := &b.out.Document
	linked := map[string]bool{}
	for _, s := range b.subnets {
		options := s.at.inherited("")
		is6 := s.prefix.Addr().Is6()
		for _, o := range b.site.options {
			if slices.Contains(perSubnet, o.name) &&
				!slices.ContainsFunc(options, func(x option) bool { return x.name == o.name }) {
				options = append(options, o)
			}
		}
		options = b.gateway(s, ofFamily(options, is6))
		options = b.resolvers(s, options)
		b.snippet(sitedoc.Snippet{Name: b.kind + " " + s.doc.CIDR, Subnet: s.doc.CIDR, Value: leaseTimeLine(s.lease)}, options)
		doc.Subnets = append(doc.Subnets, s.doc)
		b.finishRanges(s)
		if fabric, untagged := strings.CutSuffix(s.doc.VLAN, "/0"); untagged && !linked[fabric] {
			linked[fabric] = true
			doc.VLANs = append(doc.VLANs, sitedoc.VLAN{Fabric: fabric, VID: 0, Name: "untagged"})
		}
	}
}

// gateway takes the router out of the options of a subnet.
func (b *builder) gateway(s *subnetDecl, options []option) []option {
	rest, routers, item := take(options, "routers")
	if routers == nil {
		return options
	}
	gateway, err := netip.ParseAddr(routers[0])
	switch {
	case err != nil || !s.prefix.Contains(gateway) || gateway == s.prefix.Addr() || gateway == netipx.PrefixLastIP(s.prefix):
		outcome := LeftOut
		if b.out.Report[item].Outcome != LeftOut {
			outcome = Changed // it is the gateway of another subnet
		}
		b.settle(item, outcome, "%s is not a host of %s, which gets no gateway; correct it", routers[0], s.prefix)
		return rest
	case len(routers) > 1:
		b.settle(item, Changed, "gateway %s of its subnets; a subnet has one", gateway)
	default:
		b.settle(item, Taken, "gateway of subnet %s", s.prefix)
	}
	s.doc.Gateway, s.taken = gateway.String(), append(s.taken, gateway)
	return rest
}

// resolvers takes the DNS servers out of the options of a subnet.
func (b *builder) resolvers(s *subnetDecl, options []option) []option {
	s.doc.DenyDNS = b.noDNS
	for _, name := range []string{"domain-name-servers", "dhcp6.name-servers"} {
		rest, servers, item := take(options, name)
		if servers == nil {
			continue
		}
		options = rest
		// A rack is the first DNS server of its clients unless a subnet denies that: names must
		// resolve as they did, until an operator changes it.
		s.doc.DNSServers, s.doc.DenyDNS = servers, true
		for _, text := range servers { // no range has them
			if a, err := netip.ParseAddr(text); err == nil && s.prefix.Contains(a) {
				s.taken = append(s.taken, a)
			}
		}
		b.settle(item, Taken, "DNS servers of subnet %s, whose clients have these alone", s.prefix)
	}
	return options
}

// finishRanges makes the ranges of a subnet. A rack gives no address of a dynamic range to a host
// that it is reserved for, so those in a range split it.
func (b *builder) finishRanges(s *subnetDecl) {
	slices.SortFunc(s.ranges, func(a, b *rangeDecl) int { return a.From().Compare(b.From()) })
	slices.SortFunc(s.taken, netip.Addr.Compare)
	for _, r := range s.ranges {
		doc := sitedoc.Range{Type: "dynamic"}
		outcome, why := Taken, "dynamic range"
		if closed := r.at.closedBy(); closed != "" {
			outcome, why = Changed, "reserved range, which gives no addresses: "+closed+" has no counterpart"
			doc.Type, doc.Comment = "reserved", clip(b.kind+": "+closed)
		} else if r.at.pool != nil {
			doc.Class = r.at.pool.class
		}
		var set netipx.IPSetBuilder
		set.AddRange(r.IPRange)
		for _, a := range edges(s.prefix) {
			set.Remove(a)
		}
		if doc.Type == "dynamic" {
			from, _ := slices.BinarySearchFunc(s.taken, r.From(), netip.Addr.Compare)
			for _, a := range s.taken[from:] {
				if r.To().Less(a) {
					break
				}
				set.Remove(a)
			}
		}
		left, _ := set.IPSet()
		parts := left.Ranges()
		if len(parts) != 1 || parts[0] != r.IPRange {
			outcome = Changed
			why += ", without the network's own and the reserved addresses"
		}
		if doc.Type == "dynamic" && s.prefix.Addr().Is6() {
			parts, outcome, why = largeParts(parts, outcome, why)
		}
		b.settle(r.item, outcome, "%s", why)
		for _, part := range parts {
			doc.Start, doc.End = part.From().String(), part.To().String()
			b.out.Document.Ranges = append(b.out.Document.Ranges, doc)
			if r.at.pool != nil && doc.Type == "dynamic" {
				place := doc.Start + "-" + doc.End
				options := r.at.inherited("subnet", "shared-network", "")
				b.snippet(sitedoc.Snippet{Name: b.kind + " " + place, Range: place}, ofFamily(options, s.prefix.Addr().Is6()))
			}
		}
	}
}

// largeParts returns the parts of a range that can be dynamic ranges of IPv6, as MAAS has it: those
// of 256 addresses and more.
func largeParts(parts []netipx.IPRange, outcome Outcome, why string) ([]netipx.IPRange, Outcome, string) {
	large := slices.DeleteFunc(slices.Clone(parts), func(r netipx.IPRange) bool {
		last := r.From().As16()
		n := binary.BigEndian.Uint64(last[8:])
		if n+255 < n {
			return true // it ends with the prefix
		}
		binary.BigEndian.PutUint64(last[8:], n+255)
		return r.To().Less(netip.AddrFrom16(last))
	})
	const least = "a dynamic range of IPv6 has at least 256 addresses; make it larger"
	switch {
	case len(large) == 0:
		return nil, LeftOut, least
	case len(large) < len(parts):
		return large, Changed, why + "; a part of it is left out, since " + least
	}
	return large, outcome, why
}

// edges are the addresses of a prefix that no host has: the first one and, of IPv4, the last one
// (RFC 3021: not of pairs).
func edges(p netip.Prefix) []netip.Addr {
	switch {
	case p.Bits() >= p.Addr().BitLen()-1:
		return nil
	case p.Addr().Is6():
		return []netip.Addr{p.Addr()}
	}
	return []netip.Addr{p.Addr(), netipx.PrefixLastIP(p)}
}

// addSubnet declares a subnet on the fabric of the shared network around it, or on one of its own,
// and returns its scope, or why there is none.
func (b *builder) addSubnet(p netip.Prefix, in *scope) (at *scope, why string) {
	switch {
	case !p.IsValid():
		return nil, "is not a network; correct it"
	case p != p.Masked():
		return nil, "has host bits set; write " + p.Masked().Addr().String()
	case b.byCIDR[p] != nil:
		return nil, "the subnet is there already"
	case p.Bits() == 0:
		return nil, "a subnet of all addresses has no counterpart"
	}
	sub := &subnetDecl{prefix: p, doc: sitedoc.Subnet{CIDR: p.String()}, macs: map[string]bool{}}
	link := ""
	for up := in; up != nil && link == ""; up = up.parent {
		if up.kind == "shared-network" {
			link = up.name
		}
	}
	if link == "" {
		link = b.link(strings.NewReplacer("/", "-", ".", "-", ":", "-").Replace("net-" + p.String()))
	}
	sub.doc.VLAN = link + "/0"
	sub.at = &scope{parent: in, kind: "subnet", name: link, subnet: sub}
	b.subnets, b.byCIDR[p] = append(b.subnets, sub), sub
	return sub.at, ""
}

// addRange declares a range of addresses in a subnet, or in the subnet that has them: pools of a
// shared network are outside of its subnets.
func (b *builder) addRange(p place, r netipx.IPRange, in *scope) {
	sub := in.subnet
	if sub == nil && r.IsValid() {
		sub = b.subnetOf(r.From())
	}
	switch {
	case !r.IsValid():
		b.put(p, LeftOut, "is not a range of addresses; correct it")
	case sub == nil || !sub.prefix.Contains(r.From()) || !sub.prefix.Contains(r.To()):
		b.put(p, LeftOut, "lies in no declared subnet; correct it")
	case slices.ContainsFunc(sub.ranges, func(have *rangeDecl) bool { return have.Overlaps(r) }):
		b.put(p, LeftOut, "overlaps another range; correct one")
	default:
		sub.ranges = append(sub.ranges, &rangeDecl{IPRange: r, at: in, item: b.put(p, Taken, "")})
	}
}

// parseRange reads FIRST-LAST with any space around the dash, a prefix, or one address.
func parseRange(text string) (r netipx.IPRange) {
	if p, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
		return netipx.RangeOfPrefix(p.Masked())
	}
	first, last, two := strings.Cut(text, "-")
	if !two {
		last = first
	}
	from, _ := netip.ParseAddr(strings.TrimSpace(first))
	to, _ := netip.ParseAddr(strings.TrimSpace(last))
	return netipx.IPRangeFrom(from, to)
}

// addDelegated declares the prefixes of a range that routers of a subnet get, with the length of
// each.
func (b *builder) addDelegated(p place, r netipx.IPRange, bits string, in *scope) {
	n, err := strconv.Atoi(bits)
	sub := in.subnet
	switch {
	case !r.IsValid() || !r.From().Is6() || err != nil || n < 8 || n > 128:
		b.put(p, LeftOut, "is not a range of prefixes; correct it")
		return
	case sub == nil:
		b.put(p, LeftOut, "delegated prefixes need the subnet of the router: see delegated_prefixes of a subnet")
		return
	}
	if n < 128 { // the last prefix is written by its first address
		r = netipx.IPRangeFrom(r.From(), netipx.PrefixLastIP(netip.PrefixFrom(r.To(), n)))
	}
	var kept []string
	for _, whole := range r.Prefixes() {
		if whole.Bits() > n {
			b.put(p, LeftOut, "does not begin and end at prefixes of %d bits; correct it", n)
			return
		}
		kept = append(kept, fmt.Sprintf("%s-%d", whole, n))
	}
	sub.doc.Delegated = append(sub.doc.Delegated, kept...)
	b.put(p, Taken, "delegated prefixes of subnet %s", sub.prefix)
}

// setVLAN puts a subnet on a tagged VLAN of its fabric, and reports whether it was on another one.
func (b *builder) setVLAN(s *subnetDecl, vid int) bool {
	fabric, _, _ := strings.Cut(s.doc.VLAN, "/")
	ref := fmt.Sprintf("%s/%d", fabric, vid)
	if ref == s.doc.VLAN {
		return false
	}
	s.doc.VLAN = ref
	if vid != 0 && !slices.ContainsFunc(b.out.Document.VLANs, func(v sitedoc.VLAN) bool { return v.Fabric == fabric && v.VID == vid }) {
		b.out.Document.VLANs = append(b.out.Document.VLANs, sitedoc.VLAN{Fabric: fabric, VID: vid})
	}
	return true
}
