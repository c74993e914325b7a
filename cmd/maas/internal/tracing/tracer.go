package tracing

import (
	"context"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Config is where traces go.
type Config struct {
	// Endpoint is the URL of a collector that speaks OTLP over HTTP, such as http://collector.example:4318. Empty leaves it to
	// the variables OTEL_EXPORTER_OTLP_*; where those name none, either, there are no traces.
	Endpoint string
	// Instance tells this daemon from others of its kind. Empty means the name of the host.
	Instance string
	// Env reads variables of the environment. Nil means os.Getenv.
	Env func(string) string
	// Log receives what keeps traces from going out. Nil discards.
	Log *slog.Logger
}

// A Tracer makes spans. Nil makes none. Its methods may be called concurrently.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
	exporter *exporter // nil: somebody else's
}

// scopeName is what made the spans, in the terms of OpenTelemetry.
const scopeName = "github.com/gomaas/maas/cmd/maas"

// longestText is where texts are cut, in bytes.
const longestText = 1000

// Open returns a tracer and starts the goroutine that sends its spans; nil where there is no collector, or none that can be
// used, which is logged: what only watches does not keep a daemon from serving.
func Open(cfg Config) *Tracer {
	if cfg.Env == nil {
		cfg.Env = os.Getenv
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	to, err := settingsOf(cfg.Endpoint, cfg.Env)
	if err != nil {
		cfg.Log.Warn("no traces are made", "err", err)
	}
	if to.url == "" {
		return nil
	}
	e := newExporter(to, cfg.Log)
	t := To(sdktrace.NewBatchSpanProcessor(e), cfg.Instance)
	t.exporter = e
	return t
}

// To returns a tracer whose spans go to a processor, for callers with an exporter of their own.
func To(p sdktrace.SpanProcessor, instance string) *Tracer {
	limits := sdktrace.NewSpanLimits()
	if limits.AttributeValueLengthLimit < 0 {
		limits.AttributeValueLengthLimit = longestText
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(describe(instance)), sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithSpanProcessor(p), sdktrace.WithoutPanicRecording())
	return &Tracer{provider: provider, tracer: provider.Tracer(scopeName)}
}

// describe tells whose spans these are. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
func describe(instance string) *resource.Resource {
	if instance == "" {
		instance, _ = os.Hostname() // without a name it has none
	}
	own := resource.NewSchemaless(attribute.String("service.name", "maas"), attribute.String("service.instance.id", instance))
	said, err := resource.New(context.Background(), resource.WithFromEnv())
	if err != nil {
		return own
	}
	all, err := resource.Merge(own, said)
	if err != nil {
		return own
	}
	return all
}

// lastWords is how long the spans that wait have to go out at the end.
const lastWords = 2 * time.Second

// Close sends the spans that wait, for at most two seconds, and ends the goroutine. Spans that end later are lost.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	if t.exporter != nil {
		t.exporter.hurry()
		defer time.AfterFunc(lastWords, t.exporter.stop).Stop()
	}
	// It ends soon after the exporter sends nothing any more, and tells nothing that the exporter has not logged.
	_ = t.provider.Shutdown(context.Background())
}

// Start begins a span below that of ctx, or a trace where ctx has none.
func (t *Tracer) Start(ctx context.Context, name string) (context.Context, Span) {
	return t.start(ctx, name, oteltrace.SpanKindInternal, time.Time{})
}

// StartAt is Start for what began before.
func (t *Tracer) StartAt(ctx context.Context, name string, at time.Time) (context.Context, Span) {
	return t.start(ctx, name, oteltrace.SpanKindInternal, at)
}

func (t *Tracer) start(ctx context.Context, name string, kind oteltrace.SpanKind, at time.Time, links ...oteltrace.Link) (context.Context, Span) {
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
