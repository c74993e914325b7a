package dnssrv

import (
	"context"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// followAlias completes an answer whose aliases lead out of the zones, to end, because stub
// resolvers do not follow them (RFC 1034 section 5.3.1). An alias that leads back into a zone is
// answered from the zone. Without an upstream to ask, the answer stays as it is.
func (s *Server) followAlias(ctx context.Context, q, m *dns.Msg, end string) {
	f := s.forwarding.Load()
	for range maxChain {
		if who, _ := f.groupOf(end); len(who) == 0 || inChain(m.Answer, end) {
			return
		}
		ask := q.Copy()
		ask.Question[0].Name = end
		rest := new(dns.Msg).SetReply(ask)
		f.forward(ctx, ask, rest)
		m.Answer = slices.Concat(m.Answer, rest.Answer)
		m.Ns, m.Rcode = rest.Ns, rest.Rcode
		back := aliasOf(rest)
		if back == "" {
			return
		}
		if inChain(m.Answer, back) { // it goes in circles: all of it is in the answer
			m.Ns, m.Rcode = nil, dns.RcodeSuccess
			return
		}
		if end = s.within(q, m, back); end == "" {
			return
		}
	}
}

// within adds the zones' records at the end of a foreign alias. It returns the next name outside of
// the zones, empty at the end of the chain. It is empty too for a name that is in no zone, since
// its server has answered already.
func (s *Server) within(q, m *dns.Msg, name string) (end string) {
	own := new(dns.Msg).SetReply(q)
	own.Question = []dns.Question{{Name: name, Qtype: q.Question[0].Qtype, Qclass: dns.ClassINET}}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.data.answer(own) {
		return ""
	}
	if opt := q.IsEdns0(); opt != nil && opt.Do() {
		if err := s.data.secure(own, time.Now()); err != nil {
			s.faults.Error("answer not signed", "question", own.Question, "err", err)
			m.Answer, m.Ns, m.Rcode = nil, nil, dns.RcodeServerFailure
			return ""
		}
	}
	m.Answer = slices.Concat(m.Answer, own.Answer)
	m.Ns, m.Rcode = own.Ns, own.Rcode
	if next, z := s.data.end(own); z == nil {
		return next
	}
	return ""
}

// aliasOf returns the end of an answer's aliases if the records asked for are missing there, else
// an empty name.
func aliasOf(m *dns.Msg) (name string) {
	qtype := m.Question[0].Qtype
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.CNAME:
			name = dns.CanonicalName(rr.Target)
		case *dns.RRSIG:
		default:
			if rr.Header().Rrtype == qtype {
				return ""
			}
		}
	}
	return name
}
