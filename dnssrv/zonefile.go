package dnssrv

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// ParseZone reads a zone file (RFC 1035 section 5) as the change that adds it. The zone's TTL is
// the SOA record's minimum; serial and timers are not kept, because the server makes its own, nor
// are signatures. $INCLUDE is refused. An error names the line.
func ParseZone(r io.Reader, name string) (Change, error) {
	apex, err := canonical(name)
	if err != nil {
		return Change{}, err
	}
	zone := Zone{Name: apex}
	var sets []RRset
	at := map[setID]int{}
	parser := dns.NewZoneParser(bufio.NewReader(r), apex, "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		h := rr.Header()
		id := setID{dns.CanonicalName(h.Name), h.Rrtype}
		if h.Class != dns.ClassINET || !dns.IsSubDomain(apex, id.name) {
			return Change{}, fmt.Errorf("dnssrv: zone %s: %s is not a record of it", name, rr)
		}
		if soa, ok := rr.(*dns.SOA); ok {
			zone.TTL, zone.NS, zone.Contact = soa.Minttl, []string{soa.Ns}, mailboxOf(soa.Mbox)
			continue
		}
		if refusedTypes[h.Rrtype] {
			continue
		}
		i, seen := at[id]
		if !seen {
			i = len(sets)
			at[id] = i
			sets = append(sets, RRset{Name: id.name, Type: dns.TypeToString[h.Rrtype], TTL: h.Ttl})
		}
		sets[i].Data = append(sets[i].Data, dataOf(rr))
	}
	if err := parser.Err(); err != nil {
		return Change{}, fmt.Errorf("dnssrv: zone %s: %w", name, err)
	}
	return Change{Zones: []Zone{zone}, Set: sets}, nil
}

// dataOf is the data of a record in presentation form.
func dataOf(rr dns.RR) string {
	var addr netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		addr, _ = netip.AddrFromSlice(rr.A.To4())
	case *dns.AAAA:
		addr, _ = netip.AddrFromSlice(rr.AAAA.To16())
	case *dns.PTR:
		return rr.Ptr
	default:
		return strings.TrimPrefix(rr.String(), rr.Header().String())
	}
	return addr.String()
}

// mailboxOf is the opposite of mailboxName.
func mailboxOf(mbox string) string {
	for i := 0; i < len(mbox); i++ {
		switch mbox[i] {
		case '\\':
			i++
		case '.':
			return strings.ReplaceAll(mbox[:i], `\.`, ".") + "@" + strings.TrimSuffix(mbox[i+1:], ".")
		}
	}
	return ""
}

// WriteZone writes a zone as a zone file that other servers can load, in order of names. Zones of
// this server right below it are delegations, and ranges of up to 65,536 addresses are spelled out.
func (s *Server) WriteZone(w io.Writer, name string) error {
	s.mu.RLock()
	z := s.data.zones[dns.CanonicalName(name)]
	if z == nil {
		s.mu.RUnlock()
		return fmt.Errorf("dnssrv: zone %s is not on this server", name)
	}
	soa, records := z.soa, s.data.records(z)
	s.mu.RUnlock()
	slices.SortFunc(records, byName)
	buf := bufio.NewWriter(w)
	for _, rr := range append([]dns.RR{soa}, records...) {
		buf.WriteString(rr.String())
		buf.WriteByte('\n')
	}
	return buf.Flush()
}

// Serial returns the serial of a zone, false when it is not on this server.
func (s *Server) Serial(zone string) (uint32, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	z := s.data.zones[dns.CanonicalName(zone)]
	if z == nil {
		return 0, false
	}
	return z.serial, true
}
