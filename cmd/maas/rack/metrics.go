package rack

import (
	"maps"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gomaas/maas/cmd/maas/internal/metrics"
	"github.com/gomaas/maas/dhcpsrv"
)

// transfers counts boot transfers by protocol, stage and result.
type transfers struct {
	count, bytes *prometheus.CounterVec
	took         *prometheus.HistogramVec
}

// newTransfers returns the collectors of boot transfers.
func newTransfers() transfers {
	return transfers{
		metrics.Counts("maas_boot_transfers_total", "Requests for boot files by protocol, stage and result.", "proto", "stage", "result"),
		metrics.Counts("maas_boot_transferred_bytes_total", "Bytes of boot files sent.", "proto", "stage", "result"),
		metrics.Durations("maas_boot_transfer_duration_seconds", "How long requests for boot files took.", "proto", "stage", "result"),
	}
}

// pages returns the pages of the HTTP boot server that are not boot files.
func (r *Rack) pages() map[string]http.Handler {
	return map[string]http.Handler{
		"/metrics": metrics.Handler(r),
		"/healthz": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }),
		"/readyz":  http.HandlerFunc(r.ready),
	}
}

// ready answers 503 until the rack has its first state, while one of its servers is dead, and after
// a write that failed until one succeeds.
func (r *Rack) ready(w http.ResponseWriter, _ *http.Request) {
	why := ""
	if r.snapshot.Load() == nil {
		why = "the rack was not yet told what to serve"
	}
	for _, s := range r.Report().Services {
		if s.Status == "dead" {
			why = s.Name + ": " + s.Info
		}
	}
	for what := range r.disk.errors() {
		why = what + ": cannot be written; the rack's report has the reason" // which can name files
	}
	if why != "" {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

// Describe implements prometheus.Collector. It describes nothing, since the labels depend on the
// site: the collector is "unchecked" in the terms of that package.
func (r *Rack) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector: it emits the rack's counters.
func (r *Rack) Collect(ch chan<- prometheus.Metric) {
	m := metrics.Sink(ch)
	r.dhcpMetrics(m)
	r.bootMetrics(m)
	dnsMetrics(m, r.dns.Stats())
	r.proxyMetrics(m)
	r.rpcMetrics(m)
}

// byKey yields the entries of a map in the order of their keys, so that a page is the same each
// time.
func byKey(f metrics.Family, label string, counts map[string]uint64) {
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		f.Add(float64(counts[key]), label, key)
	}
}

// dhcpMetrics emits the counters of the DHCP server.
func (r *Rack) dhcpMetrics(w metrics.Sink) {
	s, ads := r.dhcp.Stats(), r.radv.Stats()
	byKey(w.Counter("maas_dhcp_received_total", "DHCP messages received by type; those of DHCPv6 end with 6."), "message", s.Received)
	byKey(w.Counter("maas_dhcp_sent_total", "DHCP messages sent by type."), "message", s.Sent)
	byKey(w.Counter("maas_dhcp_unanswered_total", "DHCP messages dropped or refused by reason."), "reason", s.Reasons)
	byKey(w.Counter("maas_dhcp_lease_events_total", "Changes of leases by kind."), "kind", s.Events)
	w.Counter("maas_dhcp_journal_syncs_total", "Writes of the lease journal, each with one fsync.").Add(float64(s.Commits))
	w.Counter("maas_dhcp_journal_records_total", "Lease versions written to the journal.").Add(float64(s.Committed))
	w.Counter("maas_dhcp_journal_sync_seconds_total", "Time spent in writes of the lease journal.").Add(s.CommitTime.Seconds())
	w.Counter("maas_dhcp_journal_errors_total", "Writes of the lease journal that failed.").Add(float64(s.CommitErrors))
	errs := w.Counter("maas_dhcp_socket_errors_total", "Errors of DHCP sockets.")
	errs.Add(float64(s.ReadErrors+ads.ReadErrors), "direction", "read")
	errs.Add(float64(s.WriteErrors+ads.WriteErrors), "direction", "write")
	w.Counter("maas_dhcp_probes_total", "Addresses asked for before they were offered.").Add(float64(s.Probes))
	w.Counter("maas_dhcp_probes_ahead_total", "Addresses of pools probed before a client asked.").Add(float64(s.ProbesAhead))
	w.Counter("maas_dhcp_probes_missed_total", "Offers without a probe because too many were under way.").Add(float64(s.ProbesMissed))
	w.Counter("maas_dhcp_panics_total", "DHCP messages whose handling failed by a fault.").Add(float64(s.Panics))
	w.Counter("maas_dhcp_clock_set_total", "Times that the wall clock was found set; leases keep the time they have left.").Add(float64(s.ClockSet))
	w.Counter("maas_dhcp_router_advertisements_total", "Router advertisements sent.").Add(float64(ads.Sent))
	leases := map[[2]string]float64{}
	if snapshot := r.snapshot.Load(); snapshot != nil {
		for _, subnet := range snapshot.Subnets {
			leases[[2]string{subnet.Name, dhcpsrv.Bound.String()}] = 0
		}
	}
	for l := range r.dhcp.Leases() {
		leases[[2]string{l.Subnet, l.State.String()}]++
	}
	f := w.Gauge("maas_dhcp_leases", "Leases that are kept, by subnet and state.")
	for _, k := range slices.SortedFunc(maps.Keys(leases), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		f.Add(leases[k], "subnet", k[0], "state", k[1])
	}
}

// bootMetrics emits the counters of the boot servers.
func (r *Rack) bootMetrics(w metrics.Sink) {
	for _, c := range []prometheus.Collector{r.transfers.count, r.transfers.bytes, r.transfers.took} {
		c.Collect(w)
	}
	w.Counter("maas_boot_tftp_retransmits_total", "TFTP packets sent again.").Add(float64(r.retransmits.Load()))
	log := r.bootLog.Stats()
	f := w.Counter("maas_boot_log_packets_total", "Packets of syslog and netconsole by what became of them.")
	f.Add(float64(log.Dropped), "result", "dropped")
	f.Add(float64(log.Taken), "result", "taken")
	if r.images == nil {
		return
	}
	u := r.images.Usage()
	w.Gauge("maas_boot_images_bytes", "Size of the boot files of the region that are kept.").Add(float64(u.Bytes))
	w.Gauge("maas_boot_images_limit_bytes", "Size that the boot files of the region may have.").Add(float64(u.Limit))
	w.Gauge("maas_boot_images_missing", "Boot files of the region that profiles name and the rack does not have yet.").Add(float64(u.Missing))
	w.Counter("maas_boot_images_fetched_bytes_total", "Bytes of boot files fetched from other racks and the region.").Add(float64(u.Fetched))
	w.Counter("maas_boot_images_refused_total", "Pieces of boot files that were corrupt and not served.").Add(float64(u.Refused))
}

// proxyMetrics emits the counters of the proxy and its cache.
func (r *Rack) proxyMetrics(w metrics.Sink) {
	s := r.proxy.Stats()
	w.Counter("maas_proxy_requests_total", "Requests to the proxy.").Add(float64(s.Requests))
	w.Counter("maas_proxy_refused_total", "Requests that the proxy's policy does not allow.").Add(float64(s.Refused))
	w.Counter("maas_proxy_failed_total", "Requests whose origin did not answer well.").Add(float64(s.Failed))
	w.Counter("maas_proxy_tunnels_total", "Tunnels through the proxy.").Add(float64(s.Tunnels))
	w.Counter("maas_proxy_sent_bytes_total", "Bytes sent to clients of the proxy.").Add(float64(s.Bytes))
	c := s.Cache
	if c == nil {
		return
	}
	f := w.Counter("maas_proxy_cache_answers_total", "Answers of the proxy by what the cache did.")
	for _, x := range []struct {
		result string
		n      uint64
	}{{"collapsed", c.Collapsed}, {"hit", c.Hits}, {"miss", c.Misses}, {"partial", c.Partial}, {"passed", c.Passed}, {"stale", c.Stale}, {"validated", c.Validated}} {
		f.Add(float64(x.n), "result", x.result)
	}
	w.Counter("maas_proxy_cache_served_bytes_total", "Bytes of kept responses sent to clients.").Add(float64(c.ServedBytes))
	w.Counter("maas_proxy_cache_fetched_bytes_total", "Bytes of kept responses fetched from origins.").Add(float64(c.FetchedBytes))
	w.Gauge("maas_proxy_cache_objects", "Responses in the cache.").Add(float64(c.Objects))
	w.Gauge("maas_proxy_cache_bytes", "Size of the cache.").Add(float64(c.Bytes))
	w.Gauge("maas_proxy_cache_limit_bytes", "Size that the cache may have.").Add(float64(c.Limit))
}

// rpcMetrics emits the state of the sessions with regions.
func (r *Rack) rpcMetrics(w metrics.Sink) {
	waiting, dropped := r.outbox.Pending()
	w.Gauge("maas_rpc_sessions", "Sessions with regions.").Add(float64(r.sessions.Load()))
	w.Gauge("maas_rpc_outbox_facts", "Facts that no region has taken yet.").Add(float64(waiting))
	w.Counter("maas_rpc_outbox_dropped_total", "Facts dropped because too many waited.").Add(float64(dropped))
	topics := r.protocol.Status()
	f := w.Gauge("maas_rpc_topic_revision", "Revision of the state on disk by topic.")
	for _, t := range topics {
		f.Add(float64(t.Position.Revision), "topic", t.Name)
	}
	f = w.Gauge("maas_rpc_topic_refused", "1 where the state on disk is not served because it has a mistake.")
	for _, t := range topics {
		f.Add(map[bool]float64{true: 1}[t.Refused != ""], "topic", t.Name)
	}
}
