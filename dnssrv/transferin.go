package dnssrv

import (
	"errors"
	"fmt"

	"github.com/miekg/dns"
)

// transferred is what a transfer said.
type transferred struct {
	soa     *dns.SOA // of the primary now; nil: nothing is new
	whole   bool
	records []dns.RR // all of the zone but its SOA, when it is whole
	steps   []delta  // the changes, when it is not
}

// parseTransfer checks the records of an AXFR or IXFR answer (RFC 5936 section 2.2, RFC 1995 section 4): the zone, or the
// changes since the SOA record that one has.
func parseTransfer(zone string, have *dns.SOA, records []dns.RR) (transferred, error) {
	var t transferred
	if len(records) == 0 {
		return t, errors.New("the transfer is empty")
	}
	first, ok := records[0].(*dns.SOA)
	if !ok || dns.CanonicalName(first.Hdr.Name) != zone {
		return t, errors.New("the transfer does not begin with the zone's SOA record")
	}
	if have != nil && int32(first.Serial-have.Serial) <= 0 && len(records) == 1 {
		return t, nil
	}
	last, ok := records[len(records)-1].(*dns.SOA)
	if !ok || len(records) < 2 || last.Serial != first.Serial {
		return t, errors.New("the transfer does not end with the SOA record it began with")
	}
	t.soa = first
	body := records[1 : len(records)-1]
	for _, rr := range body {
		h := rr.Header()
		if h.Class != dns.ClassINET || !dns.IsSubDomain(zone, dns.CanonicalName(h.Name)) {
			return t, fmt.Errorf("the transfer has a record of another zone: %s", h.Name)
		}
		if refusedTypes[h.Rrtype] && h.Rrtype != dns.TypeSOA || h.Rrtype == dns.TypeDNSKEY {
			return t, fmt.Errorf("the zone is signed (it has %s records at %s), which is not supported", dns.TypeToString[h.Rrtype], h.Name)
		}
	}
	if len(body) > 0 && have != nil {
		if soa, ok := body[0].(*dns.SOA); ok && soa.Serial == have.Serial {
			var err error
			t.steps, err = parseSteps(body, first)
			return t, err
		}
	}
	t.whole = true
	for _, rr := range body {
		if _, ok := rr.(*dns.SOA); ok {
			return t, errors.New("the transfer has more than one SOA record")
		}
	}
	t.records = body
	return t, nil
}

// parseSteps reads the differences: each an old SOA record with what goes, and a new one with what comes.
func parseSteps(body []dns.RR, last *dns.SOA) ([]delta, error) {
	var steps []delta
	for i := 0; i < len(body); {
		d := delta{from: body[i].(*dns.SOA)} // the loops below stop at SOA records only
		for i++; i < len(body) && body[i].Header().Rrtype != dns.TypeSOA; i++ {
			d.gone = append(d.gone, body[i])
		}
		if i == len(body) {
			return nil, errors.New("the incremental transfer is cut short")
		}
		d.to = body[i].(*dns.SOA)
		for i++; i < len(body) && body[i].Header().Rrtype != dns.TypeSOA; i++ {
			d.new = append(d.new, body[i])
		}
		if n := len(steps); n > 0 && steps[n-1].to.Serial != d.from.Serial {
			return nil, errors.New("the incremental transfer has a gap")
		}
		steps = append(steps, d)
	}
	if steps[len(steps)-1].to.Serial != last.Serial {
		return nil, errors.New("the incremental transfer does not lead to the newest serial")
	}
	return steps, nil
}

// newFollowed is an empty zone with a primary's SOA record.
func newFollowed(name string, soa *dns.SOA) *zoneData {
	z := &zoneData{conf: Zone{Name: name}, name: name, nodes: map[string]*node{}}
	z.follow(soa)
	return z
}

// follow makes the primary's SOA record the zone's. A denial may be cached as long as both of its times allow (RFC 2308).
func (z *zoneData) follow(soa *dns.SOA) {
	own := dns.Copy(soa).(*dns.SOA)
	own.Hdr.Name = z.name
	z.primary, z.soa, z.serial, z.ttl = own, own, own.Serial, min(own.Minttl, own.Hdr.Ttl)
	denial := *own
	denial.Hdr.Ttl = z.ttl
	z.soa = &denial
	z.encodeDenial()
}

// install replaces a zone by what a primary sent. The work is done before anybody has to wait.
func (s *Server) install(name string, soa *dns.SOA, records []dns.RR) (map[string]uint32, error) {
	z := newFollowed(name, soa)
	for id, set := range bySet(records) {
		z.put(ofPrimary(id, set))
	}
	if z.nodes[name].get(dns.TypeNS) == nil {
		return nil, errors.New("the zone has no NS record at its top")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.data.zones[name]; old != nil && old.primary == nil {
		return nil, errors.New("the zone was made here meanwhile")
	}
	s.data.zones[name] = z
	return map[string]uint32{name: z.serial}, nil
}

func bySet(records []dns.RR) map[setID][]dns.RR {
	sets := map[setID][]dns.RR{}
	for _, rr := range records {
		id := setID{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype}
		sets[id] = append(sets[id], rr)
	}
	return sets
}

// ofPrimary is a record set as a primary has it, but that a TTL of 0, which here means that of the zone, becomes 1.
func ofPrimary(id setID, records []dns.RR) *parsed {
	p := &parsed{name: id.name, qtype: id.qtype}
	for _, rr := range records {
		if h := rr.Header(); h.Name != id.name || h.Ttl == 0 { // others may be in use by answers
			h.Name, h.Ttl = id.name, max(h.Ttl, 1)
		}
		p.ttl = rr.Header().Ttl
		p.records = append(p.records, rr)
	}
	p.encode()
	return p
}

// advanceFollowed applies differences, all or none. A record that goes must be there, and one that comes must not.
func (s *Server) advanceFollowed(name string, steps []delta) (map[string]uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	z := s.data.zones[name]
	if z == nil || z.primary == nil || z.primary.Serial != steps[0].from.Serial {
		return nil, errors.New("the zone changed during the transfer")
	}
	sets := map[setID][]dns.RR{}
	for _, step := range steps {
		if err := edits(z, sets, step); err != nil {
			return nil, err
		}
	}
	d := &delta{from: z.soa}
	for id, records := range sets {
		before, after := z.put(ofPrimary(id, records))
		if !sameSet(before, after) {
			d.record(z, before, after)
		}
	}
	z.follow(steps[len(steps)-1].to)
	d.to = z.soa
	if d.size() > maxHistory {
		z.history = history{}
	} else {
		z.history.add(d)
	}
	return map[string]uint32{name: z.serial}, nil
}

// edits applies one difference to the sets that it touches.
func edits(z *zoneData, sets map[setID][]dns.RR, step delta) error {
	get := func(rr dns.RR) (setID, []dns.RR) {
		id := setID{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype}
		if records, ok := sets[id]; ok {
			return id, records
		}
		if set := z.nodes[id.name].get(id.qtype); set != nil {
			return id, set.records
		}
		return id, nil
	}
	for _, rr := range step.gone {
		id, records := get(rr)
		kept := make([]dns.RR, 0, len(records))
		for _, have := range records {
			if !dns.IsDuplicate(have, rr) {
				kept = append(kept, have)
			}
		}
		if len(kept) != len(records)-1 {
			return fmt.Errorf("the primary removes a record that is not there: %s", rr)
		}
		sets[id] = kept
	}
	for _, rr := range step.new {
		id, records := get(rr)
		sets[id] = append(append(make([]dns.RR, 0, len(records)+1), records...), rr)
	}
	return nil
}

// drop stops serving a zone of another primary.
func (s *Server) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if z := s.data.zones[name]; z != nil && z.primary != nil {
		delete(s.data.zones, name)
	}
}
