package rack

import (
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/supervise"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
)

// health holds the states of the rack's servers.
type health struct {
	supervise.Tasks

	mu     sync.Mutex         // guards silent
	silent map[string]silence // by upstream resolver
}

// silence is the state of a resolver that does not answer.
type silence struct {
	since    time.Time
	answered uint64 // questions that it had answered before
}

// services are the reported servers, with the topic that each one serves from.
var services = [...]struct{ task, name, topic string }{
	{"dhcp", "dhcp", dhcprpc.Topic}, {"dhcpv6", "dhcp6", dhcprpc.Topic}, {"tftp", "tftp", pxerpc.Topic}, {"http", "http", pxerpc.Topic},
	{"dns", "dns", dnsrpc.Topic}, {"proxy", "proxy", proxyrpc.Topic},
}

// Report returns the health of the rack's servers at this moment.
func (r *Rack) Report() inventory.RackReport {
	waiting, dropped := r.outbox.Pending()
	topics := r.protocol.Status()
	refused := map[string]string{}
	report := inventory.RackReport{Version: r.cfg.Version, Started: r.health.Started(), Waiting: waiting, Dropped: dropped, Services: []inventory.RackService{}}
	for _, t := range topics {
		if refused[t.Name] = t.Refused; t.Refused != "" {
			refused[t.Name] = served(t) + t.Refused
		}
		report.Topics = append(report.Topics, reportOf(t))
	}
	for _, s := range services {
		status, info := "off", ""
		running, failed := r.health.State(s.task)
		switch {
		case failed != "":
			status, info = "dead", failed
		case s.task == "proxy" && !r.proxying.open():
		case running > 0 && refused[s.topic] != "":
			status, info = "degraded", refused[s.topic]
		case running > 0:
			status = "running"
		}
		report.Services = append(report.Services, inventory.RackService{Name: s.name, Status: status, Info: info})
	}
	report.Troubles = r.health.troubles(r.dns.Stats().Upstreams, time.Now())
	trouble := func(what, text string) {
		if report.Troubles == nil {
			report.Troubles = map[string]string{}
		}
		report.Troubles[what] = text
	}
	for what, err := range r.disk.errors() {
		trouble(what, "cannot be written: "+err)
	}
	if _, failed := r.health.State(bootLogTask); failed != "" {
		trouble(bootLogTask, failed)
	}
	for _, file := range r.damaged {
		name, _, _ := strings.Cut(filepath.Base(file), ".damaged-")
		trouble(name, "was damaged at the start and is made anew; the old file is "+file)
	}
	return report
}

// troubles returns the resolvers that do not answer. A server that rests is asked again after a
// while and may fail again: it is well only after an answer.
func (h *health) troubles(upstreams []dnssrv.UpstreamStats, now time.Time) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	next, out := map[string]silence{}, map[string]string{}
	for _, u := range upstreams {
		name := "upstream " + u.Server.Addr().String()
		was, silent := h.silent[name]
		switch {
		case !silent && !u.Resting, silent && u.Asked-u.Failed > was.answered:
			continue
		case !silent:
			was = silence{now, u.Asked - u.Failed}
		}
		next[name] = was
		out[name] = "does not answer since " + was.since.Format(time.TimeOnly)
	}
	h.silent = next
	if len(out) == 0 {
		return nil
	}
	return out
}

// served names the state that is served in place of a refused one.
func served(t rpc.TopicStatus) string {
	if t.Served == (rpc.Position{}) {
		return "serves nothing yet: "
	}
	return "serves older state: "
}

// reportOf returns the state of one server.
func reportOf(t rpc.TopicStatus) inventory.RackTopic {
	out := inventory.RackTopic{Name: t.Name, Revision: t.Position.Revision, Refused: t.Refused}
	if t.Served.Epoch == t.Position.Epoch {
		out.Served = t.Served.Revision
	}
	return out
}
