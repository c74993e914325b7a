package rpc

import "context"

// Loopback connects a rack to a region in the same process, without a wire: what `maas all` uses.
// The result is the Dial of a [RackConfig] for the rack of that name.
func Loopback(region *Region, rack string) func(context.Context) (Conn, error) {
	return func(context.Context) (Conn, error) {
		return region.Conn(rack), nil
	}
}

type loopback struct {
	region *Region
	rack   string
}

func (l *loopback) Next(ctx context.Context, topic string, from Position) (Update, error) {
	return l.region.State(l.rack).Next(ctx, topic, from)
}

func (l *loopback) Deliver(ctx context.Context, facts []Fact) error {
	return l.region.deliver(ctx, l.rack, facts)
}

func (l *loopback) Call(ctx context.Context, method string, in []byte) ([]byte, error) {
	return l.region.cfg.Methods.Call(context.WithValue(ctx, callerKey{}, l.rack), method, in)
}

func (l *loopback) Accept(ctx context.Context, m *Methods) error {
	defer l.region.Attach(l.rack, m)()
	<-ctx.Done()
	return ctx.Err()
}
