package dnssrv

import (
	"net/netip"

	"github.com/miekg/dns"
)

// dynamicUpdate carries out a dynamic update (RFC 2136) and returns the code to answer. Records set this way count as
// configured ones, so a later Change replaces them.
func (s *Server) dynamicUpdate(q *dns.Msg, key string, client netip.Addr) int {
	zone := dns.CanonicalName(q.Question[0].Name)
	if q.Question[0].Qtype != dns.TypeSOA || q.Question[0].Qclass != dns.ClassINET {
		return dns.RcodeFormatError
	}
	s.mu.Lock()
	z := s.data.zones[zone]
	if z == nil || z.primary != nil {
		s.mu.Unlock()
		return dns.RcodeNotAuth
	}
	e := &edit{d: &s.data, z: z, sets: map[setID][]dns.RR{}}
	rcode := e.run(q, s.policy.Load(), key)
	var changed map[string]uint32
	if rcode == dns.RcodeSuccess {
		changed = s.apply(plan{sets: e.result()})
	}
	s.mu.Unlock()
	s.notify(changed)
	s.log.Info("dynamic update", "zone", zone, "client", client, "key", key, "result", dns.RcodeToString[rcode], "records", len(q.Ns))
	return rcode
}

type setID struct {
	name  string
	qtype uint16
}

// An edit is what an update makes of the sets it touches, before it takes effect.
type edit struct {
	d    *data
	z    *zoneData
	sets map[setID][]dns.RR
}

func (e *edit) run(q *dns.Msg, p *policy, key string) int {
	for _, rr := range q.Ns {
		if !p.mayUpdate(key, dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype) {
			return dns.RcodeRefused
		}
	}
	if rcode := e.prerequisites(q.Answer); rcode != dns.RcodeSuccess {
		return rcode
	}
	for _, rr := range q.Ns {
		if rcode := e.check(rr); rcode != dns.RcodeSuccess {
			return rcode
		}
	}
	for _, rr := range q.Ns {
		e.change(rr)
	}
	return dns.RcodeSuccess
}

// holds reports whether the zone has authority over the name.
func (e *edit) holds(name string) bool { return e.d.zoneOf(name) == e.z }

// get is a set as it will be.
func (e *edit) get(id setID) []dns.RR {
	if rrs, ok := e.sets[id]; ok {
		return rrs
	}
	if set := e.z.nodes[id.name].get(id.qtype); set != nil {
		return set.records
	}
	return nil
}

// types are those that the name will have.
func (e *edit) types(name string) []uint16 {
	var out []uint16
	if n := e.z.nodes[name]; n != nil {
		for _, s := range n.slots {
			if len(e.get(setID{name, s.qtype})) > 0 {
				out = append(out, s.qtype)
			}
		}
	}
	for id, rrs := range e.sets {
		if id.name == name && len(rrs) > 0 && e.z.nodes[name].get(id.qtype) == nil {
			out = append(out, id.qtype)
		}
	}
	return out
}

// prerequisites checks what the client says must hold (RFC 2136 section 3.2).
func (e *edit) prerequisites(rrs []dns.RR) int {
	exact := map[setID][]dns.RR{}
	for _, rr := range rrs {
		h := rr.Header()
		id := setID{dns.CanonicalName(h.Name), h.Rrtype}
		if !e.holds(id.name) {
			return dns.RcodeNotZone
		}
		exists := len(e.get(id)) > 0
		if h.Rrtype == dns.TypeANY {
			exists = len(e.types(id.name)) > 0 || id.name == e.z.name
		}
		switch {
		case h.Ttl != 0:
			return dns.RcodeFormatError
		case h.Class == dns.ClassINET:
			exact[id] = append(exact[id], inZone(rr))
		case h.Class == dns.ClassANY && !exists && h.Rrtype == dns.TypeANY:
			return dns.RcodeNameError
		case h.Class == dns.ClassANY && !exists:
			return dns.RcodeNXRrset
		case h.Class == dns.ClassNONE && exists && h.Rrtype == dns.TypeANY:
			return dns.RcodeYXDomain
		case h.Class == dns.ClassNONE && exists:
			return dns.RcodeYXRrset
		case h.Class != dns.ClassANY && h.Class != dns.ClassNONE:
			return dns.RcodeFormatError
		}
	}
	for id, want := range exact {
		have := e.get(id)
		if len(have) != len(want) || len(without(have, want)) > 0 {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

// check refuses records that cannot be changed (RFC 2136 section 3.4.1).
func (e *edit) check(rr dns.RR) int {
	h := rr.Header()
	name := dns.CanonicalName(h.Name)
	_, isName := dns.IsDomainName(name)
	switch {
	case !isName:
		return dns.RcodeFormatError
	case !e.holds(name):
		return dns.RcodeNotZone
	case h.Class == dns.ClassINET && h.Rrtype != dns.TypeSOA && refusedTypes[h.Rrtype]:
		return dns.RcodeFormatError
	case h.Class == dns.ClassINET && h.Rdlength == 0:
		return dns.RcodeFormatError
	case h.Class == dns.ClassANY && (h.Ttl != 0 || h.Rdlength != 0):
		return dns.RcodeFormatError
	case h.Class == dns.ClassNONE && (h.Ttl != 0 || h.Rrtype == dns.TypeANY):
		return dns.RcodeFormatError
	case h.Class != dns.ClassINET && h.Class != dns.ClassANY && h.Class != dns.ClassNONE:
		return dns.RcodeFormatError
	}
	return dns.RcodeSuccess
}

// change makes one change (RFC 2136 section 3.4.2). The serial and the last server of the zone stay the server's matter.
func (e *edit) change(rr dns.RR) {
	h := rr.Header()
	id := setID{dns.CanonicalName(h.Name), h.Rrtype}
	atApex := id.name == e.z.name
	switch {
	case h.Rrtype == dns.TypeSOA:
	case h.Class == dns.ClassINET:
		e.add(id, inZone(rr))
	case h.Class == dns.ClassANY && h.Rrtype == dns.TypeANY:
		for _, qtype := range e.types(id.name) {
			if !atApex || qtype != dns.TypeNS {
				e.sets[setID{id.name, qtype}] = nil
			}
		}
	case h.Class == dns.ClassANY:
		if !atApex || h.Rrtype != dns.TypeNS {
			e.sets[id] = nil
		}
	default:
		left := without(e.get(id), []dns.RR{inZone(rr)})
		if len(left) > 0 || !atApex || h.Rrtype != dns.TypeNS {
			e.sets[id] = left
		}
	}
}

// add adds a record. A CNAME stands alone; what would not let it is ignored, as the RFC has it.
func (e *edit) add(id setID, rr dns.RR) {
	isCNAME := id.qtype == dns.TypeCNAME
	for _, qtype := range e.types(id.name) {
		if (qtype == dns.TypeCNAME) != isCNAME {
			return
		}
	}
	have := e.get(id)
	if isCNAME {
		have = nil
	}
	e.sets[id] = append(without(have, []dns.RR{rr}), rr)
}

// result is what to store. What is deleted is gone even if it was learned.
func (e *edit) result() []parsed {
	var out []parsed
	for id, rrs := range e.sets {
		p := parsed{name: id.name, qtype: id.qtype}
		if len(rrs) > 0 {
			p.ttl = rrs[len(rrs)-1].Header().Ttl
		}
		for _, rr := range rrs {
			rr = dns.Copy(rr)
			rr.Header().Name, rr.Header().Ttl = id.name, p.ttl
			p.records = append(p.records, rr)
		}
		p.encode()
		out = append(out, p)
		if len(rrs) == 0 {
			out = append(out, parsed{name: id.name, qtype: id.qtype, learned: true})
		}
	}
	return out
}

// inZone is a record of an update as the zone would hold it.
func inZone(rr dns.RR) dns.RR {
	rr = dns.Copy(rr)
	rr.Header().Name, rr.Header().Class = dns.CanonicalName(rr.Header().Name), dns.ClassINET
	return rr
}

// without is a list less those records that are in another.
func without(list, other []dns.RR) []dns.RR {
	var out []dns.RR
next:
	for _, rr := range list {
		for _, o := range other {
			if dns.IsDuplicate(rr, o) {
				continue next
			}
		}
		out = append(out, rr)
	}
	return out
}
