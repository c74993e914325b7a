package dnssrv

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// appendPlain answers a plain question into out, which has room for maxUDP bytes, without
// allocating. It returns zero if the general handler has to answer, and less if no answer is due.
// Its answer is the general handler's, except for the compression of names.
func (s *Server) appendPlain(p *plain, q, out []byte, client netip.Addr) int {
	if !p.parse(q) {
		return 0
	}
	f := s.forwarding.Load()
	recursion := f.allows(client)
	out = append(out[:0], q[:p.end]...)
	out[2] = 0x80 | q[2]&0x01 // QR, RD
	out[3] = q[3] & 0x10      // CD
	if recursion {
		out[3] |= 0x80
	}
	// No records yet; the counts are set by what is appended.
	clear(out[6:headerSize])
	s.mu.RLock()
	p.locked = true // for answerPlain, should this panic: faster than a deferred unlock
	out, found := s.data.appendPlain(p, out)
	p.locked = false
	s.mu.RUnlock()
	cached := found == elsewhere && recursion && q[2]&0x01 != 0
	if cached {
		out, found = f.cache.appendPlain(p, q, out)
	}
	if found != answered {
		return 0
	}
	size := p.finish(out)
	if size > 0 && !recursion && s.limiter.concerns(client, f.allow) {
		size = s.limiter.limit(out[:size], p.end, client)
	}
	p.refresh = p.refresh && size != 0 // what does not fit is for the general handler, which does not only fetch it
	if size > 0 {
		p.tally.add(out[3], cached, p.refresh)
	}
	return size
}

// A finding is the result of a lookup on the plain path.
type finding int

const (
	unusual   finding = iota // the general handler has to answer
	elsewhere                // not in any zone
	answered
)

// appendPlain appends the answer when it is known and fresh.
func (c *cache) appendPlain(p *plain, q, out []byte) ([]byte, finding) {
	cd := q[3]&0x10 != 0
	e := c.get(appendKey(p.name[:p.size], p.qtype, p.do, cd))
	if e == nil {
		return out, unusual
	}
	age := time.Since(e.stored)
	// A stale answer needs a try at the upstream first, and a long one TCP.
	if age >= e.ttl || len(out)+len(e.body) > maxUDP-optSize {
		return out, unusual
	}
	p.refresh = e.wantsRefresh(age)
	out[3] |= e.rcode
	if e.ad && (p.do || q[3]&0x20 != 0) {
		out[3] |= 0x20
	}
	return e.append(out, age), answered
}

// finish adds the OPT record and returns the size, zero when the answer is too large for the
// client.
func (p *plain) finish(out []byte) int {
	if p.edns {
		var flags byte
		if p.do {
			flags = 0x80
		}
		out = append(out, 0, 0, byte(dns.TypeOPT), maxUDP>>8, maxUDP&0xFF, 0, 0, flags, 0, 0, 0)
		out[11]++
	}
	if len(out) > p.limit {
		return 0
	}
	return len(out)
}

// appendPlain appends what the zones say to a message that ends with its question.
func (d *data) appendPlain(p *plain, out []byte) ([]byte, finding) {
	name := p.name[:p.size]
	apex := 0
	var z *zoneData
	for {
		if z = d.zones[string(name[apex:])]; z != nil {
			break
		}
		if apex = next(name, apex); apex == len(name) {
			return out, elsewhere
		}
	}
	// Referrals carry glue, names below a DNAME a CNAME, and signed answers proofs.
	if z.cuts > 0 && z.below(name, apex) || z.signer != nil && (p.do || apex == 0) {
		return out, unusual
	}
	out[2] |= 0x04 // AA
	n := z.nodes[string(name)]
	set := n.get(p.qtype)
	switch {
	case set != nil:
		return z.positive(set, out)
	case n.get(dns.TypeCNAME) != nil:
		return out, unusual
	case n == nil && apex > 0 && (z.conf.Answer != nil || !z.denies(name, apex)):
		return out, unusual
	case n == nil && apex > 0:
		out[3] |= dns.RcodeNameError
	}
	return z.negative(out, apex)
}

// positive appends the records of a set.
func (z *zoneData) positive(set *parsed, out []byte) ([]byte, finding) {
	if set.wire == nil || len(out)+len(set.wire) > maxUDP-optSize {
		return out, unusual
	}
	at := len(out)
	out = append(out, set.wire...)
	if set.ttl == 0 {
		setTTL(out[at:], z.ttl)
	}
	binary.BigEndian.PutUint16(out[6:], uint16(len(set.records)))
	return out, answered
}

// negative appends the SOA record of the zone, whose name starts at apex within the question's.
func (z *zoneData) negative(out []byte, apex int) ([]byte, finding) {
	if z.denial == nil || len(out)+len(z.denial) > maxUDP-optSize {
		return out, unusual
	}
	at := len(out)
	out = append(out, z.denial...)
	binary.BigEndian.PutUint16(out[at:], uint16(0xC000|(headerSize+apex)))
	out[9] = 1
	return out, answered
}

// below reports whether name is at or below a delegation, or below a DNAME.
func (z *zoneData) below(name []byte, apex int) bool {
	for at := 0; at < apex; at = next(name, at) {
		n := z.nodes[string(name[at:])]
		if n.get(dns.TypeNS) != nil || at > 0 && n.get(dns.TypeDNAME) != nil {
			return true
		}
	}
	return apex > 0 && z.nodes[z.name].get(dns.TypeDNAME) != nil
}

// denies reports whether a name without node does not exist at all: neither by a wildcard nor by a
// range. It overwrites labels of the name that it is done with.
func (z *zoneData) denies(name []byte, apex int) bool {
	if len(z.ranges) > 0 {
		return false
	}
	for at := next(name, 0); ; at = next(name, at) {
		if at < apex && z.nodes[string(name[at:])] == nil {
			continue
		}
		// The label before has at least one octet and a dot: enough room for "*.".
		wild := name[at-2:]
		wild[0] = '*'
		return z.nodes[string(wild)] == nil
	}
}

// next returns the offset of the label after the one at the given offset, len(name) at the end.
func next(name []byte, at int) int {
	for name[at] != '.' {
		at++
	}
	return at + 1
}
