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

// discoverer listens on the rack's interfaces as the region's policy says, and runs the scans that
// the region asks for.
type discoverer struct {
	// interface names; nil listens on none, or on all suitable ones
	watch    []string
	virtual  bool                                                          // open is not the kernel's
	all      bool                                                          // discovery chooses the interfaces
	open     func(name string, s discovery.Source) (discovery.Conn, error) // opens an interface for a scan
	links    func() ([]discovery.Interface, error)
	heard    func(discovery.Observation)
	sink     func(discovery.Event)
	log      *slog.Logger
	table    *discovery.Table
	counters discovery.Counters

	mu      sync.Mutex // guards the fields below
	policy  discoveryrpc.Policy
	changed chan struct{} // closed when the policy changes
	life    context.Context
	scans   []*scan // newest last, at most keptScans
}

// newDiscoverer returns a discoverer without a policy, which listens to nothing.
func newDiscoverer(cfg Config, heard func(discovery.Observation), sink func(discovery.Event), log *slog.Logger) *discoverer {
	d := &discoverer{
		watch: cfg.Watch, all: cfg.WatchAll, virtual: cfg.OpenLink != nil, open: cfg.OpenLink, links: cfg.Links, heard: heard, sink: sink, log: log,
		table: discovery.NewTable(discovery.TableConfig{}), changed: make(chan struct{}),
	}
	if d.open == nil {
		d.open = discovery.OpenPacket
	}
	if d.links == nil {
		d.links = discovery.Interfaces
	}
	return d
}

// adopt applies a policy.
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

// current returns the policy and a channel that is closed when it changes.
func (d *discoverer) current() (discoveryrpc.Policy, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.policy, d.changed
}

// dropsTime is the interval at which lost frames are logged.
const dropsTime = time.Minute

// run listens until ctx ends. An error of discovery is logged and does not end the rack, whose
// other services machines need.
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

// listen follows one policy until a relevant part of it changes.
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
				d.log.Warn("frames lost", "count", n-lost, "stats", d.table.Stats())
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
	return a.Rack == b.Rack && a.Passive == b.Passive && slices.Equal(a.Resolvers, b.Resolvers) &&
		slices.Equal(a.Confirm, b.Confirm) && slices.Equal(a.BeaconKey, b.BeaconKey)
}

// config returns the configuration of package discovery for a policy.
func (d *discoverer) config(policy discoveryrpc.Policy) discovery.Config {
	cfg := discovery.Config{
		Interfaces: d.watch, Heard: d.heard, Sink: d.sink, Table: d.table, Confirm: policy.Confirm, Rack: policy.Rack, Key: policy.BeaconKey, Counters: &d.counters, Log: d.log,
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

// running returns the context in which scans run.
func (d *discoverer) running() (context.Context, error) {
	if d.life == nil || d.life.Err() != nil {
		return nil, errors.New("the rack is not serving")
	}
	return d.life, nil
}
