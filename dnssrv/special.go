package dnssrv

import (
	"net"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// specialTTL is the TTL of all that is said about special names (RFC 6303 section 3).
const specialTTL = 10800

// A specialKind says how questions about a special name are answered.
type specialKind int

const (
	// noName has no names at all, not even itself.
	noName specialKind = iota + 1
	// emptyZone exists, and nothing below it. Its DS is a matter of the parent, which resolvers
	// that validate ask for to learn that the zone is not signed.
	emptyZone
	// loopback has the loopback addresses at all names (RFC 6761 section 6.3).
	loopback
)

// specialNames are the names that mean something within a site, on a link or on a host only. The
// public servers have nothing to say about them, and questions about them show to strangers what a
// site has inside.
var specialNames = newSpecialNames()

func newSpecialNames() map[string]specialKind {
	names := map[string]specialKind{
		"localhost.": loopback, // RFC 6761 section 6.3
		"test.":      noName,   // section 6.2
		"invalid.":   noName,   // section 6.4
		"local.":     noName,   // RFC 6762 section 22.1: names of multicast DNS
		"onion.":     noName,   // RFC 7686 section 2
		"alt.":       noName,   // RFC 9476 section 3
		// RFC 8375 section 4 for home networks, and RFC 9462 section 8.2: the answer of a foreign
		// resolver would send clients past this one.
		"home.arpa.": emptyZone, "resolver.arpa.": emptyZone,
	}
	// The addresses of RFC 6303 sections 4.2 to 4.6: "this" network, loopback, link-local,
	// documentation and broadcast, and private ones.
	blocks := []string{
		"0", "127", "254.169", "2.0.192", "100.51.198", "113.0.203", "255.255.255.255", "10", "168.192",
	}
	for i := 16; i < 32; i++ {
		blocks = append(blocks, strconv.Itoa(i)+".172") // 172.16.0.0/12
	}
	for i := 64; i < 128; i++ {
		blocks = append(blocks, strconv.Itoa(i)+".100") // RFC 7793: 100.64.0.0/10
	}
	for _, block := range blocks {
		names[block+".in-addr.arpa."] = emptyZone
	}
	zeros := strings.Repeat("0.", 31)
	// The unspecified and the loopback address, fd00::/8, fe80::/10 and 2001:db8::/32
	for _, block := range []string{zeros + "0", "1." + zeros[:len(zeros)-1], "d.f", "8.e.f", "9.e.f", "a.e.f", "b.e.f", "8.b.d.0.1.0.0.2"} {
		names[block+".ip6.arpa."] = emptyZone
	}
	return names
}

// specialOf returns the special name that a canonical name is or is below, and how it is answered;
// zero if it is neither.
func specialOf(name string) (zone string, kind specialKind) {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		if kind := specialNames[name[off:]]; kind != 0 {
			return name[off:], kind
		}
	}
	return "", 0
}

// answerSpecial answers a question that must not leave the site. It returns false for all others,
// and for names that one of Domains has: the author of the rules knows better.
func (f *forwarder) answerSpecial(m *dns.Msg) bool {
	q := m.Question[0]
	name := dns.CanonicalName(q.Name)
	zone, kind := specialOf(name)
	if kind == 0 || f.leaky || kind == emptyZone && name == zone && q.Qtype == dns.TypeDS {
		return false
	}
	if _, own := f.groupOf(name); own {
		return false
	}
	m.Authoritative = true
	soa := specialSOA(zone)
	switch {
	case kind == loopback && q.Qtype == dns.TypeA:
		m.Answer = append(m.Answer, &dns.A{Hdr: header(q.Name, dns.TypeA, specialTTL), A: net.IPv4(127, 0, 0, 1)})
	case kind == loopback && q.Qtype == dns.TypeAAAA:
		m.Answer = append(m.Answer, &dns.AAAA{Hdr: header(q.Name, dns.TypeAAAA, specialTTL), AAAA: net.IPv6loopback})
	case kind == emptyZone && name == zone && q.Qtype == dns.TypeSOA:
		m.Answer = append(m.Answer, soa)
	case kind == emptyZone && name == zone && q.Qtype == dns.TypeNS:
		m.Answer = append(m.Answer, &dns.NS{Hdr: header(zone, dns.TypeNS, specialTTL), Ns: zone})
	default:
		if kind == noName || kind == emptyZone && name != zone {
			m.Rcode = dns.RcodeNameError
		}
		m.Ns = append(m.Ns, soa)
	}
	return true
}

// specialSOA is the record that RFC 6303 section 3 gives to empty zones. Without it no client would
// cache the denial.
func specialSOA(zone string) *dns.SOA {
	return &dns.SOA{
		Hdr: header(zone, dns.TypeSOA, specialTTL), Ns: zone, Mbox: "nobody.invalid.",
		Serial: 1, Refresh: 3600, Retry: 1200, Expire: 604800, Minttl: specialTTL,
	}
}
