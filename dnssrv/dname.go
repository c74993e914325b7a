package dnssrv

import (
	"strings"

	"github.com/miekg/dns"
)

// redirect answers a name below a DNAME: with the record, and with a CNAME made from it for clients
// that do not know the type (RFC 6672 section 3.1). It returns the name to go on with. A new name
// that is longer than names can be does not exist, which has a code of its own.
func redirect(m *dns.Msg, dname *dns.DNAME, name string) (target string) {
	owner := dns.CanonicalName(dname.Hdr.Name)
	// A second name of one chain may come by the same record.
	if !inSection(m.Answer, dname) {
		m.Answer = append(m.Answer, dname)
	}
	target = strings.TrimSuffix(name, owner) + strings.TrimPrefix(dns.CanonicalName(dname.Target), ".")
	// The length on the wire counts: in presentation form an octet may take four.
	if _, err := dns.PackDomainName(target, make([]byte, maxWireName), 0, nil, false); err != nil {
		m.Rcode = dns.RcodeYXDomain
		return ""
	}
	// The CNAME lives as long as its origin: a client that keeps it longer would miss a change.
	m.Answer = append(m.Answer, &dns.CNAME{Hdr: header(name, dns.TypeCNAME, dname.Hdr.Ttl), Target: target})
	if m.Question[0].Qtype == dns.TypeCNAME {
		return "" // the answer itself
	}
	return target
}

// inSection reports whether a section has the record.
func inSection(section []dns.RR, rr dns.RR) bool {
	for _, have := range section {
		if have == rr || dns.IsDuplicate(have, rr) {
			return true
		}
	}
	return false
}

// redirects reports whether a name is below a DNAME, so that a CNAME of it is a made one.
func (z *zoneData) redirects(name string) bool {
	cut := z.cut(name, dns.TypeCNAME)
	return cut != nil && cut.qtype == dns.TypeDNAME
}
