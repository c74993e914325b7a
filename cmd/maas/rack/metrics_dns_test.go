package rack

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/metrics"
	"github.com/gomaas/maas/cmd/maas/internal/metrics/metricstest"
	"github.com/gomaas/maas/dnssrv"
)

func TestDNSMetrics(t *testing.T) {
	write := func(s dnssrv.Stats) string {
		var b strings.Builder
		w := metrics.NewWriter(&b)
		dnsMetrics(w, s)
		if err := w.Err(); err != nil {
			t.Fatal(err)
		}
		if wrong := metricstest.Lint(b.String()); wrong != nil {
			t.Errorf("%v in:\n%s", wrong, b.String())
		}
		return b.String()
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
