// Package bounds limits what one source of requests can take from the others: connections of a
// listener, and how often something is done or logged.
//
//	ln = bounds.Listen(ln, bounds.Limits{Total: 256, PerSource: 32, Log: log})
//	defer ln.Close()
//	return srv.Serve(ln)
//
// All product code accepts connections through Listen. A listener at its limit closes the
// connection that has been idle longest, so that silent connections keep no place from a client
// that has something to ask. A server that authenticates its clients calls Admit with each
// connection that proved its identity; admitted connections no longer compete with strangers.
//
// A Bucket grants something at a bounded rate, Buckets do so for each key, such as the network of
// [Source], and a Log writes warnings at such a rate.
//
// The package imports the standard library only, since every concern may import it.
package bounds
