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
	"github.com/gomaas/maas/rpc"
)

// tracedTopics makes what is done with each update a span, in the trace of the change where that came along.
func tracedTopics(rack string, trace *tracing.Tracer, topics []rpc.Topic) []rpc.Topic {
	if trace == nil {
		return topics
	}
	for i, t := range topics {
		start := func(ctx context.Context, objects int, whole bool) (context.Context, tracing.Span) {
			ctx, span := trace.StartServing(ctx, "serve "+t.Name)
			at := rpc.Serving(ctx)
			span.Text("maas.rack", rack)
			span.Text("maas.topic", t.Name)
			span.Text("maas.state.epoch", at.Epoch)
			span.Int("maas.state.revision", int64(at.Revision))
			span.Int("maas.objects", int64(objects))
			span.Bool("maas.publish.whole", whole)
			return ctx, span
		}
		topics[i].Apply = func(ctx context.Context, objects map[string][]byte) error {
			ctx, span := start(ctx, len(objects), true)
			defer span.End()
			err := t.Apply(ctx, objects)
			span.Fail(err)
			return err
		}
		if t.Change == nil {
			continue
		}
		topics[i].Change = func(ctx context.Context, changed []rpc.Object) error {
			ctx, span := start(ctx, len(changed), false)
			defer span.End()
			err := t.Change(ctx, changed)
			span.Fail(err)
			return err
		}
	}
	return topics
}

// tracedAccess makes what the proxy fetched from elsewhere spans. Answers of the cache alone are none, nor is what a URL asks for
// behind its path told.
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
		span.Text("http.request.method", a.Method[:min(len(a.Method), 32)]) // the client's words
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

// bootTraces makes a span of each boot when it is over, with one below it for each step. Only run uses the boots.
type bootTraces struct {
	trace  *tracing.Tracer
	rack   string
	nameOf func(net.HardwareAddr) string
	events chan pxe.Event
	boots  map[string]tracedBoot // by MAC
}

// tracedBoot is a boot that is followed. What comes after a system reported that it runs belongs to it and is not told of.
type tracedBoot struct {
	pxe.Attempt
	ran  time.Time // when that was heard, zero before
	told bool
}

const (
	// bootQueue is how many events may wait, and maxBoots how many boots are followed at a time; more are not told of.
	bootQueue = 1024
	maxBoots  = 10_000
	// bootOver is the silence after which a boot counts as over.
	bootOver = 10 * time.Minute
	// settleTime is how long after its system reported a boot is told of: the servers may tell later how the last file went.
	settleTime = 2 * time.Second
	// lookForOver is how often that is looked for.
	lookForOver = time.Second
)

// newBootTraces returns nil, which takes events and does nothing, without a tracer.
func newBootTraces(trace *tracing.Tracer, rack string, nameOf func(net.HardwareAddr) string) *bootTraces {
	if trace == nil {
		return nil
	}
	return &bootTraces{trace: trace, rack: rack, nameOf: nameOf, events: make(chan pxe.Event, bootQueue), boots: map[string]tracedBoot{}}
}

// add never waits: machines do.
func (b *bootTraces) add(e pxe.Event) {
	if b == nil || len(e.MAC) == 0 || e.Probe {
		return
	}
	select {
	case b.events <- e:
	default:
	}
}

// run follows boots until ctx ends. Those that are under way then are told of as they are.
func (b *bootTraces) run(ctx context.Context) error {
	ticker := time.NewTicker(lookForOver)
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

func (b *bootTraces) follow(e pxe.Event) {
	key := string(e.MAC)
	last, known := b.boots[key]
	next := tracedBoot{Attempt: last.Next(e), ran: last.ran, told: last.told}
	if known && !next.Start.Equal(last.Start) {
		b.tell(last)
		next.ran, next.told = time.Time{}, false
	}
	if next.Running && next.ran.IsZero() {
		next.ran = time.Now()
	}
	if known || len(b.boots) < maxBoots {
		b.boots[key] = next
	}
}

// settle tells of the boots whose systems reported a while ago.
func (b *bootTraces) settle(now time.Time) {
	for key, a := range b.boots {
		if a.Running && !a.told && now.Sub(a.ran) >= settleTime {
			b.tell(a)
			a.told = true
			b.boots[key] = a
		}
	}
}

func (b *bootTraces) end(over func(tracedBoot) bool) {
	for key, a := range b.boots {
		if over(a) {
			delete(b.boots, key)
			b.tell(a)
		}
	}
}

// tell makes the spans of a boot, once.
func (b *bootTraces) tell(a tracedBoot) {
	if a.told {
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
