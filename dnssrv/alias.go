package dnssrv

import (
	"context"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// followAlias adds to an answer whose aliases lead out of the zones, to end, what is there: stub resolvers do not go on by
// themselves (RFC 1034 section 5.3.1). What leads back into a zone is answered from it. Where nobody can be asked, the answer
// stays as it is.
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

// within adds what the zones have at the end of an alias of somebody else. It returns the name outside of them to go on with,
// empty at the end and for a name that is in none of them: its server has answered already.
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
			s.log.Error("answer not signed", "question", own.Question, "err", err)
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

// aliasOf is where the aliases of an answer end without what was asked for, empty when they do not.
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
