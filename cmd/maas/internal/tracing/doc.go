// Package tracing makes OpenTelemetry spans of what a region and a rack do: requests to the API,
// publications, updates of a rack's servers, calls, and boots of machines.
//
//	tracer := tracing.New(provider) // nil without a provider
//	ctx, span := tracer.Start(ctx, "publish")
//	defer span.End()
//	span.Int("racks", int64(len(racks)))
//
// All methods work on nil, and then do and allocate nothing, so callers need not ask.
//
// # The spans
//
//	POST /MAAS/api/2.0/machines/   a request to the API by its route, with the user, maas.op, the
//	                               status and an event for each commit
//	publish                        of a region, below the request that committed first and linked
//	                               to others, with an event for each topic
//	serve dns                      a rack makes its server follow an update of a topic
//	power on                       a request to a BMC, with an event for each step
//	call explain, answer explain   a call that belongs to a trace, on the region and on the rack
//	boot                           a boot on one rack, once the system reports or after ten minutes
//	                               of silence; its steps are below it
//	proxy GET                      a request that a rack's proxy could not answer from its cache
//
// Regular work, such as the query of every machine's power, belongs to no trace.
// OTEL_TRACES_SAMPLER thins out the rest.
//
// # Between processes
//
// The context of a trace is the W3C traceparent: requests to the API may bring one; calls of a
// region to its racks and the state that it sends them carry one as metadata of package rpc. A peer
// that does not know it is served as ever.
//
// # Secrets
//
// Spans hold names, numbers, paths and states; never the values of forms, headers or what is sent
// to BMCs. Texts are cut at 1,000 bytes.
package tracing
