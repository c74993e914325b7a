package tracing

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/gomaas/maas/rpc"
)

// carrier reads and writes contexts as W3C has them.
var carrier propagation.TraceContext

// StartRequest begins the span of a request to the API, below that which the client named, if any.
func (t *Tracer) StartRequest(r *http.Request, name string) (context.Context, Span) {
	if t == nil {
		return r.Context(), Span{}
	}
	return t.start(carrier.Extract(r.Context(), propagation.HeaderCarrier(r.Header)), name, oteltrace.SpanKindServer, time.Time{})
}

// Metadata returns the metadata of calls and state by which their spans join the trace of ctx. It
// is nil if ctx has no trace.
func (t *Tracer) Metadata(ctx context.Context) map[string]string {
	if t == nil || !oteltrace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	m := propagation.MapCarrier{}
	carrier.Inject(ctx, m)
	return m
}

// continued is ctx in the trace that came along, see [rpc.Metadata].
func continued(ctx context.Context) context.Context {
	if oteltrace.SpanContextFromContext(ctx).IsValid() {
		return ctx // of this process
	}
	return carrier.Extract(ctx, propagation.MapCarrier(rpc.Metadata(ctx)))
}

// StartServing begins the span of a rack that is about to serve state, below what changed it where
// that is known.
func (t *Tracer) StartServing(ctx context.Context, name string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	return t.start(continued(ctx), name, oteltrace.SpanKindConsumer, time.Time{})
}

// Caller makes calls spans, those that belong to a trace. What is asked regularly belongs to none.
func (t *Tracer) Caller(c rpc.Caller, rack string) rpc.Caller {
	if t == nil {
		return c
	}
	return caller{t, c, rack}
}

type caller struct {
	*Tracer
	rpc.Caller
	rack string
}

// Call implements rpc.Caller.
func (c caller) Call(ctx context.Context, method string, in []byte) ([]byte, error) {
	if !oteltrace.SpanContextFromContext(ctx).IsValid() {
		return c.Caller.Call(ctx, method, in)
	}
	ctx, span := c.start(ctx, "call "+method, oteltrace.SpanKindClient, time.Time{})
	defer span.End()
	span.Text("maas.rack", c.rack)
	out, err := c.Caller.Call(rpc.WithMetadata(ctx, c.Metadata(ctx)), method, in)
	span.Fail(err)
	return out, err
}

// Watch makes calls of the methods spans of a rack, those that belong to a trace.
func (t *Tracer) Watch(m *rpc.Methods, rack string) {
	if t == nil {
		return
	}
	m.Watch(func(ctx context.Context, method string, next func(context.Context) ([]byte, error)) ([]byte, error) {
		ctx = continued(ctx)
		if !oteltrace.SpanContextFromContext(ctx).IsValid() {
			return next(ctx)
		}
		ctx, span := t.start(ctx, "answer "+method, oteltrace.SpanKindServer, time.Time{})
		defer span.End()
		span.Text("maas.rack", rack)
		out, err := next(ctx)
		span.Fail(err)
		return out, err
	})
}
