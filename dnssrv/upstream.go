package dnssrv

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// How long servers may take. Each try waits a few times as long as the server lately took, within
// these limits.
const (
	firstWait   = time.Second // for a server never asked
	leastWait   = 300 * time.Millisecond
	mostWait    = 2 * time.Second
	allTries    = 5 * time.Second
	longestRest = 30 * time.Second // of a server that fails
	rounds      = 4                // of asking all, each with twice the patience
	deadAfter   = 6                // failures in a row
)

type upstreamKey struct {
	addr    netip.AddrPort
	tlsName string
}

// An upstream is a server that is asked, with what is known of its health.
type upstream struct {
	key    upstreamKey
	secure *tlsPool // when it is asked over TLS
	log    *slog.Logger

	mu       sync.Mutex    // guards the fields below
	delay    time.Duration // smoothed time to answer, zero when never asked
	failures int           // in a row
	asked    uint64
	failed   uint64
	rest     time.Time // others are preferred until then
	// basicUntil is the time until which it is asked without EDNS, as it refused that.
	basicUntil time.Time
	basicKnown bool // logged, and not to be logged again
	// proven is whether it validates, as far as is known until provenUntil.
	proven      bool
	provenUntil time.Time
}

// environment holds what all upstreams of a server share.
type environment struct {
	log   *slog.Logger
	roots *x509.CertPool
}

// A group of upstreams know the same.
type group []*upstream

func newGroup(servers []netip.AddrPort, tlsName string, env environment, known map[upstreamKey]*upstream) (group, error) {
	var g group
	for _, server := range servers {
		// The unspecified address would be this host, and a question to itself a loop.
		if !server.IsValid() || server.Port() == 0 || server.Addr().IsUnspecified() {
			return nil, fmt.Errorf("dnssrv: forwarder %q needs an address and a port", server)
		}
		key := upstreamKey{server, tlsName}
		// The delay and the failures of a server outlive a change of the rules.
		if known[key] == nil {
			known[key] = &upstream{key: key, log: env.log}
			if tlsName != "" {
				known[key].secure = newTLSPool(server, tlsName, env.roots)
			}
		}
		g = append(g, known[key])
	}
	return g, nil
}

// ask tries the servers, the fastest that works first, until one gives an answer that is worth
// passing on. All are asked twice; while none says anything, which is also what a resolver does
// that has to look for long, with more patience again, as long as one of them may be alive.
func (g group) ask(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, allTries)
	defer cancel()
	err := errNoServer
	for round := range rounds {
		said, hope := false, false
		for _, u := range g.ordered() {
			if ctx.Err() != nil {
				return nil, err
			}
			var answer *dns.Msg
			// The wait doubles each round: a resolver that looks for long is then not asked in vain
			// again.
			if answer, err = u.ask(ctx, q, u.patience()<<round); err == nil {
				return answer, nil
			}
			said, hope = said || !timedOut(err), hope || !u.dead()
		}
		// One that said something would say it again, and dead ones say nothing.
		if round > 0 && (said || !hope) {
			break
		}
	}
	return nil, err
}

func timedOut(err error) bool {
	var slow net.Error
	return errors.As(err, &slow) && slow.Timeout()
}

// ordered is the order in which to try. Servers that are passed over seem a little faster each
// time, so that each is tried again some day.
func (g group) ordered() group {
	if len(g) < 2 {
		return g
	}
	type standing struct {
		resting bool
		delay   time.Duration
	}
	now := time.Now()
	at := make(map[*upstream]standing, len(g))
	for _, u := range g {
		u.mu.Lock()
		at[u] = standing{now.Before(u.rest), u.delay}
		u.mu.Unlock()
	}
	out := slices.Clone(g)
	slices.SortStableFunc(out, func(a, b *upstream) int {
		sa, sb := at[a], at[b]
		switch {
		case sa.resting != sb.resting && sa.resting:
			return 1
		case sa.resting != sb.resting:
			return -1
		}
		return int(sa.delay - sb.delay)
	})
	for _, u := range out[1:] {
		u.mu.Lock()
		// After some 90 questions a server that was passed over seems twice as fast.
		u.delay -= u.delay / 128
		u.mu.Unlock()
	}
	return out
}

var errUseless = errors.New("dnssrv: the server failed or refused")

// ask asks this server once, and waits for the answer at most for wait.
func (u *upstream) ask(ctx context.Context, q *dns.Msg, wait time.Duration) (*dns.Msg, error) {
	asked := time.Now()
	answer, err := u.negotiate(ctx, q, wait)
	switch {
	case err != nil:
	case answer.Rcode == dns.RcodeServerFailure || answer.Rcode == dns.RcodeRefused || refusesMessage(answer):
		u.mu.Lock()
		u.asked, u.failed = u.asked+1, u.failed+1
		u.mu.Unlock()
		return nil, errUseless // says nothing about the server's health: it may be about this name only
	// An answer to another question is a late or a forged one (RFC 5452 section 9.1).
	case len(answer.Question) != 1 || answer.Question[0].Qtype != q.Question[0].Qtype ||
		!strings.EqualFold(answer.Question[0].Name, q.Question[0].Name):
		err = errors.New("dnssrv: the server answered another question")
	}
	// A client that gave up shows nothing about the server.
	if ctx.Err() == nil {
		u.note(err, time.Since(asked))
	}
	return answer, err
}

func (u *upstream) patience() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.delay == 0 {
		return firstWait
	}
	// Four times the mean leaves room for names that the server must look for itself.
	return min(max(4*u.delay, leastWait), mostWait)
}

// dead reports whether it has not answered for long.
func (u *upstream) dead() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failures == deadAfter
}

func (u *upstream) note(err error, took time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked++
	switch {
	case err != nil:
		u.failed++
		u.failures = min(u.failures+1, deadAfter)
		// The shift is bounded by deadAfter: 1, 2, 4, 8, 16 and 30 seconds.
		u.rest = time.Now().Add(min(time.Second<<(u.failures-1), longestRest))
		return
	case u.delay == 0:
		// Zero means that the server was never asked.
		u.delay = max(took, 1)
	default:
		u.delay += (took - u.delay) / 4
	}
	u.failures, u.rest = 0, time.Time{}
}

// exchange asks over UDP, and over TCP when the answer did not fit; or over TLS. It waits at most
// for wait.
func (u *upstream) exchange(ctx context.Context, q *dns.Msg, wait time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	q = q.Copy()
	// A fresh random ID, together with the random port, is what makes forging hard (RFC 5452).
	q.Id = dns.Id()
	if u.key.tlsName != "" {
		return u.secure.exchange(ctx, q)
	}
	answer, _, err := (&dns.Client{Net: "udp", UDPSize: maxUDP, Timeout: allTries}).ExchangeContext(ctx, q, u.key.addr.String())
	if err == nil && answer.Truncated {
		answer, _, err = (&dns.Client{Net: "tcp", Timeout: allTries}).ExchangeContext(ctx, q, u.key.addr.String())
	}
	return answer, err
}
