package rack

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/tracing"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/radv"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/rpc/imagesrpc"
	"github.com/gomaas/maas/rpc/metadatarpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
)

// A subscription is one topic of the region and what the rack does when its state arrives.
type subscription struct {
	rpc.Topic
	// after runs after each apply or change, whether it succeeded or not. changed is nil after an
	// apply. If nil, nothing runs.
	after func(changed []rpc.Object)
	// ready is closed after the first attempt to apply the topic, from disk or from the region. A
	// failed attempt counts: servers that wait longer would refuse even what other topics can
	// answer.
	ready chan struct{}
}

// profilesWait bounds the wait of the first subnets for the first boot profiles.
const profilesWait = 2 * time.Second

// subscribe returns what the rack serves from. Topics arrive independently of each other, but no
// machine may get an address before the boot profiles exist: it would find no boot script and stop.
func (r *Rack) subscribe() map[string]*subscription {
	dns := dnsrpc.Follow(r.dns)
	dhcp := dhcprpc.Follow(func(ctx context.Context, s dhcpsrv.Snapshot, ads []radv.Advertisement) error {
		if r.wellKnown.Load() {
			s.Subnets = leadToMetadata(s.Subnets)
		}
		r.names.setDomains(s.Subnets)
		select {
		case <-r.subscriptions[pxerpc.Topic].ready:
		case <-ctx.Done():
		case <-time.After(profilesWait):
		}
		r.snapshot.Store(&s)
		return errors.Join(r.dhcp.Update(s), r.radv.Update(ads))
	}).ReserveIn(r.dhcp)
	subscriptions := map[string]*subscription{}
	add := func(t rpc.Topic, after func([]rpc.Object)) {
		subscriptions[t.Name] = &subscription{Topic: t, after: after, ready: make(chan struct{})}
	}
	// A whole zone or machine table replaces the names of leases; a change replaces only some of
	// them.
	add(rpc.Topic{Name: dnsrpc.Topic, Apply: dns.Apply, Change: dns.Change}, func(changed []rpc.Object) {
		if changed == nil {
			r.names.refresh(r.leases())
		} else {
			r.names.republish(dnsrpc.Names(changed))
		}
	})
	add(rpc.Topic{Name: pxerpc.Topic, Apply: r.table.Apply, Change: r.table.Change}, func(changed []rpc.Object) {
		r.pinFiles()
		if changed == nil {
			r.names.refresh(r.leases())
		} else {
			r.names.rename(r.leases(), pxerpc.Names(changed))
		}
	})
	add(rpc.Topic{Name: imagesrpc.Topic, Apply: imagesrpc.Apply(r.useImages)}, nil)
	add(rpc.Topic{Name: metadatarpc.Topic, Apply: r.metadata.Apply, Change: r.metadata.Change}, nil)
	add(rpc.Topic{Name: proxyrpc.Topic, Apply: proxyrpc.Apply(r.denying, r.proxying.move)}, nil)
	add(rpc.Topic{Name: dnsrpc.ForeignTopic, Apply: dnsrpc.ApplyForeign(r.foreign.adopt)}, nil)
	add(rpc.Topic{Name: discoveryrpc.Topic, Apply: discoveryrpc.Apply(r.discover.adopt)}, nil)
	add(rpc.Topic{Name: dhcprpc.Topic, Apply: dhcp.Apply, Change: dhcp.Change}, nil)
	for _, t := range r.cfg.Topics {
		add(t, nil)
	}
	return subscriptions
}

// drive returns the topic to subscribe to. Everything that happens when state arrives happens in
// receive, in its order.
func (r *Rack) drive(s *subscription) rpc.Topic {
	markReady := sync.OnceFunc(func() { close(s.ready) })
	receive := func(ctx context.Context, changed []rpc.Object, objects int, do func(context.Context) error) error {
		defer markReady()
		ctx, span := r.startServing(ctx, s.Name, objects, changed == nil)
		defer span.End()
		err := do(ctx)
		span.Fail(err)
		if s.after != nil {
			s.after(changed)
		}
		return err
	}
	t := rpc.Topic{Name: s.Name, Apply: func(ctx context.Context, objects map[string][]byte) error {
		return receive(ctx, nil, len(objects), func(ctx context.Context) error { return s.Apply(ctx, objects) })
	}}
	if s.Change != nil { // without it, rpc hands over whole states
		t.Change = func(ctx context.Context, changed []rpc.Object) error {
			return receive(ctx, changed, len(changed), func(ctx context.Context) error { return s.Change(ctx, changed) })
		}
	}
	return t
}

// startServing begins the span of one state that arrived, in the trace of the change that caused
// it.
func (r *Rack) startServing(ctx context.Context, topic string, objects int, whole bool) (context.Context, tracing.Span) {
	ctx, span := r.trace.StartServing(ctx, "serve "+topic)
	at := rpc.Serving(ctx)
	span.Text("maas.rack", r.cfg.Name)
	span.Text("maas.topic", topic)
	span.Text("maas.state.epoch", at.Epoch)
	span.Int("maas.state.revision", int64(at.Revision))
	span.Int("maas.objects", int64(objects))
	span.Bool("maas.publish.whole", whole)
	return ctx, span
}

// wait returns when a topic has been applied for the first time, or when ctx has ended. A server
// that starts earlier would refuse what it can answer a moment later; until then requests wait in
// the queue of its socket. An empty name does not wait.
func (r *Rack) wait(ctx context.Context, topic string) {
	if topic == "" {
		return
	}
	select {
	case <-r.subscriptions[topic].ready:
	case <-ctx.Done():
	}
}
