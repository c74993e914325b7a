package metrics_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gomaas/maas/cmd/maas/internal/metrics"
)

// shop is a collector with samples of each kind.
type shop struct {
	sold *prometheus.CounterVec
	took *prometheus.HistogramVec
}

// Describe implements prometheus.Collector.
func (s shop) Describe(ch chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(s, ch)
}

// Collect implements prometheus.Collector.
func (s shop) Collect(ch chan<- prometheus.Metric) {
	s.sold.Collect(ch)
	s.took.Collect(ch)
	m := metrics.Sink(ch)
	m.Gauge("maas_open", "1 while open.").Add(1)
	f := m.Counter("maas_doors_total", "Doors by name.")
	f.Add(2, "door", "back\xe9")
	f.Add(3, "door", "front")
}

func newShop() shop {
	s := shop{
		metrics.Counts("maas_sold_total", "Things sold.", "what"),
		metrics.Durations("maas_sale_duration_seconds", "Time of sales.", "what"),
	}
	s.sold.WithLabelValues("tea").Add(2)
	s.took.WithLabelValues("tea").Observe((30 * time.Millisecond).Seconds())
	return s
}

func TestHandler(t *testing.T) {
	w := httptest.NewRecorder()
	metrics.Handler(newShop()).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var got []string
	for line := range strings.Lines(w.Body.String()) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") && !strings.Contains(line, "_bucket") {
			got = append(got, line)
		}
	}
	want := []string{
		`maas_doors_total{door="back?"} 2`, `maas_doors_total{door="front"} 3`, `maas_open 1`,
		`maas_sale_duration_seconds_sum{what="tea"} 0.03`, `maas_sale_duration_seconds_count{what="tea"} 1`, `maas_sold_total{what="tea"} 2`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	if !strings.Contains(w.Body.String(), `maas_sale_duration_seconds_bucket{what="tea",le="0.05"} 1`) {
		t.Errorf("buckets: %s", w.Body.String())
	}
}

func TestRegister(t *testing.T) {
	if remove, err := metrics.Register(nil, newShop()); err != nil {
		t.Error(err)
	} else {
		remove()
	}
	s := newShop()
	registry := prometheus.NewRegistry()
	remove, err := metrics.Register(registry, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := metrics.Register(registry, s); err == nil {
		t.Error("a second registration is no error")
	}
	remove()
	if families, err := registry.Gather(); err != nil || len(families) != 0 {
		t.Errorf("after the removal: %v, %v", families, err)
	}
}
