package region

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/tracing"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

// rack returns a caller for a rack whose calls are traced.
func (r *Region) rack(name string) rpc.Caller { return r.trace.Caller(r.rpc.Rack(name), name) }

// tracedRequests returns the function that starts the span of a request to the API; nil = no
// traces. Bodies and queries are left out, since they may hold passwords; the name of an operation
// is kept.
func (r *Region) tracedRequests() func(*http.Request, string, string) (context.Context, func(int)) {
	if r.trace == nil {
		return nil
	}
	return func(req *http.Request, route, user string) (context.Context, func(int)) {
		route = strings.TrimSuffix(route, "{$}")
		ctx, span := r.trace.StartRequest(req, route)
		_, path, _ := strings.Cut(route, " ")
		span.Text("http.request.method", req.Method)
		span.Text("http.route", path)
		span.Text("url.path", req.URL.Path)
		span.Text("user.name", user)
		if op := req.URL.Query().Get("op"); isOperation(op) {
			span.Text("maas.op", op)
		}
		return r.commits.Note(ctx, span), func(status int) {
			span.Int("http.response.status_code", int64(status))
			if status >= http.StatusInternalServerError {
				span.FailText(fmt.Sprint("answered ", status))
			}
			span.End()
		}
	}
}

// isOperation reports whether op looks like the name of an operation. Clients may write anything
// there, which must not fill the store of traces.
func isOperation(op string) bool {
	return len(op) < 40 && !strings.ContainsFunc(op, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') })
}

// sentState counts the objects of a publication for its span.
type sentState struct {
	positions map[[2]string]rpc.Position // by rack and topic
	topics    map[string]*sentTopic      // of this publication; nil = it is not traced
}

// sentTopic sums up one topic of a publication.
type sentTopic struct{ racks, changed, objects int }

// sent counts the objects that a rack was sent.
func (r *Region) sent(rack, topic string, objects int, now rpc.Position) {
	s := &r.published.sent
	if s.topics == nil {
		return // most publications are not traced
	}
	t := s.topics[topic]
	if t == nil {
		t = &sentTopic{}
		s.topics[topic] = t
	}
	t.racks++
	t.objects += objects
	if key := [2]string{rack, topic}; s.positions[key] != now {
		s.positions[key] = now
		t.changed++
	}
}

// tracePublication starts the span of a publication, and has racks continue it when they apply the
// state. The returned function ends it.
func (r *Region) tracePublication(ctx context.Context, began time.Time, whole bool, changes *inventory.Changes) (told func(error)) {
	if r.trace == nil {
		return func(error) {}
	}
	s := &r.published.sent
	if s.positions == nil {
		s.positions = map[[2]string]rpc.Position{}
	}
	s.topics = map[string]*sentTopic{}
	ctx, span := r.trace.StartPublishing(ctx, &r.commits, r.published.model.Revision, began)
	span.Bool("maas.publish.whole", whole)
	span.Int("maas.racks", int64(len(r.published.model.Racks)))
	if changes != nil {
		for name, n := range map[string]int{
			"machines": max(len(changes.Before.Machines), len(changes.After.Machines)), "devices": max(len(changes.Before.Devices), len(changes.After.Devices)),
			"addresses": max(len(changes.Before.Orphans), len(changes.After.Orphans)), "records": max(len(changes.Before.Records), len(changes.After.Records)),
		} {
			if n > 0 {
				span.Int("maas.changed."+name, int64(n))
			}
		}
	}
	carried := r.trace.Metadata(ctx)
	for _, rack := range r.published.model.Racks {
		r.rpc.State(rack.Name).Carry(carried)
	}
	return func(err error) {
		for _, name := range slices.Sorted(maps.Keys(s.topics)) {
			t := s.topics[name]
			span.Counted(name, map[string]int{"maas.objects": t.objects, "maas.racks": t.racks, "maas.racks.changed": t.changed})
		}
		s.topics = nil
		span.Fail(err)
		span.End()
	}
}

// tellPower ends the span of a power request with a step for each exchange with the BMC.
func tellPower(span tracing.Span, m inventory.Machine, result power.Result, err error) {
	if !span.Recording() {
		return
	}
	span.Text("maas.machine", m.FQDN)
	span.Text("maas.power.type", m.Power.Type)
	span.Text("maas.power.state", string(result.State))
	for _, s := range result.Steps {
		name := s.Op
		if s.Err != "" {
			name += " failed"
		}
		span.Event(name, s.Time)
	}
	span.Fail(err)
	span.End()
}
