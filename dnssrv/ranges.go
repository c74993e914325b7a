package dnssrv

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// A Range of addresses, of any size, whose names exist without being stored: 10.0.3.7 is "10-0-3-7"
// and 2001:db8::7 is "2001-0db8-0000-0000-0000-0000-0000-0007", in Domain. A forward zone answers A
// or AAAA for the names when it is named Domain; a reverse zone answers PTR for the addresses. A
// name that has records of its own is not made up.
type Range struct {
	From netip.Addr `json:"from"`
	// To is the last address, of the same family.
	To netip.Addr `json:"to"`
	// Domain holds the names. Empty means the zone itself, which is only right for forward zones.
	Domain string `json:"domain,omitempty"`
}

// ranges are in order and do not overlap, with canonical domains.
type ranges []Range

func newRanges(z Zone, name string) (ranges, error) {
	var out ranges
	for _, r := range z.Ranges {
		if !r.From.IsValid() || r.From.Zone() != "" || r.From.BitLen() != r.To.BitLen() || r.To.Less(r.From) {
			return nil, fmt.Errorf("dnssrv: zone %s: %s to %s is not a range of addresses", z.Name, r.From, r.To)
		}
		domain := name
		if r.Domain != "" {
			var err error
			if domain, err = canonical(r.Domain); err != nil {
				return nil, fmt.Errorf("dnssrv: zone %s: range %s: %w", z.Name, r.From, err)
			}
		}
		out = append(out, Range{From: r.From, To: r.To, Domain: domain})
	}
	slices.SortFunc(out, func(a, b Range) int { return a.From.Compare(b.From) })
	for i := 1; i < len(out); i++ {
		if !out[i-1].To.Less(out[i].From) {
			return nil, fmt.Errorf("dnssrv: zone %s: the ranges at %s and %s overlap", z.Name, out[i-1].From, out[i].From)
		}
	}
	return out, nil
}

// overlap returns the first range that has an address between two.
func (rs ranges) overlap(from, to netip.Addr) (Range, bool) {
	i, _ := slices.BinarySearchFunc(rs, from, func(r Range, a netip.Addr) int { return r.To.Compare(a) })
	if i < len(rs) && rs[i].From.BitLen() == from.BitLen() && !to.Less(rs[i].From) {
		return rs[i], true
	}
	return Range{}, false
}

// madeUpLabel is the label of an address in a range.
func madeUpLabel(a netip.Addr) string {
	return strings.NewReplacer(".", "-", ":", "-").Replace(a.StringExpanded())
}

// addrOfLabel is the opposite of madeUpLabel.
func addrOfLabel(label string) (netip.Addr, bool) {
	sep := "."
	// The long form has seven separators; a short one such as "--1" would be ambiguous.
	if strings.Count(label, "-") == 7 {
		sep = ":"
	}
	a, err := netip.ParseAddr(strings.ReplaceAll(label, "-", sep))
	// Each address has one name: 10-0-3-07 and other spellings do not exist.
	return a, err == nil && madeUpLabel(a) == label
}

// synthesise answers for a name without node that a range makes exist. It returns false when none
// does.
func (z *zoneData) synthesise(m *dns.Msg, name string, qtype uint16) bool {
	if len(z.ranges) == 0 {
		return false
	}
	rr, exists := z.ofRange(name)
	switch {
	case !exists:
		return false
	case rr != nil && rr.Header().Rrtype == qtype:
		m.Answer = append(m.Answer, rr)
	case rr != nil && qtype == dns.TypeANY:
		m.Answer = append(m.Answer, &dns.HINFO{Hdr: header(name, dns.TypeHINFO, z.ttl), Cpu: "RFC8482"})
	default:
		m.Ns = append(m.Ns, z.soa)
	}
	return true
}

// ofRange returns the record that a range gives a name, nil for a name that only has such names
// below it.
func (z *zoneData) ofRange(name string) (rr dns.RR, exists bool) {
	if label, ok := strings.CutSuffix(name, "."+z.name); ok {
		if addr, ok := addrOfLabel(label); ok {
			if r, ok := z.ranges.overlap(addr, addr); ok && r.Domain == z.name {
				return addressRecord(name, addr, z.ttl), true
			}
		}
	}
	prefix, ok := parseReverse(name)
	if !ok {
		return nil, false
	}
	r, ok := z.ranges.overlap(prefix.Addr(), lastAddr(prefix))
	if !ok || r.Domain == z.name {
		return nil, false
	}
	// A name above the addresses exists without records: NODATA, not NXDOMAIN (RFC 8020).
	if !prefix.IsSingleIP() {
		return nil, true
	}
	target := madeUpLabel(prefix.Addr()) + "." + r.Domain
	return &dns.PTR{Hdr: header(name, dns.TypePTR, z.ttl), Ptr: target}, true
}

func addressRecord(name string, addr netip.Addr, ttl uint32) dns.RR {
	if addr.Is4() {
		return &dns.A{Hdr: header(name, dns.TypeA, ttl), A: addr.AsSlice()}
	}
	return &dns.AAAA{Hdr: header(name, dns.TypeAAAA, ttl), AAAA: addr.AsSlice()}
}

// parseReverse is the prefix whose reverse name this is: whole octets of IPv4 or nibbles of IPv6.
func parseReverse(name string) (netip.Prefix, bool) {
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		return parseReverseLabels(strings.Split(rest, "."), make([]byte, 4), 8, 10)
	}
	if rest, ok := strings.CutSuffix(name, ".ip6.arpa."); ok {
		return parseReverseLabels(strings.Split(rest, "."), make([]byte, 16), 4, 16)
	}
	return netip.Prefix{}, false
}

func parseReverseLabels(labels []string, addr []byte, unit, base int) (netip.Prefix, bool) {
	if len(labels)*unit > len(addr)*8 {
		return netip.Prefix{}, false
	}
	slices.Reverse(labels)
	for i, label := range labels {
		v, err := strconv.ParseUint(label, base, unit)
		// Leading zeros would give one address several reverse names.
		if err != nil || label != strconv.FormatUint(v, base) {
			return netip.Prefix{}, false
		}
		at := i * unit
		// Nibbles fill the high half of an octet first.
		addr[at/8] |= byte(v) << (8 - unit - at%8)
	}
	a, _ := netip.AddrFromSlice(addr)
	return netip.PrefixFrom(a, len(labels)*unit), true
}

// lastAddr is the highest address of a prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
