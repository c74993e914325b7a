package dnssrv

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// DefaultTTL is the time to live in seconds of records and zones that name none.
const DefaultTTL = 30

// A Zone is a part of the name space that the server answers for with authority.
type Zone struct {
	// Name is the apex, such as "maas" or "2.0.192.in-addr.arpa". Case and a final dot do not
	// matter.
	Name string `json:"name"`
	// TTL in seconds is for records that have none, and how long a denial may be cached. Zero means
	// DefaultTTL.
	TTL uint32 `json:"ttl,omitempty"`
	// NS are the names of the zone's servers. None means a single one, "ns." before the zone's
	// name, without an address.
	NS []string `json:"ns,omitempty"`
	// Contact is the mailbox of who is responsible, "user@example.com". Empty means "hostmaster@"
	// the zone's name.
	Contact string `json:"contact,omitempty"`
	// Ranges are address ranges whose names are made up when they are asked for.
	Ranges []Range `json:"ranges,omitempty"`
	// SigningKey makes the server sign its answers (DNSSEC) for clients that want that. Empty
	// leaves the zone unsigned.
	SigningKey SigningKey `json:"signing_key,omitempty"`
	// Answer returns the records of names below the zone's that have none here, for every client.
	// Records, ranges and wildcards of the zone go before it. It is called from many goroutines,
	// and its context ends after five seconds. An error that wraps fs.ErrNotExist means that the
	// name does not exist, any other one that the server fails; no records of the type asked for
	// mean that the name has none. Transfers do not have these names, and a zone with a SigningKey
	// cannot have an Answer. Zones with one count as changed in each [Server.Update] that has them.
	Answer func(ctx context.Context, q Query) ([]RRset, error) `json:"-"`
}

// A Query is a question for [Zone.Answer].
type Query struct {
	Name   string     // in lower case, without a final dot
	Type   string     // the mnemonic, such as "A"
	Client netip.Addr // of the client or the resolver that asks
}

// An RRset is all records of one type that a name has.
type RRset struct {
	// Name is fully qualified; case and a final dot do not matter. It may start with the label "*"
	// (RFC 4592).
	Name string `json:"name"`
	// Type is the mnemonic, such as "A" or "SRV".
	Type string `json:"type"`
	// TTL in seconds; zero means the zone's.
	TTL uint32 `json:"ttl,omitempty"`
	// Data holds each record's data in presentation form, such as "10 5 8080 web.maas." for an SRV;
	// names in it that end without a dot are still taken as fully qualified. No data removes the
	// set.
	Data []string `json:"data,omitempty"`
	// Learned marks a set that was learned, as from a DHCP lease. It gives way to a configured one
	// of the same name and type, and comes back when that one is removed.
	Learned bool `json:"learned,omitempty"`
}

// A Change is applied whole or not at all.
type Change struct {
	// Zones are added, or replaced without touching their records.
	Zones []Zone
	// RemoveZones are removed with all records in them.
	RemoveZones []string
	// Set replaces whole RRsets; one without data is removed. Each name must be in a zone of the
	// server.
	Set []RRset
}

// parsed is an RRset ready to serve.
type parsed struct {
	name    string // canonical
	qtype   uint16
	ttl     uint32 // zero: the zone's
	records []dns.RR
	wire    []byte // the records as the plain path sends them, nil when it cannot
	learned bool
}

// canonical returns the name as the server keys it: lower case, with a final dot.
func canonical(name string) (string, error) {
	c := dns.CanonicalName(name)
	if _, ok := dns.IsDomainName(c); !ok || c == "." {
		return "", fmt.Errorf("dnssrv: %q is not a domain name", name)
	}
	return c, nil
}

// refusedTypes cannot be set: the server makes them itself, or they are questions and transport,
// not data.
var refusedTypes = map[uint16]bool{
	dns.TypeSOA: true, dns.TypeANY: true, dns.TypeAXFR: true, dns.TypeIXFR: true, dns.TypeOPT: true, dns.TypeTSIG: true,
	dns.TypeRRSIG: true, dns.TypeNSEC: true, dns.TypeNSEC3: true, dns.TypeNSEC3PARAM: true, dns.TypeNXNAME: true,
}

// parse checks an RRset and turns it into records.
func (s RRset) parse() (parsed, error) {
	name, err := canonical(s.Name)
	if err != nil {
		return parsed{}, err
	}
	qtype, ok := dns.StringToType[strings.ToUpper(s.Type)]
	if !ok || refusedTypes[qtype] {
		return parsed{}, fmt.Errorf("dnssrv: %s: records of type %q cannot be set", s.Name, s.Type)
	}
	if s.TTL > math.MaxInt32 {
		return parsed{}, fmt.Errorf("dnssrv: %s %s: a TTL of %d s is above the limit of 2147483647 (RFC 2181)", s.Name, s.Type, s.TTL)
	}
	p := parsed{name: name, qtype: qtype, ttl: s.TTL, learned: s.Learned}
	for _, data := range s.Data {
		rr, err := parseRecord(name, qtype, s.TTL, data)
		if err != nil {
			return parsed{}, err
		}
		p.records = append(p.records, rr)
	}
	if isSingle(qtype) && len(p.records) > 1 {
		return parsed{}, fmt.Errorf("dnssrv: %s: a name can have one %s, not %d", s.Name, dns.Type(qtype), len(p.records))
	}
	p.encode()
	return p, nil
}

// isSingle reports whether a name can have only one record of the type (RFC 2181 section 10.1, RFC
// 6672 section 2.4).
func isSingle(qtype uint16) bool { return qtype == dns.TypeCNAME || qtype == dns.TypeDNAME }

// Normal checks a set and returns it in the server's spelling: the name in lower case with a final
// dot, the type in upper case, names and numbers of the data in one form. It fails as
// [Server.Update] does.
func (s RRset) Normal() (RRset, error) {
	p, err := s.parse()
	if err != nil {
		return s, err
	}
	return p.set(), nil
}

// set is the RRset that parse was given, in one form.
func (p *parsed) set() RRset {
	out := RRset{Name: p.name, Type: dns.Type(p.qtype).String(), TTL: p.ttl, Learned: p.learned}
	for _, rr := range p.records {
		out.Data = append(out.Data, dataOf(rr))
	}
	return out
}

func parseRecord(name string, qtype uint16, ttl uint32, data string) (dns.RR, error) {
	typeName := dns.TypeToString[qtype]
	// Addresses are nearly all of the data, and netip is stricter and much faster than the zone
	// file parser.
	if qtype == dns.TypeA || qtype == dns.TypeAAAA {
		addr, err := netip.ParseAddr(data)
		if err != nil || addr.Zone() != "" || addr.Is4() != (qtype == dns.TypeA) {
			return nil, fmt.Errorf("dnssrv: %s %s: %q is not an address of that kind", name, typeName, data)
		}
		header := dns.RR_Header{Name: name, Rrtype: qtype, Class: dns.ClassINET, Ttl: ttl}
		if qtype == dns.TypeA {
			return &dns.A{Hdr: header, A: addr.AsSlice()}, nil
		}
		return &dns.AAAA{Hdr: header, AAAA: addr.AsSlice()}, nil
	}
	if strings.ContainsAny(data, "\n\r") {
		return nil, fmt.Errorf("dnssrv: %s %s: data must be one line", name, typeName)
	}
	parser := dns.NewZoneParser(strings.NewReader(fmt.Sprintf("%s %d IN %s %s\n", name, ttl, typeName, data)), ".", "")
	rr, _ := parser.Next()
	if err := parser.Err(); err != nil || rr == nil {
		return nil, fmt.Errorf("dnssrv: %s %s: %q is not valid data: %v", name, typeName, data, parser.Err())
	}
	return rr, nil
}
