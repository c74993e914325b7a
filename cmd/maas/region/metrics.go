package region

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/pprof"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gomaas/maas/cmd/maas/internal/metrics"
	"github.com/gomaas/maas/store"
)

// calls counts requests to the API by method, route and status.
type calls struct {
	count *prometheus.CounterVec
	took  *prometheus.HistogramVec
}

// newCalls has no registry: Collect passes on its counters with the region's.
func newCalls() calls {
	return calls{
		metrics.Counts("maas_api_requests_total", "Requests to the API by method, route and status.", "method", "route", "code"),
		metrics.Durations("maas_api_request_duration_seconds", "How long requests to the API took.", "method", "route", "code"),
	}
}

// called counts a request to the API.
func (r *Region) called(route string, code int, took time.Duration) {
	// The route, not the path: paths contain IDs, and each would be a time series.
	method, path, _ := strings.Cut(strings.TrimSuffix(route, "{$}"), " ")
	by := []string{method, path, strconv.Itoa(code)}
	r.calls.count.WithLabelValues(by...).Inc()
	r.calls.took.WithLabelValues(by...).Observe(took.Seconds())
}

// pages adds metrics, health and the page to the API. Metrics and health need no key: monitors and
// load balancers have none.
func (r *Region) pages(api, page http.Handler) http.Handler {
	counts := metrics.Handler(r)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/metrics":
			counts.ServeHTTP(w, req)
		case "/healthz":
			_, _ = w.Write([]byte("ok\n"))
		case "/readyz":
			r.ready(w, req)
		default:
			if r.isAPI(req.URL.Path) {
				api.ServeHTTP(w, req)
				return
			}
			page.ServeHTTP(w, req)
		}
	})
}

// profiles adds the profiles of the program, on the command socket alone: they reveal memory.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}

// readyTime is the time that the database has for an answer before the region counts as not ready.
const readyTime = 2 * time.Second

// needed are the tasks without which a region is not ready. Others, such as the power monitor,
// leave the API and the racks as they are: a load balancer must not take the region out for them.
var needed = []string{taskPublish, taskAPI, taskSocket, taskRacks}

// ready answers 503 if the database does not respond, if its last write failed, or if a needed task
// is down, so that a load balancer sends clients to another region. Other tasks that are down are
// in the text.
func (r *Region) ready(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), readyTime)
	defer cancel()
	if _, err := r.inv.Revision(ctx); err != nil {
		r.log.Error("not ready", "err", err)
		http.Error(w, "the database does not answer; the region's log has the reason", http.StatusServiceUnavailable)
		return
	}
	if err := r.db.WriteError(); err != nil {
		r.log.Error("not ready", "err", err)
		http.Error(w, "the database cannot be written: "+withoutName(err), http.StatusServiceUnavailable)
		return
	}
	failed := r.tasks.Failed()
	status, text := http.StatusOK, "ok\n"
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		if slices.Contains(needed, name) {
			status = http.StatusServiceUnavailable
		}
		text += name + " is down and started again; the region's log has the reason\n"
	}
	if status != http.StatusOK {
		text = strings.TrimPrefix(text, "ok\n")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

// withoutName returns what is wrong with the database and the cure, without the path or the address
// of it: any client may read the page.
func withoutName(err error) string {
	if file := (*store.OpenError)(nil); errors.As(err, &file) {
		return file.Why + "; " + file.Cure
	}
	return "the region's log has the reason"
}

// Describe implements prometheus.Collector. It describes nothing, which makes the collector an
// unchecked one: the label values depend on the site.
func (r *Region) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector: it emits the region's counters. Numbers from the
// database are missing while it does not respond.
func (r *Region) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	r.calls.count.Collect(ch)
	r.calls.took.Collect(ch)
	m := metrics.Sink(ch)
	m.Gauge("maas_tasks_failed", "Tasks of the region that are down and started again.").Add(float64(len(r.tasks.Failed())))
	m.Gauge("maas_rpc_racks_connected", "Racks with a session with this region.").Add(float64(len(r.rpc.Racks())))
	if rev, err := r.inv.Revision(ctx); err == nil {
		m.Gauge("maas_store_revision", "Revision of the change feed.").Add(float64(rev))
	}
	if racks, err := r.inv.Racks.List(ctx); err == nil {
		m.Gauge("maas_racks", "Racks of the site.").Add(float64(len(racks)))
	}
}
