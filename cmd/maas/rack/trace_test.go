package rack_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/gomaas/maas/cmd/maas/internal/tracing"
	"github.com/gomaas/maas/cmd/maas/rack"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/webhook"
	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/pxe/boottest"
	"github.com/gomaas/maas/rpc"
)

// tracedSite is a region and a rack whose spans end up in memory.
type tracedSite struct {
	t       *testing.T
	spans   *tracetest.InMemoryExporter
	region  *region.Region
	segment *boottest.Segment
	stop    func()
}

func newTracedSite(t *testing.T) *tracedSite {
	t.Helper()
	s := &tracedSite{t: t, spans: tracetest.NewInMemoryExporter()}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(s.spans))
	kinds := power.NewRegistry(webhook.Kind())
	s.region = openRegionWith(t, region.Config{Dir: t.TempDir(), Kinds: kinds, Tracer: tracer})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.region.Serve(ctx, region.Sockets{}) }()
	segment, stopRack := serveWith(t, rack.Config{
		Dir: t.TempDir(), Name: "rack", Dial: rpc.Loopback(s.region.RPC(), "rack"), Tracer: tracer, Power: power.Config{Registry: kinds, Poll: 10 * time.Millisecond},
	})
	s.segment = segment
	s.stop = func() {
		t.Helper()
		stopRack()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.region.Close()
	}
	return s
}

// request makes one to the API, in a trace of the client's where it has one.
func (s *tracedSite) request(method, path string, form url.Values, traceparent string) string {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "sesame")
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
	}
	w := httptest.NewRecorder()
	s.region.Local().ServeHTTP(w, r.WithContext(s.t.Context()))
	return w.Body.String()
}

// find waits for a span.
func (s *tracedSite) find(what string, is func(tracetest.SpanStub) bool) (found tracetest.SpanStub) {
	s.t.Helper()
	eventually(s.t, "span of "+what, func() bool {
		all := s.spans.GetSpans()
		i := slices.IndexFunc(all, is)
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

// below finds a span by its name and its parent.
func (s *tracedSite) below(parent tracetest.SpanStub, name string) tracetest.SpanStub {
	s.t.Helper()
	return s.find(name+" below "+parent.Name, func(x tracetest.SpanStub) bool {
		return x.Name == name && x.Parent.SpanID() == parent.SpanContext.SpanID() && x.SpanContext.TraceID() == parent.SpanContext.TraceID()
	})
}

func (s *tracedSite) named(name string) tracetest.SpanStub {
	s.t.Helper()
	return s.find(name, func(x tracetest.SpanStub) bool { return x.Name == name })
}

func about(x tracetest.SpanStub) string {
	var out []string
	for _, kv := range x.Attributes {
		out = append(out, string(kv.Key)+"="+kv.Value.String())
	}
	for _, e := range x.Events {
		out = append(out, "event "+e.Name)
	}
	return strings.Join(out, " ")
}

func wants(t *testing.T, x tracetest.SpanStub, all ...string) {
	t.Helper()
	for _, want := range all {
		if !strings.Contains(about(x)+" ", want+" ") {
			t.Errorf("%s: %s; want %s", x.Name, about(x), want)
		}
	}
}

// One trace leads from the client through the change to where it is served, and no secret is in it.
func TestAChangeIsTracedToItsRack(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := newTracedSite(t)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("status: running")) }))
	defer hook.Close()
	body := s.request("POST", "/MAAS/api/2.0/machines/", url.Values{
		"hostname": {"web-1"}, "architecture": {"amd64"}, "mac_addresses": {"02:00:00:00:00:09"}, "power_type": {"webhook"},
		"power_parameters_power_on_uri": {hook.URL}, "power_parameters_power_off_uri": {hook.URL}, "power_parameters_power_query_uri": {hook.URL},
		"power_parameters_power_user": {"root"}, "power_parameters_power_pass": {"sesame"},
	}, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	change := s.named("POST /MAAS/api/2.0/machines/")
	wants(t, change, "http.request.method=POST", "http.route=/MAAS/api/2.0/machines/", "http.response.status_code=200", "user.name=admin", "event commit")
	if got := change.SpanContext.TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Fatalf("trace %s: %s", got, body)
	}
	publish := s.below(change, "publish")
	wants(t, publish, "maas.racks=1", "event boot")
	wants(t, s.below(publish, "serve boot"), "maas.rack=rack", "maas.topic=boot")

	all, err := s.region.Inventory().Machines.List(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%d machines, %v: %s", len(all), err, body)
	}
	path := "/MAAS/api/2.0/machines/" + all[0].SystemID + "/"
	s.request("GET", path+"?op=query_power_state&token=sesame", nil, "")
	read := s.named("GET /MAAS/api/2.0/machines/{id}/")
	wants(t, read, "maas.op=query_power_state", "url.path="+path)
	query := s.below(read, "power query")
	wants(t, query, "maas.machine=web-1.maas", "maas.power.type=webhook", "maas.power.state=on")
	wants(t, s.below(s.below(query, "call power"), "answer power"), "maas.rack=rack")
	s.request("GET", "/MAAS/api/2.0/version/?op=Sesame", nil, "")
	if public := about(s.named("GET /MAAS/api/2.0/version/")); strings.Contains(public, "user.name") || strings.Contains(public, "maas.op") {
		t.Errorf("of a request that needs no user: %s", public)
	}
	s.stop()
	if text := fmt.Sprint(s.spans.GetSpans()); strings.Contains(strings.ToLower(text), "sesame") || !strings.Contains(text, "web-1") {
		t.Error("a secret is in a span, or nothing is")
	}
	hook.Close()
	goleak.VerifyNone(t, before)
}

func TestBootsAreTraced(t *testing.T) {
	s := newTracedSite(t)
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	s.named("serve dhcp")
	if report := boot(t, s.segment, impatient(boottest.UEFIShimGRUB), mac); !report.Running.Done {
		t.Fatalf("runs %+v", report.Running)
	}
	running := s.named("boot")
	wants(t, running, "maas.mac="+mac.String(), "maas.boot.running=true", "maas.rack=rack")
	for _, stage := range []string{"offer", "loader", "config", "kernel", "initrd", "running"} {
		step := s.below(running, stage)
		if step.StartTime.Before(running.StartTime) || step.EndTime.After(running.EndTime) {
			t.Errorf("%s from %v to %v is not in %v to %v", stage, step.StartTime, step.EndTime, running.StartTime, running.EndTime)
		}
	}
	s.stop()
	boots := slices.DeleteFunc(s.spans.GetSpans(), func(x tracetest.SpanStub) bool { return x.Name != "boot" })
	if len(boots) != 1 {
		t.Errorf("%d spans of one boot", len(boots))
	}
}

// What comes from elsewhere is told of without what clients put into URLs.
func TestFetchesOfTheProxyAreTraced(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	logged := 0
	told := rack.TracedAccess(rack.Config{Name: "rack", AccessLog: func(proxy.Access) { logged++ }}, tracing.New(tracer))
	for _, cache := range []string{"hit", "fwd=miss; stored", ""} {
		told(proxy.Access{
			Time: time.Now(), Client: netip.MustParseAddr("192.0.2.9"), Method: "GET", URL: "http://archive.example/pool/a.deb?token=sesame",
			Status: 200, Bytes: 42, Cache: cache, Duration: time.Second,
		})
	}
	got := spans.GetSpans()
	if len(got) != 2 || logged != 3 || strings.Contains(fmt.Sprint(got), "sesame") {
		t.Fatalf("%d spans, %d lines: %v", len(got), logged, got)
	}
	wants(t, got[0], "server.address=archive.example", "url.path=/pool/a.deb", "maas.proxy.cache=fwd=miss; stored", "client.address=192.0.2.9")
	if took := got[0].EndTime.Sub(got[0].StartTime); took != time.Second {
		t.Errorf("took %v", took)
	}
}
