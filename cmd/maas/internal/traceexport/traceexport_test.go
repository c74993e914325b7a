package traceexport

import (
	"bytes"
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

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

// fakeCollector receives spans as a collector does that speaks OTLP over HTTP.
type fakeCollector struct {
	*httptest.Server
	mu      sync.Mutex // guards the fields below
	status  int        // to answer with
	headers http.Header
	names   []string // of the spans
	texts   []string // attributes of all spans
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
	var m collector.ExportTraceServiceRequest
	err = errors.Join(err, proto.Unmarshal(body, &m))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = r.Header
	if err != nil || r.URL.Path != "/v1/traces" || r.Method != http.MethodPost {
		c.status = http.StatusBadRequest
	}
	w.WriteHeader(c.status)
	if c.status != http.StatusOK {
		return
	}
	for _, resource := range m.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, span := range scope.Spans {
				c.names = append(c.names, span.Name)
				for _, a := range span.Attributes {
					c.texts = append(c.texts, a.Key+"="+a.Value.GetStringValue())
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

func open(t *testing.T, endpoint string, out io.Writer) (oteltrace.TracerProvider, func()) {
	t.Helper()
	return Open(t.Context(), Config{Endpoint: endpoint, Instance: "host-1", Log: slog.New(slog.NewTextHandler(out, nil))})
}

func TestSpansReachTheCollector(t *testing.T) {
	before := goleak.IgnoreCurrent()
	c := newFakeCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=sesame")
	provider, stop := open(t, c.URL, io.Discard)
	ctx, outer := provider.Tracer("test").Start(t.Context(), "outer")
	_, inner := provider.Tracer("test").Start(ctx, "inner")
	inner.SetAttributes(attribute.String("maas.name", "café"), attribute.String("maas.long", strings.Repeat("x", 5000)))
	inner.SetStatus(codes.Error, "no")
	inner.End()
	outer.End()
	stop()
	c.Close()
	if want := []string{"inner", "outer"}; !slices.Equal(c.names, want) {
		t.Errorf("the collector has %q, want %q", c.names, want)
	}
	if len(c.texts) != 2 || c.texts[1] != "maas.long="+strings.Repeat("x", longestText) {
		t.Errorf("%.60q", c.texts)
	}
	if c.headers.Get("X-Key") != "sesame" {
		t.Errorf("headers: %v", c.headers)
	}
	goleak.VerifyNone(t, before)
}

// One line says that spans are lost and one that they are accepted again, however many batches fail,
// and neither repeats the key of the collector.
func TestFailuresAreLoggedOnce(t *testing.T) {
	c := newFakeCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=sesame")
	var log bytes.Buffer
	provider, stop := open(t, c.URL, &log)
	for _, status := range []int{200, 401, 401, 200, 200, 400} { // none that the exporter repeats
		c.answer(status)
		_, span := provider.Tracer("test").Start(t.Context(), "one")
		span.End()
		if err := provider.(*sdktrace.TracerProvider).ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	text := log.String()
	if strings.Count(text, "\n") != 3 || !strings.Contains(text, "401") || strings.Contains(text, "sesame") {
		t.Errorf("log:\n%s", text)
	}
}

// A collector that accepts connections and never answers holds up neither spans nor the end.
func TestASilentCollectorHoldsNothingUp(t *testing.T) {
	before := goleak.IgnoreCurrent()
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	provider, stop := open(t, silent.URL, io.Discard)
	for range 10_000 { // more than the queue holds
		_, span := provider.Tracer("test").Start(t.Context(), "one")
		span.End()
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop()
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute): // far above lastWords: machines may be slow
		t.Error("the end waits for the collector")
	}
	close(release)
	silent.Close()
	goleak.VerifyNone(t, before)
}

func TestWithoutACollectorNothingRuns(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var log bytes.Buffer
	if provider, stop := open(t, "", &log); provider != nil {
		stop()
		t.Error("a provider without a collector")
	}
	goleak.VerifyNone(t, before)
	if log.Len() > 0 {
		t.Errorf("log: %s", log.String())
	}
	if provider, _ := open(t, "nonsense", &log); provider != nil || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("nonsense: %v, %s", provider, log.String())
	}
}

// The resource names the daemon and its instance.
func TestDescribe(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=lab")
	got := map[string]string{}
	for _, a := range describe("host-1").Attributes() {
		got[string(a.Key)] = a.Value.AsString()
	}
	if got["service.name"] != "maas" || got["service.instance.id"] != "host-1" || got["deployment.environment"] != "lab" {
		t.Errorf("%v", got)
	}
}
