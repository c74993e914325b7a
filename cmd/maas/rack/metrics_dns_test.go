package rack

import (
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/gomaas/maas/cmd/maas/internal/metrics"
	"github.com/gomaas/maas/dnssrv"
)

// dnsCollector emits the metrics of given numbers.
type dnsCollector struct{ stats dnssrv.Stats }

func (c dnsCollector) Describe(chan<- *prometheus.Desc)    {}
func (c dnsCollector) Collect(ch chan<- prometheus.Metric) { dnsMetrics(metrics.Sink(ch), c.stats) }

func TestDNSMetrics(t *testing.T) {
	write := func(s dnssrv.Stats) string {
		w := httptest.NewRecorder()
		metrics.Handler(dnsCollector{s}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		text := w.Body.String()
		if problems, err := promlint.New(strings.NewReader(text)).Lint(); err != nil || len(problems) > 0 {
			t.Errorf("%v, %v in:\n%s", problems, err, text)
		}
		return text
	}
	write(dnssrv.Stats{})
	text := write(dnssrv.Stats{
		Answers: map[string]uint64{"NOERROR": 9}, Cache: dnssrv.CacheStats{Hits: 7, Stale: 1, Prefetches: 2, Entries: 3, Bytes: 999, Limit: 1000},
		Upstreams: []dnssrv.UpstreamStats{
			{Server: netip.MustParseAddrPort("192.0.2.1:53"), Asked: 5, Failed: 1, Delay: 20 * time.Millisecond},
			{Server: netip.MustParseAddrPort("[2001:db8::1]:853"), TLSName: "dns.example", Resting: true},
		},
	})
	for _, want := range []string{
		`maas_dns_cache_answers_total{result="hit"} 7`, `maas_dns_cache_answers_total{result="stale"} 1`, "maas_dns_cache_prefetches_total 2", "maas_dns_cache_entries 3",
		`maas_dns_upstream_questions_total{server="192.0.2.1:53",tls_name=""} 5`, `maas_dns_upstream_latency_seconds{server="192.0.2.1:53",tls_name=""} 0.02`,
		`maas_dns_upstream_healthy{server="[2001:db8::1]:853",tls_name="dns.example"} 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
}
