// Package rpc connects region and rack controllers: state goes down, facts go up, calls go either
// way, and nothing else.
//
// # The parts
//
// A region keeps one [State] per rack: keyed objects in topics, each change numbered. A rack
// subscribes from the [Position] it has and gets only what changed since; each [Update] goes to its
// disk ([Replica]) and is then applied. A rack that starts while every region is away serves what
// its disk holds ([Rack.Restore]).
//
//	region := rpc.NewRegion(rpc.RegionConfig{Facts: record})
//	region.State("rack-1").Set("dns", objects)
//
// A rack puts what it saw into its [Outbox], on disk and in order. Facts stay there until a region
// has taken them, at least once:
//
//	outbox.Add("lease", lease)
//
// Either side calls the other with [Do]; what may be called is declared with [Offer]. Errors keep
// their meaning across the wire: errors.Is(err, fs.ErrNotExist) works on the caller's side.
//
//	rpc.Offer(&methods, "power.query", func(ctx context.Context, in PowerQuery) (PowerState, error) { ... })
//	state, err := rpc.Do[PowerState](ctx, region.Rack("rack-1"), "power.query", PowerQuery{Machine: 7})
//
// What describes a call or a change without being part of it, such as trace context, travels along:
// see [WithMetadata] and [State.Carry].
//
// # Connections
//
// [Rack.Serve] keeps one connection and makes it again when it is lost. What a connection is,
// [Conn] says; [Loopback] is the one inside a process, package wire carries them between processes,
// and rpctest has their contract as a test suite. Values are opaque here: what the objects of a
// topic mean is agreed by the packages that fill and read them.
//
// # What this package does not do
//
// It has no queue for calls: a call to a rack that is away fails at once with [ErrUnavailable]. It
// does not merge facts of several racks: the region's Facts function sees each rack's own order.
package rpc
