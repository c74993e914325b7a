package dnssrv

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// basicLife is the time for which an upstream is asked without EDNS after it refused EDNS. It is
// long, because such servers are replaced rather than mended, but it ends: a question with EDNS
// costs one round trip, and a server that was updated gives larger answers and signatures.
const basicLife = 30 * time.Minute

// negotiate asks with EDNS, and again without when the server does not know EDNS. Servers older
// than EDNS answer FORMERR or NOTIMP, with the question or with the header alone (RFC 6891 section
// 7); BADVERS comes from servers that know it in another version. A server that does not answer at
// all is not asked again without: that would double every wait for a dead one.
func (u *upstream) negotiate(ctx context.Context, q *dns.Msg, wait time.Duration) (*dns.Msg, error) {
	if q.IsEdns0() == nil {
		return u.exchange(ctx, q, wait)
	}
	if u.basic() {
		return u.exchange(ctx, basicQuestion(q), wait)
	}
	answer, err := u.exchange(ctx, q, wait)
	if err != nil {
		return nil, err
	}
	if !refusesMessage(answer) {
		u.noteEDNS(true, answer)
		return answer, nil
	}
	refusal := answer
	if answer, err = u.exchange(ctx, basicQuestion(q), wait); err != nil {
		return nil, err
	}
	// A server that refuses both ways refuses something else, such as the type: that says nothing
	// about EDNS.
	if !refusesMessage(answer) {
		u.noteEDNS(false, refusal)
	}
	return answer, nil
}

// refusesMessage reports whether the server could not read the message, or not all of it.
func refusesMessage(answer *dns.Msg) bool {
	switch answer.Rcode {
	case dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeBadVers:
		return true
	}
	return false
}

// basicQuestion is the question as RFC 1035 has it. The bits AD and CD are younger than that, and
// some servers refuse what they knew as reserved; one without EDNS cannot validate anyway.
func basicQuestion(q *dns.Msg) *dns.Msg {
	out := new(dns.Msg)
	out.MsgHdr, out.Question = q.MsgHdr, q.Question
	out.AuthenticatedData, out.CheckingDisabled = false, false
	return out
}

// basic reports whether the upstream lately refused EDNS.
func (u *upstream) basic() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return time.Now().Before(u.basicUntil)
}

// noteEDNS remembers whether the upstream takes EDNS. The log gets one line, and not one each half
// hour.
func (u *upstream) noteEDNS(takes bool, answer *dns.Msg) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if takes {
		u.basicUntil, u.basicKnown = time.Time{}, false
		return
	}
	u.basicUntil = time.Now().Add(basicLife)
	if !u.basicKnown {
		u.basicKnown = true
		u.log.Warn("upstream without EDNS", "server", u.key.addr, "result", dns.RcodeToString[answer.Rcode])
	}
}
