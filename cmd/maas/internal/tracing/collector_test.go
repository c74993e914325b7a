package tracing

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"
)

// fakeCollector takes spans as a collector does that speaks OTLP over HTTP.
type fakeCollector struct {
	*httptest.Server
	mu      sync.Mutex // guards following
	status  int        // to answer with
	headers http.Header
	names   []string // of the spans
	texts   []string // all texts of all spans
}

func newFakeCollector(t *testing.T) *fakeCollector {
	t.Helper()
	c := &fakeCollector{status: http.StatusOK}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *fakeCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = r.Header
	if err != nil || r.URL.Path != "/v1/traces" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.status = http.StatusBadRequest
	}
	w.WriteHeader(c.status)
	if c.status != http.StatusOK {
		return
	}
	for _, resource := range fields(body, 1) {
		for _, scope := range fields(resource, 2) {
			for _, span := range fields(scope, 2) {
				c.names = append(c.names, string(fields(span, 5)[0]))
				for _, about := range fields(span, 9) {
					c.texts = append(c.texts, string(fields(about, 1)[0])+"="+valueOf(fields(about, 2)[0]))
				}
			}
		}
	}
}

// answer makes it answer with a status from now on.
func (c *fakeCollector) answer(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = status
}

func (c *fakeCollector) seen() (names, texts []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.names), slices.Clone(c.texts)
}

func valueOf(v []byte) string {
	if text := fields(v, 1); len(text) > 0 {
		return string(text[0])
	}
	return "?"
}

// fields are the fields of a protobuf message with a number that are bytes. What is malformed ends them.
func fields(m []byte, number uint64) (out [][]byte) {
	for len(m) > 0 {
		tag, n := binary.Uvarint(m)
		if n <= 0 {
			return out
		}
		m = m[n:]
		length := 0
		switch tag & 7 {
		case wireVarint:
			_, length = binary.Uvarint(m)
		case wireFixed64:
			length = 8
		case wireFixed32:
			length = 4
		case wireBytes:
			size, n := binary.Uvarint(m)
			m, length = m[max(0, n):], int(size)
		}
		if length < 0 || length > len(m) {
			return out
		}
		if tag>>3 == number && tag&7 == wireBytes {
			out = append(out, m[:length])
		}
		m = m[length:]
	}
	return out
}

// opened is a tracer to a collector with a log to look at.
func opened(endpoint string, env map[string]string, out io.Writer) *Tracer {
	return Open(Config{
		Endpoint: endpoint, Instance: "host-1", Env: func(name string) string { return env[name] }, Log: slog.New(slog.NewTextHandler(out, nil)),
	})
}

func TestSpansReachTheCollector(t *testing.T) {
	before := goleak.IgnoreCurrent()
	c := newFakeCollector(t)
	tracer := opened(c.URL, map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "x-key=sesame"}, io.Discard)
	ctx, outer := tracer.Start(t.Context(), "outer")
	_, inner := tracer.Start(ctx, "inner")
	inner.Text("maas.name", "caf\xe9")
	inner.Text("maas.long", strings.Repeat("x", 5000))
	inner.Fail(errors.New("no"))
	inner.Event("it happened", time.Time{})
	inner.End()
	outer.End()
	tracer.Close()
	names, texts := c.seen()
	if want := []string{"inner", "outer"}; !slices.Equal(names, want) {
		t.Errorf("the collector has %q, want %q", names, want)
	}
	if want := []string{"maas.name=caf?", "maas.long=" + strings.Repeat("x", longestText)}; !slices.Equal(texts, want) {
		t.Errorf("%.60q, want %.60q", texts, want)
	}
	if c.headers.Get("X-Key") != "sesame" {
		t.Errorf("headers: %v", c.headers)
	}
	c.Close()
	goleak.VerifyNone(t, before)
}

// exported sends one span at once.
func exported(t *testing.T, tracer *Tracer) {
	t.Helper()
	_, span := tracer.Start(t.Context(), "one")
	span.End()
	if err := tracer.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Trouble with the collector is told once, and its end.
func TestTroubleIsToldOnce(t *testing.T) {
	c := newFakeCollector(t)
	var log bytes.Buffer
	tracer := opened(c.URL, map[string]string{"OTEL_EXPORTER_OTLP_HEADERS": "x-key=sesame"}, &log)
	tracer.exporter.hurry() // no attempt is waited for
	for _, status := range []int{200, 503, 503, 503, 401, 401, 200, 200} {
		c.answer(status)
		exported(t, tracer)
	}
	c.Close()
	for range 3 {
		exported(t, tracer)
	}
	tracer.Close()
	text := log.String()
	if strings.Count(text, "\n") != 4 || !strings.Contains(text, "503") || !strings.Contains(text, "401") || !strings.Contains(text, "again") ||
		!strings.Contains(text, "/v1/traces") || strings.Contains(text, "sesame") {
		t.Errorf("log:\n%s", text)
	}
}

// A collector that takes connections and says nothing holds up neither spans nor, for long, the end.
func TestASilentCollectorHoldsNothingUp(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	tracer := opened(silent.URL, nil, io.Discard)
	before := time.Now()
	for range 10_000 { // more than wait
		_, span := tracer.Start(t.Context(), "one")
		span.End()
	}
	tracer.Close()
	if took := time.Since(before); took > 5*lastWords { // a machine may be slow
		t.Errorf("it took %v", took)
	}
}

func TestWithoutACollectorThereIsNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var log bytes.Buffer
	if tracer := opened("", nil, &log); tracer != nil {
		t.Error("a tracer without a collector")
	}
	goleak.VerifyNone(t, before)
	if log.Len() > 0 {
		t.Errorf("log: %s", log.String())
	}
	if tracer := opened("nonsense", nil, &log); tracer != nil || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("nonsense: %v, %s", tracer, log.String())
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
	if n := testing.AllocsPerRun(100, func() { off(ctx, nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOff(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		off(b.Context(), nil)
	}
}

func BenchmarkOn(b *testing.B) {
	tracer := To(nothing{}, "host-1")
	defer tracer.Close()
	b.ReportAllocs()
	for b.Loop() {
		_, span := tracer.Start(b.Context(), "one")
		span.Text("text", "x")
		span.Int("int", 7)
		span.End()
	}
}

// nothing takes spans and forgets them.
type nothing struct{ sdktrace.SpanProcessor }

func (nothing) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (nothing) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (nothing) Shutdown(context.Context) error                  { return nil }
