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
// # The spans
//
//	POST /MAAS/api/2.0/machines/   a request to the API by its route, with the user, maas.op, the status and an event for each commit
//	publish                        of a region, below the request that committed first and linked to others, with an event for each topic
//	serve dns                      a rack makes its server follow an update of a topic, below publish
//	power on                       a request to a BMC, with an event for each step; and what calls it takes
//	call explain, answer explain   a call that belongs to a trace, on the region and on the rack
//	boot                           a boot on one rack, once the system reports or after ten minutes of silence; offer, loader, config,
//	                               kernel, initrd, file and running are below it
//	proxy GET                      what a rack's proxy did not have and fetched
//
// What is done regularly, such as asking for the power of all machines, belongs to no trace. OTEL_TRACES_SAMPLER thins out the rest.
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
// fields. A batch that meets a lost connection or the status 429, 502, 503 or 504 is sent again, each time after twice the pause
// and not before Retry-After, within OTEL_EXPORTER_OTLP_TIMEOUT (10 seconds); OTEL_EXPORTER_OTLP_COMPRESSION=gzip compresses it,
// OTEL_EXPORTER_OTLP_HEADERS are sent along. A collector that does not answer holds nothing up: what does not fit into the queue,
// or cannot be sent, is lost, and the log has one line when that begins and one when it ends.
package tracing
