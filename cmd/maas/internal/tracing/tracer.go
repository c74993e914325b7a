package tracing

import (
	"context"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"
)

// A Tracer makes spans. A nil Tracer makes none. Its methods may be called concurrently.
type Tracer struct{ tracer oteltrace.Tracer }

// scopeName names the maker of the spans, in the terms of OpenTelemetry.
const scopeName = "github.com/gomaas/maas/cmd/maas"

// longestText is the length at which texts are cut, in bytes.
const longestText = 1000

// New returns a tracer of a provider; nil for a nil provider.
func New(p oteltrace.TracerProvider) *Tracer {
	if p == nil {
		return nil
	}
	return &Tracer{p.Tracer(scopeName)}
}

// Start begins a span below the span of ctx, or a trace where ctx has none.
func (t *Tracer) Start(ctx context.Context, name string) (context.Context, Span) {
	return t.start(ctx, name, oteltrace.SpanKindInternal, time.Time{})
}

// StartAt is Start for an action that began before.
func (t *Tracer) StartAt(ctx context.Context, name string, at time.Time) (context.Context, Span) {
	return t.start(ctx, name, oteltrace.SpanKindInternal, at)
}

func (t *Tracer) start(
	ctx context.Context, name string, kind oteltrace.SpanKind, at time.Time, links ...oteltrace.Link,
) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	options := []oteltrace.SpanStartOption{oteltrace.WithSpanKind(kind)}
	if !at.IsZero() {
		options = append(options, oteltrace.WithTimestamp(at))
	}
	if len(links) > 0 {
		options = append(options, oteltrace.WithLinks(links...))
	}
	ctx, span := t.tracer.Start(ctx, name, options...)
	return ctx, Span{span}
}
