package tracing

import (
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// A Span is one thing that takes time. The zero Span records nothing.
type Span struct{ span oteltrace.Span }

// Recording reports whether the span is sampled.
func (s Span) Recording() bool { return s.span != nil && s.span.IsRecording() }

// Text sets a text attribute. An empty text is left out.
func (s Span) Text(name, value string) {
	if s.span != nil && value != "" {
		s.span.SetAttributes(attribute.String(name, valid(value)))
	}
}

// Int sets an integer attribute.
func (s Span) Int(name string, n int64) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Int64(name, n))
	}
}

// Bool sets a boolean attribute.
func (s Span) Bool(name string, is bool) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Bool(name, is))
	}
}

// Event adds an event at a time. The zero time means now.
func (s Span) Event(name string, at time.Time) {
	if s.span != nil {
		s.event(name, at)
	}
}

func (s Span) event(name string, at time.Time, about ...attribute.KeyValue) {
	options := []oteltrace.EventOption{oteltrace.WithAttributes(about...)}
	if !at.IsZero() {
		options = append(options, oteltrace.WithTimestamp(at))
	}
	s.span.AddEvent(name, options...)
}

// Counted adds an event with counts. The map allocates even if tracing is off, so hot paths must
// not call it.
func (s Span) Counted(name string, counts map[string]int) {
	if s.span == nil {
		return
	}
	var about []attribute.KeyValue
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		about = append(about, attribute.Int(what, counts[what]))
	}
	s.event(name, time.Time{}, about...)
}

// Fail says why it failed. Nil is no failure. The text must not tell secrets.
func (s Span) Fail(err error) {
	if s.span != nil && err != nil {
		s.FailText(err.Error())
	}
}

// FailText is Fail for what is a text only; empty is no failure.
func (s Span) FailText(why string) {
	if s.span == nil || why == "" {
		return
	}
	s.span.SetStatus(codes.Error, valid(why[:min(len(why), longestText)]))
}

// valid replaces bytes that are not UTF-8: the exporter loses the whole batch for one of them, and
// clients choose some of the texts.
func valid(text string) string { return strings.ToValidUTF8(text, "?") }

// End ends it now.
func (s Span) End() {
	if s.span != nil {
		s.span.End()
	}
}

// EndAt ends it at a time.
func (s Span) EndAt(at time.Time) {
	if s.span != nil {
		s.span.End(oteltrace.WithTimestamp(at))
	}
}
