// Package traceexport sends OpenTelemetry spans to a collector, by OTLP over HTTP.
//
//	provider, stop := traceexport.Open(ctx, traceexport.Config{Endpoint: "http://collector.example:4318"})
//	defer stop()
//
// The exporter is OpenTelemetry's own; its OTEL_EXPORTER_OTLP_* variables set headers, time-out and
// compression. It stays out of the packages rack and region, so that an embedder links it only when
// it wants it. A collector that does not answer holds nothing up: spans that do not fit into the
// queue or cannot be sent are lost, and the log has one line when that begins and one when it ends.
package traceexport

import (
	"context"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Config says where traces go.
type Config struct {
	// Endpoint is the URL of a collector that speaks OTLP over HTTP, such as
	// http://collector.example:4318. If empty, the variables OTEL_EXPORTER_OTLP_* decide; if those
	// name none either, no traces are made.
	Endpoint string
	// Instance distinguishes this daemon from others of its kind. If empty, it is the host's name.
	Instance string
	// Log receives the reasons for which traces are lost. If nil, they are discarded.
	Log *slog.Logger
}

// longestText is the length at which texts of spans are cut, in bytes.
const longestText = 1000

// lastWords is the time that waiting spans have to go out when the daemon ends.
const lastWords = 2 * time.Second

// Open returns a provider of tracers and the function that sends the waiting spans and ends it. The
// provider is nil where no collector is configured, or none that can be used, which is logged: what
// only watches does not keep a daemon from serving.
func Open(ctx context.Context, cfg Config) (oteltrace.TracerProvider, func()) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	endpoint, err := endpointOf(cfg.Endpoint, os.Getenv)
	if err != nil {
		cfg.Log.Warn("traces disabled", "err", err)
	}
	if endpoint == "" {
		return nil, func() {}
	}
	otlp, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		cfg.Log.Warn("traces disabled", "err", err)
		return nil, func() {}
	}
	e := &loggedExporter{SpanExporter: otlp, log: cfg.Log}
	e.stopped, e.stop = context.WithCancel(context.Background())
	provider := newProvider(sdktrace.NewBatchSpanProcessor(e), cfg.Instance)
	return provider, func() {
		// The SDK's own time-out leaves its goroutine behind, so the exporter is cut off instead.
		defer time.AfterFunc(lastWords, e.stop).Stop()
		_ = provider.Shutdown(context.Background()) // the exporter has logged what failed
		e.stop()
	}
}

// newProvider returns a provider whose spans a processor receives.
func newProvider(p sdktrace.SpanProcessor, instance string) *sdktrace.TracerProvider {
	limits := sdktrace.NewSpanLimits()
	if limits.AttributeValueLengthLimit < 0 {
		limits.AttributeValueLengthLimit = longestText
	}
	return sdktrace.NewTracerProvider(sdktrace.WithResource(describe(instance)), sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithSpanProcessor(p), sdktrace.WithoutPanicRecording())
}

// describe returns the resource of this daemon's spans. OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES win.
func describe(instance string) *resource.Resource {
	if instance == "" {
		instance, _ = os.Hostname() // a host without a name has no instance either
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

// loggedExporter logs the first of several failures in a row, and their end. The SDK would write
// each to the standard error.
type loggedExporter struct {
	sdktrace.SpanExporter
	log     *slog.Logger
	failing bool            // batches are exported one after the other
	stopped context.Context // ends what is under way
	stop    func()
}

// ExportSpans implements sdktrace.SpanExporter. It always returns nil.
func (e *loggedExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if e.stopped.Err() != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.stopped, cancel)()
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if e.stopped.Err() == nil && (err != nil) != e.failing {
		e.failing = err != nil
		if e.failing {
			e.log.Warn("traces lost", "err", err)
		} else {
			e.log.Info("traces accepted again")
		}
	}
	return nil
}
