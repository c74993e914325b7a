// Package metrics joins numbers that a package counts by itself to the collectors of Prometheus.
//
//	func (r *Rack) Collect(ch chan<- prometheus.Metric) {
//		m := metrics.Sink(ch)
//		m.Gauge("maas_dhcp_leases", "Leases in force.").Add(7, "subnet", "192.0.2.0/24")
//	}
package metrics

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Sink receives the samples of one collection.
type Sink chan<- prometheus.Metric

// Family is the samples of one name.
type Family struct {
	to         Sink
	name, help string
	kind       prometheus.ValueType
}

// Counter begins a family of numbers that only grow. The name ends with _total.
func (s Sink) Counter(name, help string) Family {
	return Family{s, name, help, prometheus.CounterValue}
}

// Gauge begins a family of numbers that rise and fall.
func (s Sink) Gauge(name, help string) Family {
	return Family{s, name, help, prometheus.GaugeValue}
}

// Add emits one sample. Labels are names and values by turns.
func (f Family) Add(value float64, labels ...string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names = append(names, labels[i])
		values = append(values, strings.ToValidUTF8(labels[i+1], "?")) // others fail the collection
	}
	f.to <- prometheus.MustNewConstMetric(prometheus.NewDesc(f.name, f.help, names, nil), f.kind, value, values...)
}

// bounds are the upper ends of buckets, in seconds: from an answer out of memory to the time after
// which a client gives up.
var bounds = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60}

// Durations returns histograms of durations, by labels.
func Durations(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds}, labels)
}

// Counts returns numbers that only grow, by labels. The name ends with _total.
func Counts(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// Register adds a collector to an embedder's registry, if that is not nil, and returns the function
// that removes it.
func Register(to prometheus.Registerer, c prometheus.Collector) (remove func(), err error) {
	if to == nil {
		return func() {}, nil
	}
	if err := to.Register(c); err != nil {
		return nil, err
	}
	return func() { to.Unregister(c) }, nil
}

// collectTime is the time after which a collection fails.
const collectTime = 10 * time.Second

// Handler answers with the samples of one collector.
func Handler(c prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, Timeout: collectTime})
}
