package tracing

import (
	"context"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/schema"
)

func inMemory(t *testing.T) (*Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	return New(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))), spans
}

// wired carries calls as between processes: nothing of the caller's context but its metadata arrives.
type wired struct{ methods *rpc.Methods }

func (w wired) Call(ctx context.Context, method string, in []byte) ([]byte, error) {
	return w.methods.Call(rpc.WithMetadata(context.Background(), rpc.Metadata(ctx)), method, in)
}

func TestATraceGoesOnInAnotherProcess(t *testing.T) {
	region, asked := inMemory(t)
	rack, answered := inMemory(t)
	var methods rpc.Methods
	rpc.Offer(&methods, "double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	rack.Watch(&methods, "rack-1")
	c := region.Caller(wired{&methods}, "rack-1")
	if n, err := rpc.Do[int](t.Context(), c, "double", 2); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	if len(asked.GetSpans())+len(answered.GetSpans()) != 0 {
		t.Error("a call that belongs to no trace has spans")
	}
	ctx, outer := region.Start(t.Context(), "outer")
	if n, err := rpc.Do[int](ctx, c, "double", 2); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := rpc.Do[int](ctx, c, "triple", 2); err == nil {
		t.Error("no error")
	}
	outer.End()
	calls, answers := asked.GetSpans(), answered.GetSpans()
	if len(calls) != 3 || len(answers) != 1 {
		t.Fatalf("%d and %d spans, want 3 and 1", len(calls), len(answers))
	}
	if a := answers[0]; a.Name != "answer double" || a.Parent.SpanID() != calls[0].SpanContext.SpanID() || a.SpanContext.TraceID() != calls[2].SpanContext.TraceID() || !a.Parent.IsRemote() {
		t.Errorf("answer: %+v", a)
	}
	if calls[1].Status.Description == "" {
		t.Errorf("a call that failed: %+v", calls[1])
	}
}

func TestPublicationsKnowTheirCommits(t *testing.T) {
	tracer, spans := inMemory(t)
	db, err := store.Open(t.Context(), "sqlite://"+t.TempDir()+"/db", schema.FS)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var c Commits
	change := func(name string, times int) {
		ctx, span := tracer.Start(t.Context(), name)
		defer span.End()
		ctx = c.Note(ctx, span)
		for i := range times {
			if err := db.Update(ctx, func(_ context.Context, tx *store.Tx) error { tx.Changed(name, int64(i), store.Created); return nil }); err != nil {
				t.Error(err)
			}
		}
	}
	change("a", 2) // revisions 1, 2
	change("b", 1)
	change("c", 1)
	publish := func(revision int64) tracetest.SpanStub {
		_, span := tracer.StartPublishing(t.Context(), &c, revision, time.Now())
		span.End()
		all := spans.GetSpans()
		return all[len(all)-1]
	}
	first, last, nothing := publish(3), publish(4), publish(4)
	made := spans.GetSpans() // a, b, c
	if first.Parent.SpanID() != made[0].SpanContext.SpanID() || len(first.Links) != 1 || first.Links[0].SpanContext.SpanID() != made[1].SpanContext.SpanID() {
		t.Errorf("of three commits: %+v", first)
	}
	if last.Parent.SpanID() != made[2].SpanContext.SpanID() || len(last.Links) != 0 || nothing.Parent.IsValid() || len(made[0].Events) != 2 {
		t.Errorf("of one: %+v; of none: %+v", last, nothing)
	}
	change("d", 2*maxCommits)
	if len(c.all) != maxCommits {
		t.Errorf("%d commits are kept, want %d", len(c.all), maxCommits)
	}
}
