package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Config says where to listen and whom to tell.
type Config struct {
	// Interfaces are names of Ethernet interfaces. If empty, [Choose] chooses them, again whenever
	// interfaces change.
	Interfaces []string
	// Sources selects what is listened to. Zero means [Passive].
	Sources Source
	// Sink receives the events, one at a time. It must not block for long: frames wait in the
	// kernel meanwhile, and are lost when its ring is full. Required.
	Sink func(Event)
	// Heard receives each observation, of which the table makes an event only when it changes
	// something. It is called by several goroutines and must not block. If nil, nothing is called.
	Heard func(Observation)
	// Table remembers. Nil makes one with the default bounds.
	Table *Table
	// Rack and Key make the watch send beacons on its interfaces in the name of a rack, and read
	// those of other racks. If either is empty it sends nothing at all.
	Rack string
	Key  BeaconKey
	// Confirm are the networks whose devices are asked, by ARP or neighbor solicitation, before
	// they count as gone: about three times, the answers to which keep a device. Devices of tagged
	// networks, and of networks in which the interface has no address, are not asked. The other
	// devices are gone when their time ends.
	Confirm []netip.Prefix
	// Reverse looks up the names of what was seen. Nil looks up nothing.
	Reverse *Reverse
	// Counters are added to. If nil, nothing is counted.
	Counters *Counters
	// Open opens an interface; tests give their own. Nil means [OpenPacket]. With Open, Interfaces
	// must be given and are all there is.
	Open func(name string) (Conn, error)
	// Log receives the interfaces that are watched or lost. If nil, it is discarded.
	Log *slog.Logger
}

func (c *Config) check() error {
	if c.Sink == nil {
		return errors.New("discovery: Config needs a Sink")
	}
	if c.Open != nil && len(c.Interfaces) == 0 {
		return errors.New("discovery: Config with Open needs Interfaces")
	}
	if c.Table == nil {
		c.Table = NewTable(TableConfig{})
	}
	if c.Counters == nil {
		c.Counters = new(Counters)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Watch listens until ctx ends and then returns nil. It returns an error if a named interface does
// not exist at the start, or if the system refuses to let it listen. An interface that is lost
// later is watched again when it returns.
//
// The interfaces are those of the network namespace of the calling goroutine.
func Watch(ctx context.Context, cfg Config) error {
	if err := cfg.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{cfg: cfg, ports: map[string]*port{}, failed: make(chan *port)}
	defer func() {
		cancel()
		w.stopAll()
	}()
	var changed <-chan struct{}
	if cfg.Open == nil {
		var err error
		if changed, err = followInterfaces(ctx); err != nil {
			return err
		}
	}
	if cfg.Reverse != nil {
		w.running.Go(func() { cfg.Reverse.run(ctx, w.named) })
	}
	return w.run(ctx, changed)
}

// A watcher keeps the ports that are open those that are wanted.
type watcher struct {
	cfg     Config
	ports   map[string]*port
	failed  chan *port
	running sync.WaitGroup
	// confirmed is the time of the last round of questions; see confirm.
	confirmed time.Time
	telling   sync.Mutex // makes the sink hear one event at a time
}

// Intervals after which a lost interface is tried again without a notice from the kernel, and after
// which the table is tidied.
const (
	retryTime = 5 * time.Second
	tidyTime  = 500 * time.Millisecond
)

func (w *watcher) run(ctx context.Context, changed <-chan struct{}) error {
	if err := w.adjust(ctx, true); err != nil {
		return err
	}
	tidy, retry := time.NewTicker(tidyTime), time.NewTicker(retryTime)
	defer tidy.Stop()
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tidy.C:
			w.confirm(now)
			for _, e := range w.cfg.Table.Tick(now) {
				w.tell(e)
			}
			w.countDrops()
			continue
		case p := <-w.failed:
			if w.ports[p.name] == p {
				w.cfg.Log.Warn("interface lost, watched again when it returns", "interface", p.name, "err", p.err)
				w.stop(p.name)
			}
			continue // until links change, or for a while
		case <-changed:
		case <-retry.C:
		}
		if err := w.adjust(ctx, false); err != nil {
			return err
		}
	}
}

// adjust opens and closes ports. What cannot be opened is an error at the start and is tried again
// later.
func (w *watcher) adjust(ctx context.Context, start bool) error {
	interfaces, err := w.wanted()
	if err != nil {
		return err
	}
	for name, p := range w.ports {
		i := slices.IndexFunc(interfaces, func(l Interface) bool { return l.Name == name })
		if i < 0 || w.cfg.Open == nil && interfaces[i].Index != p.conn.Interface().Index {
			w.cfg.Log.Info("stopped watching interface", "interface", name)
			w.stop(name)
		}
	}
	for _, name := range w.cfg.Interfaces {
		if start && w.cfg.Open == nil && !slices.ContainsFunc(interfaces, func(l Interface) bool { return l.Name == name }) {
			if _, err := OpenPacket(name, w.sources()); err != nil {
				return err
			}
			w.cfg.Log.Warn("interface down, watched once it is up", "interface", name)
		}
	}
	for _, l := range interfaces {
		if w.ports[l.Name] != nil {
			continue
		}
		if err := w.start(ctx, l.Name); errors.Is(err, fs.ErrPermission) || err != nil && start {
			return err
		} else if err != nil {
			w.cfg.Log.Debug("interface not watchable now", "interface", l.Name, "err", err)
		}
	}
	return nil
}

// wanted are the links that should be open.
func (w *watcher) wanted() ([]Interface, error) {
	if w.cfg.Open != nil {
		interfaces := make([]Interface, len(w.cfg.Interfaces))
		for i, name := range w.cfg.Interfaces {
			interfaces[i].Name = name
		}
		return interfaces, nil
	}
	interfaces, err := Interfaces()
	if err != nil {
		return nil, err
	}
	if len(w.cfg.Interfaces) == 0 {
		return Choose(interfaces), nil
	}
	return slices.DeleteFunc(interfaces, func(l Interface) bool { return !l.Up || !slices.Contains(w.cfg.Interfaces, l.Name) }), nil
}

func (w *watcher) sources() Source { return cmp.Or(w.cfg.Sources, Passive) }

// tell hands an event to the sink and has the name of what is new looked up.
func (w *watcher) tell(e Event) {
	if w.cfg.Reverse != nil && e.Device.Addr.IsValid() && e.Kind != Expired && e.Kind != Changed {
		w.cfg.Reverse.ask(e.Device.Addr)
	}
	w.telling.Lock()
	defer w.telling.Unlock()
	w.cfg.Sink(e)
}

func (w *watcher) countDrops() {
	for _, p := range w.ports {
		w.cfg.Counters.Dropped.Add(p.conn.Drops())
	}
}

// A port is one interface that is open.
type port struct {
	name   string
	conn   Conn
	err    error // why it failed
	cancel context.CancelFunc
	done   chan struct{}
	ask    chan struct{} // another rack wants a beacon
}

func (w *watcher) start(ctx context.Context, name string) error {
	open := w.cfg.Open
	if open == nil {
		open = func(name string) (Conn, error) { return OpenPacket(name, w.sources()) }
	}
	conn, err := open(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &port{name: name, conn: conn, cancel: cancel, done: make(chan struct{}), ask: make(chan struct{}, 1)}
	w.ports[name] = p
	w.cfg.Log.Info("started watching interface", "interface", name, "mac", conn.Interface().MAC)
	w.running.Go(func() {
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		defer stop()
		p.err = w.listen(p)
		close(p.done)
		select {
		case w.failed <- p:
		case <-ctx.Done():
		}
	})
	if w.cfg.Rack != "" && len(w.cfg.Key) > 0 {
		w.running.Go(func() { w.beacon(ctx, p) })
	}
	return nil
}

// stop closes a port and waits until nothing reads from it.
func (w *watcher) stop(name string) {
	p := w.ports[name]
	w.cfg.Counters.Dropped.Add(p.conn.Drops())
	p.cancel()
	p.conn.Close()
	<-p.done
	delete(w.ports, name)
}

func (w *watcher) stopAll() {
	for name := range w.ports {
		w.stop(name)
	}
	w.running.Wait()
}

// listen reads frames until the connection ends.
func (w *watcher) listen(p *port) error {
	d := Decoder{Sources: w.sources(), Key: w.cfg.Key, Counters: w.cfg.Counters}
	var seen []Observation
	for {
		var now time.Time // of the batch: the clock is read once for each
		err := p.conn.Receive(func(frame []byte, vid uint16) {
			if now.IsZero() {
				now = time.Now()
			}
			seen = d.Decode(frame, vid, now, seen[:0])
			for i := range seen {
				w.see(p, seen[i], now)
			}
		})
		if err != nil {
			return fmt.Errorf("discovery: watch %s: %w", p.name, err)
		}
	}
}

func (w *watcher) see(p *port, s Observation, now time.Time) {
	if s.Source == Beacons {
		w.heard(p, s.Info.Beacon)
	}
	if w.cfg.Heard != nil {
		w.cfg.Heard(s)
	}
	if e, ok := w.cfg.Table.See(p.name, s, now); ok {
		w.tell(e)
	}
}
