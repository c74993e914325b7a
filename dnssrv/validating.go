package dnssrv

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// proofLife is the time for which the result of probing an upstream is believed.
const proofLife = 10 * time.Minute

// validating are the upstreams that validate. Those of which that is not known are asked now.
func (g group) validating(ctx context.Context) group {
	var out group
	for _, u := range g {
		if u.validates(ctx) {
			out = append(out, u)
		}
	}
	return out
}

// validates reports whether an upstream validates, by a question about the root, which is signed.
// An upstream that does not answer is not known to validate, and is asked again next time.
func (u *upstream) validates(ctx context.Context) bool {
	u.mu.Lock()
	known, proven := time.Now().Before(u.provenUntil), u.proven
	u.mu.Unlock()
	if known {
		return proven
	}
	q := new(dns.Msg)
	// Resolvers have the root's SOA in their cache, so that the probe costs nothing.
	q.SetQuestion(".", dns.TypeSOA)
	q.AuthenticatedData = true
	q.SetEdns0(maxUDP, true)
	answer, err := u.ask(ctx, q, u.patience())
	if err != nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.proven, u.provenUntil = answer.AuthenticatedData, time.Now().Add(proofLife)
	return u.proven
}
