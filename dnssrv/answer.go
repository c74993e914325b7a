package dnssrv

import (
	"strings"

	"github.com/miekg/dns"
)

// maxChain bounds how many CNAMEs one answer follows, so that a loop among them ends.
const maxChain = 16

// answer fills m with what the zones say about its question (RFC 1034 section 4.3.2). It returns
// false when the question is not about any zone of ours. The records it puts into m are shared and
// must not be modified.
func (d *data) answer(m *dns.Msg) bool {
	q := m.Question[0]
	name := dns.CanonicalName(q.Name)
	z := d.zoneFor(name, q.Qtype)
	if z == nil {
		return false
	}
	m.Authoritative = true
	// The chain ends after maxChain steps, since a zone may have a loop of aliases.
	for range maxChain {
		target := d.step(m, z, name, q.Qtype)
		if target == "" {
			break
		}
		if inChain(m.Answer, target) {
			break // it goes in circles: all of it is in the answer
		}
		// Outside of our zones a server goes on that may be asked, or the client.
		if name, z = target, d.zoneFor(target, q.Qtype); z == nil {
			break
		}
	}
	d.additional(m)
	return true
}

// inChain reports whether the target is already the owner of a CNAME in the answer.
func inChain(answer []dns.RR, target string) bool {
	for _, rr := range answer {
		if rr.Header().Rrtype == dns.TypeCNAME && dns.CanonicalName(rr.Header().Name) == target {
			return true
		}
	}
	return false
}

// step answers one name of a CNAME chain. It returns the name to go on with, empty at the end.
func (d *data) step(m *dns.Msg, z *zoneData, name string, qtype uint16) (target string) {
	switch cut := z.cut(name, qtype); {
	case cut == nil:
	case cut.qtype == dns.TypeDNAME:
		return redirect(m, cut.owned(cut.name, z.ttl)[0].(*dns.DNAME), name)
	default:
		m.Ns = append(m.Ns, cut.owned(cut.name, z.ttl)...)
		m.Authoritative = len(m.Answer) > 0
		return ""
	}
	// Only a DS question gets here: zoneFor sent it to the parent.
	if child := d.zones[name]; child != nil && child != z {
		d.delegationSigner(m, z, child)
		return ""
	}
	n, exists := z.nodes[name]
	if name == z.name {
		if rrs := z.apex(qtype); rrs != nil {
			m.Answer = append(m.Answer, rrs...)
			return ""
		}
		exists = true
	}
	// A range makes names exist without nodes; wildcards do not cover them (RFC 4592 section 2.2).
	if !exists {
		if z.synthesise(m, name, qtype) {
			return ""
		}
		wild, encloser := z.wildcard(name)
		if wild == nil {
			// Below an asterisk without records the name exists, without data.
			if !encloser {
				m.Rcode = dns.RcodeNameError
			}
			m.Ns = append(m.Ns, z.soa)
			return ""
		}
		n = wild
	}
	return d.fromNode(m, z, n, name, qtype)
}

// delegationSigner answers the parent's question about a zone of this server, with the DS set in
// the parent or the DS of the zone's key.
func (d *data) delegationSigner(m *dns.Msg, parent, child *zoneData) {
	ds := child.nodes[child.name].get(dns.TypeDS)
	switch {
	case ds != nil:
		m.Answer = append(m.Answer, ds.owned(child.name, parent.ttl)...)
	case child.signer != nil:
		m.Answer = append(m.Answer, child.signer.ds)
	default:
		m.Ns = append(m.Ns, parent.soa)
	}
}

// fromNode answers from the records of n under the owner name, which for a wildcard is not n's own.
func (d *data) fromNode(m *dns.Msg, z *zoneData, n *node, name string, qtype uint16) (target string) {
	if qtype == dns.TypeANY && n != nil && len(n.slots) > 0 {
		// RFC 8482 section 4.2: one made-up record instead of everything.
		m.Answer = append(m.Answer, &dns.HINFO{Hdr: header(name, dns.TypeHINFO, z.ttl), Cpu: "RFC8482"})
		return ""
	}
	// Data of the type comes before an alias: a question for CNAME is answered here too.
	if set := n.get(qtype); set != nil {
		m.Answer = append(m.Answer, set.owned(name, z.ttl)...)
		return ""
	}
	if cname := n.get(dns.TypeCNAME); cname != nil {
		m.Answer = append(m.Answer, cname.owned(name, z.ttl)...)
		return dns.CanonicalName(cname.records[0].(*dns.CNAME).Target)
	}
	m.Ns = append(m.Ns, z.soa)
	return ""
}

// apex returns the records that every zone has at its top, unless they are set explicitly.
func (z *zoneData) apex(qtype uint16) []dns.RR {
	switch {
	case qtype == dns.TypeSOA:
		return []dns.RR{z.soa}
	case qtype == dns.TypeNS && z.nodes[z.name].get(dns.TypeNS) == nil:
		return z.ns
	case qtype == dns.TypeANY:
		return []dns.RR{&dns.HINFO{Hdr: header(z.name, dns.TypeHINFO, z.ttl), Cpu: "RFC8482"}}
	}
	return z.signer.apex(qtype)
}

// cut returns what hides a name from the zone: the highest set between the apex and name that is
// the NS of a delegation, or a DNAME above the name; nil when there is none. The DS of a delegated
// zone is a matter of the parent (RFC 4035 section 3.1.4.1).
func (z *zoneData) cut(name string, qtype uint16) *parsed {
	if z.cuts == 0 {
		return nil
	}
	var cut *parsed
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		owner := name[off:]
		n := z.nodes[owner]
		// The loop goes upwards, so the last set found is the highest. A DNAME redirects what is
		// below it, not itself, and the apex may have one (RFC 6672 section 2.3).
		if dname := n.get(dns.TypeDNAME); dname != nil && off > 0 {
			cut = dname
		}
		if owner == z.name {
			break
		}
		// Only names strictly above are cuts for a DS question. Where a name has both, what is
		// below is the child's.
		if ns := n.get(dns.TypeNS); ns != nil && (qtype != dns.TypeDS || off > 0) {
			cut = ns
		}
	}
	return cut
}

// wildcard returns the "*" below the closest existing name above name (RFC 4592 section 3.3.1).
// exists reports that the asterisk's name exists, but only as an empty non-terminal.
func (z *zoneData) wildcard(name string) (wild *node, exists bool) {
	for off, end := dns.NextLabel(name, 0); !end; off, end = dns.NextLabel(name, off) {
		encloser := name[off:]
		if _, ok := z.nodes[encloser]; ok || encloser == z.name {
			n, ok := z.nodes["*."+encloser]
			if ok && len(n.slots) > 0 {
				return n, true
			}
			return nil, ok
		}
	}
	return nil, false
}

// owned returns the records with the given owner and, if they have no TTL of their own, the zone's.
// They are copied only where something differs.
func (p *parsed) owned(name string, ttl uint32) []dns.RR {
	// The common case shares the stored records; a wildcard needs its own.
	if p.ttl != 0 && strings.EqualFold(name, p.name) {
		return p.records
	}
	out := make([]dns.RR, len(p.records))
	for i, rr := range p.records {
		c := dns.Copy(rr)
		c.Header().Name = name
		if p.ttl == 0 {
			c.Header().Ttl = ttl
		}
		out[i] = c
	}
	return out
}

// additional adds the addresses of names that the answer or a referral points to.
func (d *data) additional(m *dns.Msg) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			target := ""
			switch rr := rr.(type) {
			case *dns.NS:
				target = rr.Ns
			case *dns.MX:
				target = rr.Mx
			case *dns.SRV:
				target = rr.Target
			}
			if target != "" {
				d.glue(m, dns.CanonicalName(target))
			}
		}
	}
}

func (d *data) glue(m *dns.Msg, name string) {
	z := d.zoneOf(name)
	if z == nil {
		return
	}
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		if set := z.nodes[name].get(qtype); set != nil {
			m.Extra = append(m.Extra, set.owned(name, z.ttl)...)
		}
	}
}
