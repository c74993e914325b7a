package dnssrv

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// Answers to plain questions are put together from records that were encoded when they were set. An
// encoded record has its owner as a pointer to the question (RFC 1035 section 4.1.4), which is
// always at the same place, so that the same bytes serve whatever case the client wrote the name
// in.
const (
	headerSize  = 12
	toQuestion  = 0xC000 | headerSize
	ownerSize   = 2  // a compression pointer
	ttlAt       = 6  // in an encoded record: after owner, type and class
	rdLenAt     = 10 // after the TTL
	fixedSize   = 12 // up to the data
	optSize     = 11 // an OPT record without options
	maxWireName = 255
)

// encode sets p.wire. Types whose answers carry more than themselves are left to the general
// handler.
func (p *parsed) encode() {
	p.wire = nil
	switch p.qtype {
	case dns.TypeCNAME, dns.TypeNS, dns.TypeMX, dns.TypeSRV, dns.TypeDS:
		return
	}
	var buf [4096]byte
	var out []byte
	for _, rr := range p.records {
		n, err := dns.PackRR(rr, buf[:], 0, nil, false)
		if err != nil {
			return
		}
		out = appendRecord(out, toQuestion, buf[:n])
	}
	p.wire = append(make([]byte, 0, len(out)), out...)
}

// appendRecord appends an encoded record with its owner replaced by a pointer.
func appendRecord(out []byte, owner uint16, rr []byte) []byte {
	at := 0
	for rr[at] != 0 {
		at += int(rr[at]) + 1
	}
	return append(binary.BigEndian.AppendUint16(out, owner), rr[at+1:]...)
}

// setTTL writes ttl into each of the encoded records.
func setTTL(records []byte, ttl uint32) {
	for len(records) >= fixedSize {
		binary.BigEndian.PutUint32(records[ttlAt:], ttl)
		records = records[fixedSize+int(binary.BigEndian.Uint16(records[rdLenAt:])):]
	}
}

// encodeDenial sets z.denial from z.soa.
func (z *zoneData) encodeDenial() {
	var buf [1024]byte
	z.denial = nil
	if n, err := dns.PackRR(z.soa, buf[:], 0, nil, false); err == nil {
		z.denial = appendRecord(nil, toQuestion, buf[:n])
	}
}

// plain is a question of the common form: one name, class IN, a type that is data, at most an OPT
// record without options.
type plain struct {
	name    [maxWireName + 4]byte // as the zones key it: lower case, labels ended by dots; room for the rest of a cache key
	size    int                   // of name
	end     int                   // of the question in the message
	qtype   uint16
	limit   int // size of the largest answer
	edns    bool
	do      bool
	locked  bool // the server's lock is held
	refresh bool // set when the answer comes from the cache, which should be asked for it again
	tally
}

// parse reads a message. It returns false for everything that is not plain, which the general
// handler then judges.
func (p *plain) parse(q []byte) bool {
	const queryBits = 0xFA // QR, opcode and TC of the third octet; AA is of no meaning in a question
	// The shortest question has a root name, type and class.
	if len(q) < headerSize+5 || q[2]&queryBits != 0 || q[3]&0x0F != 0 {
		return false
	}
	if binary.BigEndian.Uint32(q[4:]) != 1<<16 || binary.BigEndian.Uint16(q[8:]) != 0 { // one question, nothing else
		return false
	}
	if !p.parseName(q) || len(q) < p.end+4 {
		return false
	}
	p.qtype = binary.BigEndian.Uint16(q[p.end:])
	class := binary.BigEndian.Uint16(q[p.end+2:])
	p.end += 4
	if class != dns.ClassINET || !isPlainType(p.qtype) {
		return false
	}
	p.limit, p.edns, p.do, p.refresh = dns.MinMsgSize, false, false, false
	switch extra := binary.BigEndian.Uint16(q[10:]); {
	case extra == 0:
		return len(q) == p.end
	case extra > 1 || len(q) != p.end+optSize:
		return false
	}
	return p.parseOPT(q[p.end:])
}

// parseOPT reads an OPT record of version 0 without options (RFC 6891 section 6.1.2).
func (p *plain) parseOPT(rr []byte) bool {
	// An extended code, another version or options are for the general handler.
	if rr[0] != 0 || binary.BigEndian.Uint16(rr[1:]) != dns.TypeOPT || rr[6] != 0 || rr[9] != 0 || rr[10] != 0 {
		return false
	}
	p.edns, p.do = true, rr[7]&0x80 != 0
	p.limit = min(max(int(binary.BigEndian.Uint16(rr[3:])), dns.MinMsgSize), maxUDP)
	return true
}

// isPlainType reports whether a type only means data at a name, without rules of its own.
func isPlainType(qtype uint16) bool {
	switch qtype {
	// The apex has them without a node, and a DS is the parent's.
	case 0, dns.TypeNS, dns.TypeSOA, dns.TypeDS, dns.TypeOPT:
		return false
	}
	return qtype < 128 || qtype > dns.TypeANY && qtype < dns.TypeTA
}

// parseName reads the name of the question. Octets that zone files would escape are left to the
// general handler.
func (p *plain) parseName(q []byte) bool {
	p.size = 0
	at := headerSize
	for {
		if at >= len(q) {
			return false
		}
		n := int(q[at])
		at++
		if n == 0 {
			break
		}
		// A pointer has the two highest bits set, so it fails here too.
		if n > 63 || at+n >= len(q) || p.size+n+1 >= maxWireName {
			return false
		}
		for _, c := range q[at : at+n] {
			if c = plainOctet[c]; c == 0 {
				return false
			}
			p.name[p.size] = c
			p.size++
		}
		p.name[p.size] = '.'
		p.size++
		at += n
	}
	p.end = at
	return p.size > 0
}

// plainOctet maps letters to lower case, digits and some marks to themselves, everything else to
// zero.
var plainOctet = func() (table [256]byte) {
	for c := range 256 {
		switch {
		case c >= 'A' && c <= 'Z':
			table[c] = byte(c) + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '*':
			table[c] = byte(c)
		}
	}
	return table
}()
