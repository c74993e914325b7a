package rack

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/rpc/discoveryrpc"
)

// discoverer listens to the rack's links as the region's policy says, and sweeps them when it asks.
type discoverer struct {
	watch    []string                                                      // interfaces; nil = none, or with all those that suit
	virtual  bool                                                          // open is not the kernel's
	all      bool                                                          // let discovery choose the interfaces
	open     func(name string, s discovery.Source) (discovery.Conn, error) // a link for a sweep
	links    func() ([]discovery.Link, error)
	sink     func(discovery.Event)
	log      *slog.Logger
	table    *discovery.Table
	counters discovery.Counters

	mu      sync.Mutex // guards following
	policy  discoveryrpc.Policy
	changed chan struct{} // closed when the policy changes
	life    context.Context
	scans   []*scan // the last ones, the newest last
}

func newDiscoverer(cfg Config, sink func(discovery.Event), log *slog.Logger) *discoverer {
	d := &discoverer{
		watch: cfg.Watch, all: cfg.WatchAll, virtual: cfg.OpenLink != nil, open: cfg.OpenLink, links: cfg.Links, sink: sink, log: log,
		table: discovery.NewTable(discovery.TableConfig{}), changed: make(chan struct{}),
	}
	if d.open == nil {
		d.open = discovery.OpenPacket
	}
	if d.links == nil {
		d.links = discovery.Links
	}
	return d
}

// adopt puts a policy in force.
func (d *discoverer) adopt(_ context.Context, p discoveryrpc.Policy) error {
	ignore, err := discovery.ParseIgnore(p.Ignore)
	if err != nil {
		return err
	}
	d.table.SetIgnore(ignore)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.policy = p
	close(d.changed)
	d.changed = make(chan struct{})
	return nil
}

func (d *discoverer) current() (discoveryrpc.Policy, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.policy, d.changed
}

// dropsTime is how often lost frames are told.
const dropsTime = time.Minute

// run listens until ctx ends. What keeps it from listening is told and does not end the rack: machines need its other services.
func (d *discoverer) run(ctx context.Context) error {
	d.mu.Lock()
	d.life = ctx
	d.mu.Unlock()
	defer d.waitScans()
	for ctx.Err() == nil {
		policy, changed := d.current()
		d.listen(ctx, policy, changed)
	}
	return nil
}

// listen does what a policy says until it changes in a way that matters here.
func (d *discoverer) listen(ctx context.Context, policy discoveryrpc.Policy, changed <-chan struct{}) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if !policy.Passive || len(d.watch) == 0 && !d.all {
			return
		}
		if err := discovery.Watch(ctx, d.config(policy)); err != nil {
			d.log.Error("discovery by listening disabled", "err", err)
		}
	}()
	defer func() {
		cancel()
		<-done
	}()
	drops := time.NewTicker(dropsTime)
	defer drops.Stop()
	lost := d.counters.Dropped.Load()
	for {
		select {
		case <-ctx.Done():
			return
		case <-drops.C:
			if n := d.counters.Dropped.Load(); n != lost {
				d.log.Warn("frames lost", "lost", n-lost, "stats", d.table.Stats())
				lost = n
			}
		case <-changed:
			var next discoveryrpc.Policy
			if next, changed = d.current(); !sameListening(policy, next) {
				return
			}
		}
	}
}

func sameListening(a, b discoveryrpc.Policy) bool {
	return a.Rack == b.Rack && a.Passive == b.Passive && slices.Equal(a.Resolvers, b.Resolvers) && slices.Equal(a.BeaconKey, b.BeaconKey)
}

func (d *discoverer) config(policy discoveryrpc.Policy) discovery.Config {
	cfg := discovery.Config{
		Interfaces: d.watch, Sink: d.sink, Table: d.table, Rack: policy.Rack, Key: policy.BeaconKey, Counters: &d.counters, Log: d.log,
	}
	if d.all {
		cfg.Interfaces = nil
	}
	if d.virtual {
		cfg.Open = func(name string) (discovery.Conn, error) { return d.open(name, discovery.Passive) }
	}
	if len(policy.Resolvers) > 0 {
		cfg.Reverse = discovery.NewReverse(discovery.ReverseConfig{Servers: policy.Resolvers})
	}
	return cfg
}

// running is the context that scans live in.
func (d *discoverer) running() (context.Context, error) {
	if d.life == nil || d.life.Err() != nil {
		return nil, errors.New("the rack is not serving")
	}
	return d.life, nil
}
