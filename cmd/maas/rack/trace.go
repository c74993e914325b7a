package rack

import (
	"context"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/tracing"
	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/pxe"
)

// tracedAccess makes a span of each fetch of the proxy from an origin. Answers from the cache have
// no span. The span holds the path of the URL but not its query, which may hold secrets.
func tracedAccess(cfg Config, trace *tracing.Tracer) func(proxy.Access) {
	if trace == nil {
		return cfg.AccessLog
	}
	return func(a proxy.Access) {
		if cfg.AccessLog != nil {
			cfg.AccessLog(a)
		}
		if strings.HasPrefix(a.Cache, "hit") {
			return
		}
		_, span := trace.StartAt(context.Background(), "proxy", a.Time)
		span.Text("http.request.method", a.Method[:min(len(a.Method), 32)]) // from the client, so its length is bounded
		span.Text("maas.rack", cfg.Name)
		span.Text("client.address", a.Client.String())
		if u, err := url.Parse(a.URL); err == nil {
			span.Text("server.address", u.Host)
			span.Text("url.path", u.Path)
		}
		span.Text("maas.proxy.cache", a.Cache)
		span.Int("http.response.status_code", int64(a.Status))
		span.Int("http.response.body.size", a.Bytes)
		span.EndAt(a.Time.Add(a.Duration))
	}
}

// bootTraces makes a span of each boot after its end, with a child span for each step. Only run
// uses the map of boots.
type bootTraces struct {
	trace  *tracing.Tracer
	rack   string
	nameOf func(net.HardwareAddr) string
	events chan pxe.Event
	boots  map[string]tracedBoot // by MAC
}

// tracedBoot is a boot in progress. Events after the system reported that it runs belong to the
// boot but are not emitted.
type tracedBoot struct {
	pxe.Attempt
	ran     time.Time // time of that report; zero before
	emitted bool
}

const (
	// bootQueue is the number of events that may wait; maxBoots is the number of boots that are
	// followed at a time. More events and boots are dropped.
	bootQueue = 1024
	maxBoots  = 10_000
	// bootOver is the silence after which a boot counts as over.
	bootOver = 10 * time.Minute
	// settleTime is the pause between a system's report and the span of its boot: the servers may
	// report the end of the last transfer later than the system reports itself.
	settleTime = 2 * time.Second
	// overCheck is the interval at which boots are checked for their end.
	overCheck = time.Second
)

// newBootTraces returns nil if trace is nil; a nil bootTraces ignores events.
func newBootTraces(trace *tracing.Tracer, rack string, nameOf func(net.HardwareAddr) string) *bootTraces {
	if trace == nil {
		return nil
	}
	return &bootTraces{trace: trace, rack: rack, nameOf: nameOf, events: make(chan pxe.Event, bootQueue), boots: map[string]tracedBoot{}}
}

// add never blocks, since its callers answer machines.
func (b *bootTraces) add(e pxe.Event) {
	if b == nil || len(e.MAC) == 0 || e.Probe {
		return
	}
	select {
	case b.events <- e:
	default:
	}
}

// run follows boots until ctx ends. Boots in progress are then emitted as they are.
func (b *bootTraces) run(ctx context.Context) error {
	ticker := time.NewTicker(overCheck)
	defer ticker.Stop()
	for {
		select {
		case e := <-b.events:
			b.follow(e)
		case now := <-ticker.C:
			b.settle(now)
			b.end(func(a tracedBoot) bool { return now.Sub(a.Last) > bootOver })
		case <-ctx.Done():
			for len(b.events) > 0 {
				b.follow(<-b.events)
			}
			b.end(func(tracedBoot) bool { return true })
			return nil
		}
	}
}

// follow adds an event to the boot of its machine.
func (b *bootTraces) follow(e pxe.Event) {
	key := string(e.MAC)
	last, known := b.boots[key]
	next := tracedBoot{Attempt: last.Next(e), ran: last.ran, emitted: last.emitted}
	if len(next.Steps) == 0 {
		return // lines of a boot that is over
	}
	if known && !next.Start.Equal(last.Start) {
		b.emit(last)
		next.ran, next.emitted = time.Time{}, false
	}
	if next.Running && next.ran.IsZero() {
		next.ran = time.Now()
	}
	if known || len(b.boots) < maxBoots {
		b.boots[key] = next
	}
}

// settle emits the boots whose systems reported at least settleTime ago.
func (b *bootTraces) settle(now time.Time) {
	for key, a := range b.boots {
		if a.Running && !a.emitted && now.Sub(a.ran) >= settleTime {
			b.emit(a)
			a.emitted = true
			b.boots[key] = a
		}
	}
}

// end emits and forgets the boots that are over.
func (b *bootTraces) end(over func(tracedBoot) bool) {
	for key, a := range b.boots {
		if over(a) {
			delete(b.boots, key)
			b.emit(a)
		}
	}
}

// emit makes the spans of a boot, once.
func (b *bootTraces) emit(a tracedBoot) {
	if a.emitted {
		return
	}
	ctx, span := b.trace.StartAt(context.Background(), "boot", a.Start)
	span.Text("maas.rack", b.rack)
	span.Text("maas.mac", a.MAC.String())
	span.Text("maas.machine", b.nameOf(a.MAC))
	span.Text("maas.boot.method", a.Method)
	span.Text("maas.boot.profile", a.Profile)
	span.Int("maas.bytes", a.Bytes)
	span.Bool("maas.boot.running", a.Running)
	span.Text("maas.boot.diagnosis", a.Diagnosis(time.Now()))
	span.FailText(a.Steps[len(a.Steps)-1].Err)
	for _, s := range a.Steps {
		_, step := b.trace.StartAt(ctx, string(s.Stage), s.Start)
		step.Text("url.path", s.Path)
		step.Text("network.protocol.name", s.Proto)
		step.Int("maas.bytes", s.Bytes)
		step.Int("maas.tries", int64(s.Tries))
		step.Int("maas.retransmits", int64(s.Retransmits))
		step.Bool("maas.absent", s.Absent)
		step.FailText(s.Err)
		step.EndAt(s.End)
	}
	span.EndAt(a.Last)
}
