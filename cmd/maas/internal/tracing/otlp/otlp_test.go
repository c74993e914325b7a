package otlp

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gomaas/maas/cmd/maas/internal/tracing"
)

// sent is what a collector gets of the spans that are made.
func sent(t *testing.T, spans func(*tracing.Tracer)) *tracepb.ResourceSpans {
	t.Helper()
	bodies := make(chan []byte, 8)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies <- body
	}))
	defer collector.Close()
	tracer := tracing.Open(tracing.Config{Endpoint: collector.URL, Instance: "host-1", Env: func(string) string { return "" }})
	spans(tracer)
	tracer.Close()
	// An ExportTraceServiceRequest has the fields of TracesData.
	var data tracepb.TracesData
	if err := proto.Unmarshal(<-bodies, &data); err != nil {
		t.Fatal(err)
	}
	if unknown := data.ProtoReflect().GetUnknown(); len(unknown) > 0 || len(data.ResourceSpans) != 1 {
		t.Fatalf("%d resources, unknown %x", len(data.ResourceSpans), unknown)
	}
	return data.ResourceSpans[0]
}

func values(all []*commonpb.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range all {
		out[kv.Key] = fmt.Sprint(kv.Value.Value)
	}
	return out
}

func TestOpenTelemetryReadsWhatIsSent(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "site=lab")
	at := time.Date(2026, 11, 23, 5, 0, 0, 7, time.UTC)
	got := sent(t, func(tracer *tracing.Tracer) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		r.Header.Set("Tracestate", "vendor=1")
		ctx, outer := tracer.StartRequest(r, "GET /x")
		outer.Text("text", "naïve \xff")
		outer.Int("int", -7)
		outer.Bool("no", false)
		_, inner := tracer.StartAt(ctx, "inner", at)
		inner.Counted("dns", map[string]int{"objects": 0})
		inner.Fail(errors.New("it failed"))
		inner.EndAt(at.Add(time.Second))
		outer.End()
	})
	about := values(got.Resource.Attributes)
	if about["site"] != "&{lab}" || about["service.name"] != "&{maas}" || about["service.instance.id"] != "&{host-1}" {
		t.Errorf("resource: %v", about)
	}
	if len(got.ScopeSpans) != 1 || len(got.ScopeSpans[0].Spans) != 2 || got.ScopeSpans[0].Scope.Name == "" {
		t.Fatalf("scopes: %v", got.ScopeSpans)
	}
	inner, outer := got.ScopeSpans[0].Spans[0], got.ScopeSpans[0].Spans[1]
	if outer.Name != "GET /x" || outer.Kind != tracepb.Span_SPAN_KIND_SERVER || outer.TraceState != "vendor=1" || outer.Flags != 0x301 ||
		fmt.Sprintf("%x %x", outer.TraceId, outer.ParentSpanId) != "0af7651916cd43dd8448eb211c80319c b7ad6b7169203331" || outer.Status != nil {
		t.Errorf("outer: %v", outer)
	}
	if about := values(outer.Attributes); about["text"] != "&{naïve ?}" || about["int"] != "&{-7}" || about["no"] != "&{false}" {
		t.Errorf("outer: %v", about)
	}
	if inner.Name != "inner" || inner.Kind != tracepb.Span_SPAN_KIND_INTERNAL || string(inner.TraceId) != string(outer.TraceId) ||
		string(inner.ParentSpanId) != string(outer.SpanId) || inner.Flags != 0x101 || inner.StartTimeUnixNano != uint64(at.UnixNano()) ||
		inner.EndTimeUnixNano-inner.StartTimeUnixNano != uint64(time.Second) {
		t.Errorf("inner: %v", inner)
	}
	if inner.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || inner.Status.GetMessage() != "it failed" {
		t.Errorf("status: %v", inner.Status)
	}
	if len(inner.Events) != 1 || inner.Events[0].Name != "dns" || inner.Events[0].TimeUnixNano == 0 || values(inner.Events[0].Attributes)["objects"] != "&{0}" {
		t.Errorf("events: %v", inner.Events)
	}
}
