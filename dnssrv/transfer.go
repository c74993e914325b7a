package dnssrv

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// privileged answers what may take a signature: transfers, updates, and all that is signed.
func (s *Server) privileged(ctx context.Context, q *dns.Msg, in []byte, client netip.Addr, datagram bool) [][]byte {
	sign, tsigError := s.verify(q, in)
	var messages []*dns.Msg
	switch {
	case tsigError != 0:
		return s.badSignature(q, tsigError, sign)
	case len(q.Question) != 1:
		messages = []*dns.Msg{new(dns.Msg).SetRcode(q, dns.RcodeFormatError)}
	case q.Opcode == dns.OpcodeUpdate:
		messages = []*dns.Msg{new(dns.Msg).SetRcode(q, s.dynamicUpdate(ctx, q, in, sign.key, client))}
	case q.Opcode == dns.OpcodeQuery && isTransfer(q.Question[0].Qtype):
		messages = s.transfer(q, client, sign.key, datagram)
	default:
		messages = []*dns.Msg{s.handle(ctx, q, client)}
	}
	var out [][]byte
	for _, m := range messages {
		if m == nil {
			return nil
		}
		again := sign // as if this were not signed yet
		wire, err := sign.pack(m, time.Now().Unix())
		if err != nil {
			s.faults.Error("answer not encoded", "question", q.Question, "err", err)
			return nil
		}
		// The signature is made again, since it covers the TC bit.
		if datagram && len(wire) > maxUDP {
			m.Answer, m.Ns, m.Extra, m.Truncated = nil, nil, nil, true
			if wire, err = again.pack(m, time.Now().Unix()); err != nil {
				return nil
			}
		}
		out = append(out, wire)
	}
	return out
}

// badSignature reports to the client what is wrong with its signature (RFC 8945 section 5.2). For a
// wrong time the answer has the server's time and is signed with the client's.
func (s *Server) badSignature(q *dns.Msg, tsigError uint16, sign signer) [][]byte {
	t, now := q.IsTsig(), uint64(time.Now().Unix())
	m := new(dns.Msg).SetRcode(q, dns.RcodeNotAuth)
	answer := &dns.TSIG{
		Hdr:       dns.RR_Header{Name: t.Hdr.Name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY},
		Algorithm: t.Algorithm, TimeSigned: now, Fudge: tsigFudge, OrigId: q.Id, Error: tsigError,
	}
	m.Extra = []dns.RR{answer}
	var out []byte
	var err error
	if tsigError == dns.RcodeBadTime {
		answer.TimeSigned, answer.OtherLen, answer.OtherData = t.TimeSigned, 6, fmt.Sprintf("%012x", now)
		out, _, err = dns.TsigGenerate(m, sign.secret, sign.mac, false)
	} else {
		out, err = m.Pack()
	}
	if err != nil {
		return nil
	}
	return [][]byte{out}
}

// transfer answers AXFR (RFC 5936) and IXFR (RFC 1995).
func (s *Server) transfer(q *dns.Msg, client netip.Addr, key string, datagram bool) []*dns.Msg {
	question := q.Question[0]
	incremental := question.Qtype == dns.TypeIXFR
	refused := []*dns.Msg{new(dns.Msg).SetRcode(q, dns.RcodeRefused)}
	zone := dns.CanonicalName(question.Name)
	// AXFR has no form over UDP (RFC 5936 section 4.2).
	if !s.policy.Load().mayTransfer(zone, client, key) || datagram && !incremental {
		return refused
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	z := s.data.zones[zone]
	if z == nil {
		return []*dns.Msg{new(dns.Msg).SetRcode(q, dns.RcodeNotAuth)}
	}
	records := []dns.RR{z.soa}
	switch {
	case datagram: // what fits is the serial; the client comes over TCP
	case incremental:
		records = s.data.since(z, q)
	default:
		records = s.data.whole(z)
	}
	return split(q, records)
}

// since is the body of an IXFR answer: nothing but the SOA for who is up to date, the changes or,
// when they are not all known, the zone.
func (d *data) since(z *zoneData, q *dns.Msg) []dns.RR {
	if len(q.Ns) == 0 {
		return d.whole(z)
	}
	soa, ok := q.Ns[0].(*dns.SOA)
	if !ok {
		return d.whole(z)
	}
	// The difference wraps: serials are compared in a circle.
	if int32(z.serial-soa.Serial) <= 0 { // RFC 1982
		return []dns.RR{z.soa}
	}
	steps, ok := z.journal.since(soa.Serial)
	if !ok {
		return d.whole(z)
	}
	out := []dns.RR{z.soa}
	for _, step := range steps {
		out = append(append(out, step.from), step.gone...)
		out = append(append(out, step.to), step.new...)
	}
	return append(out, z.soa)
}

// whole is the body of an AXFR answer.
func (d *data) whole(z *zoneData) []dns.RR {
	out := append([]dns.RR{z.soa}, d.records(z)...)
	return append(out, z.soa)
}

// maxTransfer is the number of bytes of records in one message. Compression pointers reach 16 KiB,
// so that names can be compressed to the end of it.
const maxTransfer = 15 << 10

// split spreads records over messages.
func split(q *dns.Msg, records []dns.RR) []*dns.Msg {
	var out []*dns.Msg
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && (n == 0 || size+dns.Len(records[n]) <= maxTransfer) {
			size += dns.Len(records[n])
			n++
		}
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		m.Answer = records[:n]
		// Further messages need no question (RFC 5936 section 2.2.1), which saves its octets.
		if len(out) > 0 {
			m.Question = nil
		}
		out, records = append(out, m), records[n:]
	}
	return out
}
