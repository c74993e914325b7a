package dnssrv

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// An Updater keeps the records that dynamic updates change.
type Updater interface {
	// Update makes the changes of an update (RFC 2136 section 2) in wire form, for the holder of a
	// key, and returns the code to answer once they are stored. The server has checked the
	// signature, the policy and the prerequisites against the records that it serves; an
	// implementation checks the prerequisites again, because its own records may be newer. Update
	// may block until ctx ends after a few seconds, and is called concurrently. An error is logged
	// and answered with SERVFAIL.
	Update(ctx context.Context, key string, message []byte) (rcode int, err error)
}

// How long an update takes at most, and how long its client then waits for the server to answer
// with what it changed.
const (
	updateTimeout = 3 * time.Second
	updateShown   = 500 * time.Millisecond
)

// dynamicUpdate carries out a dynamic update (RFC 2136) and returns the code to answer.
func (s *Server) dynamicUpdate(ctx context.Context, q *dns.Msg, in []byte, key string, client netip.Addr) int {
	rcode, err := 0, error(nil)
	if s.updates == nil {
		rcode = s.updateHere(q, key)
	} else {
		rcode, err = s.updateThere(ctx, q, in, key)
	}
	log := s.log.With("zone", zoneOfUpdate(q), "client", client, "key", key, "result", dns.RcodeToString[rcode], "records", len(q.Ns))
	switch {
	case err != nil:
		log.Warn("dynamic update failed", "err", err)
	case key == "":
		log.Debug("unsigned dynamic update refused") // any client can send many
	default:
		log.Info("dynamic update")
	}
	return rcode
}

func zoneOfUpdate(q *dns.Msg) string { return dns.CanonicalName(q.Question[0].Name) }

// updateHere changes the records in memory.
func (s *Server) updateHere(q *dns.Msg, key string) int {
	s.mu.Lock()
	e, rcode := s.data.edit(q, s.policy.Load(), key)
	var changed map[string]uint32
	if rcode == dns.RcodeSuccess {
		changed = s.apply(plan{sets: e.result()})
	}
	s.mu.Unlock()
	s.notify(changed)
	return rcode
}

// updateThere passes the update on to the owner of the records, and waits a moment for its change.
func (s *Server) updateThere(ctx context.Context, q *dns.Msg, in []byte, key string) (int, error) {
	sets, rcode := s.preview(q, key)
	if rcode != dns.RcodeSuccess || len(sets) == 0 {
		return rcode, nil
	}
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	rcode, err := s.updates.Update(ctx, key, in)
	if err != nil {
		return dns.RcodeServerFailure, err
	}
	// The keeper's records arrive by another way; users of nsupdate look at once.
	for end := time.Now().Add(updateShown); rcode == dns.RcodeSuccess && !s.shows(sets) && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return rcode, nil
}

// Preview returns what a dynamic update (RFC 2136) in wire form would make of the sets it changes,
// those without data being removed, for the holder of a key, and the code to answer. It changes
// nothing and checks no signature. Data is as [RRset.Normal] writes it.
func (s *Server) Preview(key string, message []byte) (sets []RRset, rcode int) {
	q := new(dns.Msg)
	if q.Unpack(message) != nil || q.Opcode != dns.OpcodeUpdate || len(q.Question) != 1 {
		return nil, dns.RcodeFormatError
	}
	parsed, rcode := s.preview(q, dns.CanonicalName(key))
	for i := range parsed {
		if !parsed[i].learned {
			sets = append(sets, parsed[i].set())
		}
	}
	return sets, rcode
}

// UpdatedNames returns the zone of a dynamic update in wire form, and the names of it whose records
// decide what becomes of it, all in lower case and without a final dot; no zone when it is not one.
func UpdatedNames(message []byte) (zone string, names []string) {
	q := new(dns.Msg)
	if q.Unpack(message) != nil || q.Opcode != dns.OpcodeUpdate || len(q.Question) != 1 {
		return "", nil
	}
	for _, rr := range append(q.Answer, q.Ns...) {
		names = append(names, strings.TrimSuffix(dns.CanonicalName(rr.Header().Name), "."))
	}
	slices.Sort(names)
	return strings.TrimSuffix(zoneOfUpdate(q), "."), slices.Compact(names)
}

func (s *Server) preview(q *dns.Msg, key string) ([]parsed, int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, rcode := s.data.edit(q, s.policy.Load(), key)
	if rcode != dns.RcodeSuccess {
		return nil, rcode
	}
	return e.result(), rcode
}

// shows reports whether the server answers with the sets.
func (s *Server) shows(sets []parsed) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := range sets {
		p := &sets[i]
		z := s.data.zoneOf(p.name)
		if z == nil {
			return true // gone meanwhile
		}
		have := z.nodes[p.name].get(p.qtype)
		if have == nil && len(p.records) == 0 || p.learned {
			continue
		}
		if have == nil || len(have.records) != len(p.records) || len(without(have.records, p.records)) > 0 {
			return false
		}
	}
	return true
}

// edit finds out what an update leads to.
func (d *data) edit(q *dns.Msg, p *policy, key string) (*edit, int) {
	if q.Question[0].Qtype != dns.TypeSOA || q.Question[0].Qclass != dns.ClassINET {
		return nil, dns.RcodeFormatError
	}
	z := d.zones[zoneOfUpdate(q)]
	if z == nil {
		return nil, dns.RcodeNotAuth
	}
	if !p.updates(key, z.name) { // not even questions about what there is, in the form of prerequisites
		return nil, dns.RcodeRefused
	}
	e := &edit{d: d, z: z, sets: map[setID][]dns.RR{}}
	return e, e.run(q, p, key)
}

type setID struct {
	name  string
	qtype uint16
}

// An edit holds the sets that an update changes, as they will be, before they take effect.
type edit struct {
	d    *data
	z    *zoneData
	sets map[setID][]dns.RR
}

func (e *edit) run(q *dns.Msg, p *policy, key string) int {
	for _, rr := range q.Ns {
		if !p.mayUpdate(key, e.z.name, dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype) {
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
	// The message may remove what the next record needs gone, so the order counts.
	for _, rr := range q.Ns {
		if e.redirected(rr) {
			return dns.RcodeRefused
		}
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
	case h.Class == dns.ClassINET && !readable(rr):
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

// readable reports whether a record can be read again from its presentation form. A record that was
// cut short cannot. Types without a mnemonic have no presentation form.
func readable(rr dns.RR) bool {
	h := rr.Header()
	if dns.TypeToString[h.Rrtype] == "" {
		return true
	}
	_, err := parseRecord(dns.CanonicalName(h.Name), h.Rrtype, 0, dataOf(rr))
	return err == nil
}

// change makes one change (RFC 2136 section 3.4.2). The serial and the last server of the zone stay
// the server's matter.
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

// add adds a record. A CNAME is the only record of its name: a record that would break this is
// ignored (RFC 2136 section 3.4.2.2), and so is a CNAME at the apex.
func (e *edit) add(id setID, rr dns.RR) {
	isCNAME := id.qtype == dns.TypeCNAME
	if isCNAME && id.name == e.z.name {
		return
	}
	for _, qtype := range e.types(id.name) {
		if (qtype == dns.TypeCNAME) != isCNAME {
			return
		}
	}
	have := e.get(id)
	if isSingle(id.qtype) {
		have = nil
	}
	e.sets[id] = append(without(have, []dns.RR{rr}), rr)
}

// result returns the sets to store. A deleted set is removed even if it was learned.
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

// inZone is a record of an update as the zone would hold it. A TTL that has its highest bit set
// counts as zero (RFC 2181 section 8), which is the zone's.
func inZone(rr dns.RR) dns.RR {
	rr = dns.Copy(rr)
	h := rr.Header()
	h.Name, h.Class = dns.CanonicalName(h.Name), dns.ClassINET
	// Such a TTL counts as zero, and not as the largest one.
	if h.Ttl > math.MaxInt32 {
		h.Ttl = 0
	}
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

// redirected reports whether a record would be below a DNAME, where questions never find it:
// updates that add such records must not be accepted (RFC 6672 section 5.2).
func (e *edit) redirected(rr dns.RR) bool {
	name := dns.CanonicalName(rr.Header().Name)
	if rr.Header().Class != dns.ClassINET || name == e.z.name {
		return false
	}
	for off, end := dns.NextLabel(name, 0); !end; off, end = dns.NextLabel(name, off) {
		if len(e.get(setID{name[off:], dns.TypeDNAME})) > 0 {
			return true
		}
		if name[off:] == e.z.name {
			break
		}
	}
	return false
}
