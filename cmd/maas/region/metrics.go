package region

import (
	"cmp"
	"context"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/metrics"
)

// apiCall is what requests to the API are counted by.
type apiCall struct {
	route string // method and pattern
	code  int
}

func (c apiCall) compare(o apiCall) int {
	return cmp.Or(strings.Compare(c.route, o.route), cmp.Compare(c.code, o.code))
}

// called counts a request to the API.
func (r *Region) called(route string, code int, took time.Duration) {
	e := r.calls.At(apiCall{strings.TrimSuffix(route, "{$}"), code})
	e.Count.Add(1)
	e.Took.Observe(took)
}

// pages adds what watches a region to what serves it.
func (r *Region) pages(api http.Handler) http.Handler {
	counts := metrics.Handler(func(w *metrics.Writer) { r.Metrics(context.Background(), w) })
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/metrics":
			counts.ServeHTTP(w, req)
		case "/healthz":
			_, _ = w.Write([]byte("ok\n"))
		case "/readyz":
			r.ready(w, req)
		default:
			api.ServeHTTP(w, req)
		}
	})
}

// profiles adds what profiles the program, for who may do everything.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}

// readyTime is how long the database may take before the region counts as not ready.
const readyTime = 2 * time.Second

// ready answers 503 while the database does not answer.
func (r *Region) ready(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), readyTime)
	defer cancel()
	if _, err := r.inv.Revision(ctx); err != nil {
		r.log.Error("not ready", "err", err)
		http.Error(w, "the database does not answer; the region's log has the reason", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// Metrics writes what the region counts. Of a database that does not answer there is nothing.
func (r *Region) Metrics(ctx context.Context, w *metrics.Writer) {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	labels := func(c apiCall) []string {
		method, path, _ := strings.Cut(c.route, " ")
		return []string{"method", method, "route", path, "code", strconv.Itoa(c.code)}
	}
	f := w.Counter("maas_api_requests_total", "Requests to the API by method, route and status.")
	r.calls.Sorted(apiCall.compare, func(c apiCall, e *metrics.Entry) { f.Add(float64(e.Count.Load()), labels(c)...) })
	f = w.HistogramFamily("maas_api_request_duration_seconds", "How long requests to the API took.")
	r.calls.Sorted(apiCall.compare, func(c apiCall, e *metrics.Entry) { f.Histogram(&e.Took, labels(c)...) })
	w.Gauge("maas_rpc_racks_connected", "Racks with a session with this region.").Add(float64(len(r.rpc.Racks())))
	if rev, err := r.inv.Revision(ctx); err == nil {
		w.Gauge("maas_store_revision", "Revision of the change feed.").Add(float64(rev))
	}
	if racks, err := r.inv.Racks(ctx); err == nil {
		w.Gauge("maas_racks", "Racks of the site.").Add(float64(len(racks)))
	}
}
