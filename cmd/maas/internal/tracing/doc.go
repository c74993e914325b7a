// Package tracing makes OpenTelemetry traces for operators who want them: what a request to the API changed, when that was
// published, when each rack served it, what racks were asked, and how machines boot.
//
// [Open] returns a [Tracer], or nil where no collector is configured. All methods work on nil, and then do and allocate nothing,
// so callers need not ask:
//
//	ctx, span := tracer.Start(ctx, "publish")
//	defer span.End()
//	span.Int("racks", len(racks))
//
// # Between processes
//
// The context of a trace is that of W3C: requests to the API may bring a traceparent, calls of a region to its racks and the state
// that it sends them carry one as metadata of package rpc. A peer that knows nothing of it is served as ever.
//
// # What is told
//
// Names, numbers, paths and states; never the values of forms, headers or what is sent to BMCs. Texts are cut at 1,000 bytes.
//
// # Where it goes
//
// Spans go out in batches from one goroutine, which [Tracer.Close] ends, as OTLP over HTTP (protobuf). The exporter is of this
// package: that of OpenTelemetry brings gRPC, protobuf and their gateway along, nine modules more and four more megabytes of program, to fill in a dozen
// fields. A collector that does not answer holds nothing up: what does not fit into the queue, or cannot be sent, is lost, and the
// log has one line when that begins and one when it ends.
package tracing
