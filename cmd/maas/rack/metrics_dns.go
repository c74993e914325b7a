package rack

import (
	"github.com/gomaas/maas/cmd/maas/internal/metrics"
	"github.com/gomaas/maas/dnssrv"
)

// dnsMetrics emits the counters of the DNS server.
func dnsMetrics(w metrics.Sink, s dnssrv.Stats) {
	byKey(w.Counter("maas_dns_answers_total", "DNS answers by response code."), "rcode", s.Answers)
	w.Counter("maas_dns_dropped_total", "DNS questions dropped because too many waited for upstreams.").Add(float64(s.Dropped))
	w.Counter("maas_dns_panics_total", "DNS questions whose handling failed by a fault.").Add(float64(s.Panics))
	c := s.Cache
	byKey(w.Counter("maas_dns_cache_answers_total", "DNS answers to forwarded questions by where they came from: the cache, an upstream, what had ended, nowhere."),
		"result", map[string]uint64{"hit": c.Hits, "miss": c.Misses, "stale": c.Stale, "failed": c.Failed})
	w.Counter("maas_dns_cache_prefetches_total", "DNS answers fetched again before they ended.").Add(float64(c.Prefetches))
	w.Gauge("maas_dns_cache_entries", "DNS answers in the cache.").Add(float64(c.Entries))
	w.Gauge("maas_dns_cache_bytes", "Memory of the DNS cache.").Add(float64(c.Bytes))
	w.Gauge("maas_dns_cache_limit_bytes", "Memory that the DNS cache may take.").Add(float64(c.Limit))
	upstreamMetrics(w, s.Upstreams)
}

// upstreamMetrics emits the counters of each upstream resolver.
func upstreamMetrics(w metrics.Sink, upstreams []dnssrv.UpstreamStats) {
	for _, m := range []struct {
		family func(name, help string) metrics.Family
		name   string
		help   string
		of     func(dnssrv.UpstreamStats) float64
	}{
		{w.Counter, "maas_dns_upstream_questions_total", "Questions asked of a DNS upstream.", func(u dnssrv.UpstreamStats) float64 { return float64(u.Asked) }},
		{w.Counter, "maas_dns_upstream_failures_total", "Questions that a DNS upstream did not answer well.", func(u dnssrv.UpstreamStats) float64 { return float64(u.Failed) }},
		{w.Gauge, "maas_dns_upstream_latency_seconds", "Smoothed time to answer of a DNS upstream; 0 when it never did.", func(u dnssrv.UpstreamStats) float64 { return u.Delay.Seconds() }},
		{w.Gauge, "maas_dns_upstream_healthy", "0 while a DNS upstream is passed over because it failed.", func(u dnssrv.UpstreamStats) float64 {
			return map[bool]float64{false: 1}[u.Resting]
		}},
	} {
		f := m.family(m.name, m.help)
		for _, u := range upstreams {
			f.Add(m.of(u), "server", u.Server.String(), "tls_name", u.TLSName)
		}
	}
}
