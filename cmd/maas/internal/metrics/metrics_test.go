package metrics_test

import (
	"errors"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/cmd/maas/internal/metrics"
	"github.com/gomaas/maas/cmd/maas/internal/metrics/metricstest"
)

func Example() {
	w := metrics.NewWriter(os.Stdout)
	w.Gauge("maas_dhcp_leases", "Leases in force.").Add(7, "subnet", "192.0.2.0/24")
	_ = w.Err()
	// Output:
	// # HELP maas_dhcp_leases Leases in force.
	// # TYPE maas_dhcp_leases gauge
	// maas_dhcp_leases{subnet="192.0.2.0/24"} 7
}

func TestHistogram(t *testing.T) {
	var h metrics.Histogram
	for _, d := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond, time.Hour} {
		h.Observe(d)
	}
	r := httptest.NewRecorder()
	metrics.Handler(func(w *metrics.Writer) {
		w.HistogramFamily("maas_request_duration_seconds", "How long.").Histogram(&h, "route", `a"b\c`+"\n")
	}).ServeHTTP(r, httptest.NewRequest("GET", "/metrics", nil))
	text := r.Body.String()
	for _, want := range []string{`le="0.001"} 2`, `le="0.005"} 3`, `le="60"} 3`, `le="+Inf"} 4`, `_sum{route="a\"b\\c\n"} 3600.004`, `_count{route="a\"b\\c\n"} 4`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if wrong := metricstest.Lint(text); wrong != nil {
		t.Error(wrong)
	}
}

func TestCounters(t *testing.T) {
	var c metrics.Counters[string]
	c.At("b").Count.Add(2)
	c.At("a").Count.Add(1)
	c.At("b").Count.Add(1)
	var got []string
	c.Sorted(strings.Compare, func(k string, e *metrics.Entry) { got = append(got, k+strings.Repeat("+", int(e.Count.Load()))) })
	if diff := cmp.Diff([]string{"a+", "b+++"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLintFinds(t *testing.T) {
	for _, text := range []string{
		"# HELP maas_x X.\n# TYPE maas_x counter\nmaas_x 1\n", "# HELP maas_x_total X.\n# TYPE maas_x_total gauge\nmaas_x_total 1\n",
		"# HELP maas_x_ms X.\n# TYPE maas_x_ms gauge\nmaas_x_ms 1\n", "# HELP maasX X.\n# TYPE maasX gauge\n", "# HELP maas_x \n# TYPE maas_x gauge\n",
		"# HELP maas_x X.\n# TYPE maas_x gauge\nmaas_x{a=\"1\"} 1\nmaas_x{a=\"1\"} 2\n", "# HELP maas_x X.\n# TYPE maas_x gauge\nmaas_y 1\n",
	} {
		if metricstest.Lint(text) == nil {
			t.Errorf("nothing found in %q", text)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestErrorIsKept(t *testing.T) {
	w := metrics.NewWriter(broken{})
	w.Counter("maas_x_total", "X.").Add(1)
	if w.Err() == nil {
		t.Error("no error")
	}
}

func BenchmarkObserve(b *testing.B) {
	b.ReportAllocs()
	var c metrics.Counters[[2]string]
	for b.Loop() {
		c.At([2]string{"tftp", "loader"}).Took.Observe(time.Millisecond)
	}
}
