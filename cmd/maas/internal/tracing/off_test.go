package tracing

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"
)

// One byte that is not UTF-8 would cost the exporter the whole batch.
func TestTextsAreUTF8(t *testing.T) {
	tracer, spans := inMemory(t)
	_, span := tracer.Start(t.Context(), "one")
	span.Text("maas.name", "caf\xe9")
	span.FailText(strings.Repeat("é", longestText))
	span.End()
	got := spans.GetSpans()[0]
	if text := got.Attributes[0].Value.AsString(); text != "caf?" || !utf8.ValidString(got.Status.Description) {
		t.Errorf("%q, %q", text, got.Status.Description)
	}
}

// off does what a hot path does with a tracer.
func off(ctx context.Context, tracer *Tracer) {
	ctx, span := tracer.Start(ctx, "one")
	defer span.End()
	span.Text("text", "x")
	span.Int("int", 7)
	span.Bool("bool", true)
	span.Fail(nil)
	if tracer.Metadata(ctx) != nil {
		panic("metadata of nothing")
	}
}

func TestOffCostsNothing(t *testing.T) {
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { off(ctx, New(nil)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOff(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		off(b.Context(), nil)
	}
}
