package dnssrv

import (
	"cmp"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Stats holds counters since the server was made, and its present content.
type Stats struct {
	Dropped uint64 // questions dropped because too many of their socket were waiting for upstreams
	Panics  uint64 // questions whose handling failed by a fault of this package; the log has them
	// Answers are those to questions other than transfers and updates, by response code such as
	// "NXDOMAIN". Codes without answers are left out.
	Answers map[string]uint64
	Cache   CacheStats
	// Upstreams lists the upstreams of the present forwarding rules, by address and name.
	Upstreams []UpstreamStats
}

// CacheStats is about questions that were forwarded.
type CacheStats struct {
	Hits       uint64 // answered from the cache
	Misses     uint64 // answered by an upstream
	Stale      uint64 // answered by what had ended, since no upstream answered
	Failed     uint64 // answered with SERVFAIL, since none did
	Prefetches uint64 // fetched again before they ended
	Entries    int    // answers that are kept
	Bytes      int    // of memory that they take, about
	Limit      int    // that they may take
}

// UpstreamStats is about one server that questions are forwarded to. It counts from when it was
// named in the rules.
type UpstreamStats struct {
	Server  netip.AddrPort
	TLSName string // empty: not asked over TLS
	// Resting says that it failed lately, and that others are preferred for a while.
	Resting bool
	// NoEDNS says that it refused EDNS lately, and is asked without for a while.
	NoEDNS bool
	Delay  time.Duration // smoothed time to answer; zero when it never answered
	Asked  uint64
	Failed uint64 // questions among them that were not answered, or not by an answer to them
}

// cacheCounts are of all caches that a server had.
type cacheCounts struct{ hits, misses, stale, failed, prefetches atomic.Uint64 }

// tally is a loop's own count until its batch is done: a counter shared by all loops is expensive
// to touch for each question.
type tally struct {
	answers    [16]uint64 // by response code
	hits       uint64
	prefetches uint64
}

// add counts an answer by the octet of its header that has the code.
func (t *tally) add(flags byte, cached, refresh bool) {
	t.answers[flags&0xF]++
	if cached {
		t.hits++
	}
	if refresh {
		t.prefetches++
	}
}

// count adds a tally, which is empty then.
func (s *Server) count(t *tally) {
	for code, n := range t.answers {
		if n > 0 {
			s.answers[code].Add(n)
		}
	}
	if t.hits > 0 {
		s.cached.hits.Add(t.hits)
		s.cached.prefetches.Add(t.prefetches)
	}
	*t = tally{}
}

// Stats returns the counters as they are.
func (s *Server) Stats() Stats {
	out := Stats{Dropped: s.dropped.Load(), Panics: s.panics.Load(), Answers: map[string]uint64{}}
	for code := range s.answers {
		if n := s.answers[code].Load(); n > 0 {
			out.Answers[cmp.Or(dns.RcodeToString[code], "other")] += n
		}
	}
	c := &s.cached
	out.Cache = CacheStats{
		Hits: c.hits.Load(), Misses: c.misses.Load(), Stale: c.stale.Load(), Failed: c.failed.Load(), Prefetches: c.prefetches.Load(),
		Limit: maxCacheBytes,
	}
	f := s.forwarding.Load()
	if f.cache != nil {
		f.cache.mu.RLock()
		out.Cache.Entries, out.Cache.Bytes = len(f.cache.entries), f.cache.bytes
		f.cache.mu.RUnlock()
	}
	for _, u := range f.upstreams() {
		out.Upstreams = append(out.Upstreams, u.stats())
	}
	slices.SortFunc(out.Upstreams, func(a, b UpstreamStats) int {
		return cmp.Or(a.Server.Compare(b.Server), cmp.Compare(a.TLSName, b.TLSName))
	})
	return out
}

func (u *upstream) stats() UpstreamStats {
	u.mu.Lock()
	defer u.mu.Unlock()
	return UpstreamStats{
		Server: u.key.addr, TLSName: u.key.tlsName, Resting: time.Now().Before(u.rest), NoEDNS: time.Now().Before(u.basicUntil), Delay: u.delay, Asked: u.asked, Failed: u.failed,
	}
}
