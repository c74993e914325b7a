// Package rpc connects region and rack controllers: state goes down, facts go up, calls go either
// way, and nothing else.
//
//	region := rpc.NewRegion(rpc.RegionConfig{Facts: record})
//	region.State("rack-1").Set("dns", objects)
//
//	rack, err := rpc.NewRack(rpc.RackConfig{Replica: replica, Outbox: outbox, Dial: rpc.Loopback(region, "rack-1"), Topics: topics})
//	err = outbox.Add("lease", lease)
//	err = rack.Serve(ctx)
//
// # The parts
//
// A region keeps one [State] per rack: keyed objects in topics, each change numbered. A rack
// subscribes from the [Position] it has and gets only later changes; each [Update] goes to its disk
// ([Replica]) and is then applied by a [Topic]. A rack that starts while every region is away
// serves the state on its disk ([Rack.Restore]).
//
// A rack puts what it saw into its [Outbox], on disk and in order. Facts stay there until a region
// has taken them, at least once.
//
// Either side calls the other with [Do], and declares with [Offer] which methods it has. Errors
// keep their meaning across the wire: errors.Is(err, fs.ErrNotExist) works on the caller's side.
//
//	rpc.Offer(&methods, "power.query", func(ctx context.Context, in PowerQuery) (PowerState, error) { ... })
//	state, err := rpc.Do[PowerState](ctx, region.Rack("rack-1"), "power.query", PowerQuery{Machine: 7})
//
// Metadata of a call or a change, such as trace context, travels with it: see [WithMetadata] and
// [State.Carry].
//
// # Connections
//
// [Rack.Serve] keeps one connection and makes it again when it is lost. [Conn] is its contract, and
// rpctest tests it; [Loopback] connects inside a process, package wire between processes. Values
// are opaque here: the packages that fill and read a topic agree on its objects.
//
// # What this package does not do
//
// It has no queue for calls: a call to a rack that is away fails at once with [ErrUnavailable]. It
// does not merge facts of several racks: the region's Facts function sees each rack's own order.
package rpc
