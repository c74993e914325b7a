package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/rpc"
)

// simTopics are the topics that the racks of a simulation serve.
var simTopics = []string{"dhcp", "dns"}

// simDatabase is the database that the regions of a simulation share.
type simDatabase struct {
	mu      sync.Mutex                              // guards the fields below
	content map[string]map[string]map[string][]byte // by rack, topic and key
	taken   map[string]uint64                       // last fact by rack and outbox
	effects map[string]int                          // how often each fact counted
	broken  bool
}

// take counts the facts that are new, all or none, as a region does in one transaction.
func (d *simDatabase) take(_ context.Context, rack string, facts []rpc.Fact) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken {
		return errors.New("the database is away")
	}
	for _, f := range facts {
		key := rack + " " + f.Outbox
		if f.Seq <= d.taken[key] {
			continue
		}
		d.taken[key] = f.Seq
		d.effects[string(f.Data)]++
	}
	return nil
}

func (d *simDatabase) of(rack, topic string) map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.content[rack][topic])
}

// simRack is a rack with its disk, in one of its lives.
type simRack struct {
	sim  *sim
	name string
	dir  string
	stop func()

	mu      sync.Mutex // guards the fields below
	outbox  *rpc.Outbox
	served  map[string]map[string][]byte
	added   []string // facts that are on disk
	refuse  bool     // what it is told to serve
	session int
}

// sim is a site in virtual time.
type sim struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	db      simDatabase
	racks   []*simRack
	regions []*rpc.Region // nil = crashed

	mu     sync.Mutex // guards the fields below
	cut    []chan struct{}
	healed bool
	facts  int
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), regions: make([]*rpc.Region, 2), cut: make([]chan struct{}, 2)}
	s.db = simDatabase{content: map[string]map[string]map[string][]byte{}, taken: map[string]uint64{}, effects: map[string]int{}}
	for i := range 3 {
		r := &simRack{sim: s, name: fmt.Sprint("rack-", i), dir: t.TempDir(), served: map[string]map[string][]byte{}}
		s.db.content[r.name] = map[string]map[string][]byte{}
		for _, topic := range simTopics {
			s.db.content[r.name][topic] = map[string][]byte{}
		}
		s.racks = append(s.racks, r)
	}
	for i := range s.regions {
		s.startRegion(i)
	}
	for _, r := range s.racks {
		r.start()
	}
	return s
}

// startRegion begins a new life: its state is planned anew, in a new epoch.
func (s *sim) startRegion(i int) {
	region := rpc.NewRegion(rpc.RegionConfig{Facts: s.db.take})
	s.mu.Lock()
	s.regions[i], s.cut[i] = region, make(chan struct{})
	s.mu.Unlock()
	s.publish(i)
}

// publish plans what the database says for a region that lives.
func (s *sim) publish(i int) {
	s.mu.Lock()
	region := s.regions[i]
	s.mu.Unlock()
	if region == nil {
		return
	}
	for _, r := range s.racks {
		for _, topic := range simTopics {
			region.State(r.name).Set(topic, s.db.of(r.name, topic))
		}
	}
}

// crashRegion ends a region and all its connections.
func (s *sim) crashRegion(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.regions[i] != nil {
		close(s.cut[i])
		s.regions[i] = nil
	}
}

// chance is the same for the same question and seed, in whatever order goroutines ask.
func (s *sim) chance(question string, n uint64) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, s.seed, question)
	return rand.New(rand.NewPCG(h.Sum64(), 0)).Uint64N(n)
}

// dial connects a rack to the region that its session comes to, if that lives.
func (r *simRack) dial(context.Context) (rpc.Conn, error) {
	r.mu.Lock()
	r.session++
	session := r.session
	r.mu.Unlock()
	at := int(r.sim.chance(fmt.Sprint("dial ", r.name, session), 2))
	r.sim.mu.Lock()
	defer r.sim.mu.Unlock()
	if r.sim.regions[at] == nil {
		return nil, rpc.ErrUnavailable
	}
	return &simConn{Conn: r.sim.regions[at].Conn(r.name), sim: r.sim, name: fmt.Sprint(r.name, " ", session), cut: r.sim.cut[at]}, nil
}

// simConn delays, duplicates and loses.
type simConn struct {
	rpc.Conn
	sim  *sim
	name string
	cut  chan struct{}

	mu sync.Mutex // guards the fields below
	n  map[string]int
}

// trouble waits as long as the network takes, and reports what else happens to the request.
func (c *simConn) trouble(ctx context.Context, what string) (fault uint64, err error) {
	c.mu.Lock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
	question := fmt.Sprint(c.name, what, c.n[what])
	c.mu.Unlock()
	c.sim.mu.Lock()
	healed := c.sim.healed
	c.sim.mu.Unlock()
	if healed {
		return 99, nil
	}
	select {
	case <-time.After(time.Duration(c.sim.chance("delay "+question, 3000)) * time.Millisecond):
	case <-c.cut:
		return 0, rpc.ErrUnavailable
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return c.sim.chance("fault "+question, 10), nil
}

// until ends a call when the connection is cut.
func (c *simConn) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := make(chan struct{})
	go func() {
		select {
		case <-c.cut:
			cancel(rpc.ErrUnavailable)
		case <-stop:
		}
	}()
	return ctx, func() { close(stop); cancel(nil) }
}

// Next loses the request or the answer now and then.
func (c *simConn) Next(ctx context.Context, topic string, from rpc.Position) (rpc.Update, error) {
	ctx, done := c.until(ctx)
	defer done()
	fault, err := c.trouble(ctx, "next "+topic)
	if err != nil || fault == 0 {
		return rpc.Update{}, errors.Join(rpc.ErrUnavailable, err)
	}
	u, err := c.Conn.Next(ctx, topic, from)
	if err == nil {
		_, err = c.trouble(ctx, "update "+topic)
	}
	return u, err
}

// Deliver loses, repeats, and delivers without an acknowledgement.
func (c *simConn) Deliver(ctx context.Context, facts []rpc.Fact) error {
	ctx, done := c.until(ctx)
	defer done()
	fault, err := c.trouble(ctx, "facts")
	if err != nil || fault == 0 {
		return errors.Join(rpc.ErrUnavailable, err)
	}
	err = c.Conn.Deliver(ctx, facts)
	switch {
	case err != nil:
		return err
	case fault == 1:
		return c.Conn.Deliver(ctx, facts)
	case fault == 2:
		return rpc.ErrUnavailable
	}
	_, err = c.trouble(ctx, "acknowledgement")
	return err
}

// Accept ends when the connection is cut.
func (c *simConn) Accept(ctx context.Context, m *rpc.Methods) error {
	ctx, done := c.until(ctx)
	defer done()
	return c.Conn.Accept(ctx, m)
}

// start begins a life of a rack with what is on its disk.
func (r *simRack) start() {
	t := r.sim.t
	replica, err := rpc.OpenReplica(filepath.Join(r.dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	outbox, err := rpc.OpenOutbox(rpc.OutboxConfig{Path: filepath.Join(r.dir, "outbox")})
	if err != nil {
		t.Fatal(err)
	}
	var topics []rpc.Topic
	for _, name := range simTopics {
		topics = append(topics, r.topic(name))
	}
	rack, err := rpc.NewRack(rpc.RackConfig{Replica: replica, Outbox: outbox, Topics: topics, Dial: r.dial})
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.outbox, r.served, r.refuse = outbox, map[string]map[string][]byte{}, false
	r.mu.Unlock()
	if err := rack.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- rack.Serve(ctx) }()
	r.stop = func() {
		cancel()
		if err := errors.Join(<-done, replica.Close(), outbox.Close()); err != nil {
			t.Errorf("seed %d: %s: %v", r.sim.seed, r.name, err)
		}
	}
}

// topic serves whole states and changes, unless it refuses them.
func (r *simRack) topic(name string) rpc.Topic {
	serve := func(content map[string][]byte) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.refuse {
			return errors.New("refused")
		}
		r.served[name] = content
		return nil
	}
	return rpc.Topic{Name: name,
		Apply: func(_ context.Context, objects map[string][]byte) error { return serve(objects) },
		Change: func(_ context.Context, changed []rpc.Object) error {
			r.mu.Lock()
			next := maps.Clone(r.served[name])
			r.mu.Unlock()
			for _, o := range changed {
				if o.Deleted {
					delete(next, o.Key)
				} else {
					next[o.Key] = o.Value
				}
			}
			return serve(next)
		},
	}
}

// crash ends a life of a rack. Half a line may be left of what was being written.
func (r *simRack) crash(torn bool) {
	r.stop()
	if !torn {
		return
	}
	files, _ := filepath.Glob(filepath.Join(r.dir, "state", "*"))
	for _, path := range append(files, filepath.Join(r.dir, "outbox")) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			r.sim.t.Fatal(err)
		}
		_, _ = f.WriteString(`0badc0de {"fact":{"seq":9`)
		f.Close()
	}
}

// see puts facts on a rack's disk.
func (r *simRack) see(n int) {
	var values []any
	for range n {
		r.sim.facts++
		values = append(values, fmt.Sprint(r.name, " saw ", r.sim.facts))
	}
	if err := r.outbox.Add("lease", values...); err != nil {
		r.sim.t.Fatal(err)
	}
	for _, v := range values {
		r.added = append(r.added, strconv.Quote(v.(string)))
	}
}

// step makes one thing happen.
func (s *sim) step() {
	r, i := s.racks[s.rng.IntN(len(s.racks))], s.rng.IntN(2)
	switch s.rng.IntN(10) {
	case 0, 1, 2:
		s.db.mu.Lock()
		content := s.db.content[r.name][simTopics[s.rng.IntN(2)]]
		for range 1 + s.rng.IntN(5) {
			key := fmt.Sprint("key", s.rng.IntN(20))
			if s.rng.IntN(4) == 0 {
				delete(content, key)
			} else {
				content[key] = []byte(fmt.Sprint(s.rng.IntN(1000)))
			}
		}
		s.db.mu.Unlock()
		s.publish(i) // the other region hears of it later
	case 3, 4:
		r.see(1 + s.rng.IntN(20))
	case 5:
		s.crashRegion(i)
	case 6:
		s.crashRegion(i)
		s.startRegion(i)
	case 7:
		r.crash(s.rng.IntN(2) == 0)
		r.start()
	case 8:
		s.db.mu.Lock()
		s.db.broken = !s.db.broken
		s.db.mu.Unlock()
	case 9:
		s.publish(1 - i)
		r.mu.Lock()
		r.refuse = !r.refuse
		r.mu.Unlock()
	}
}

// heal ends all faults. What a rack refused, it takes with the next change.
func (s *sim) heal() {
	s.mu.Lock()
	s.healed = true
	s.mu.Unlock()
	s.db.mu.Lock()
	s.db.broken = false
	s.db.mu.Unlock()
	for _, r := range s.racks {
		r.mu.Lock()
		r.refuse = false
		r.mu.Unlock()
	}
	for _, r := range s.racks {
		for _, topic := range simTopics {
			s.db.content[r.name][topic]["last"] = []byte(r.name)
		}
	}
	for i := range s.regions {
		if s.regions[i] == nil {
			s.startRegion(i)
		}
		s.publish(i)
	}
}

// check looks whether all arrived.
func (s *sim) check() {
	for _, r := range s.racks {
		for _, topic := range simTopics {
			want := s.db.of(r.name, topic)
			r.mu.Lock()
			same := maps.EqualFunc(want, r.served[topic], func(a, b []byte) bool { return string(a) == string(b) })
			r.mu.Unlock()
			if !same {
				s.t.Errorf("seed %d: %s serves %d objects of %s that differ from the %d of the database", s.seed, r.name, len(r.served[topic]), topic, len(want))
			}
		}
		if n, _ := r.outbox.Pending(); n != 0 {
			s.t.Errorf("seed %d: %s still has %d facts", s.seed, r.name, n)
		}
		for _, fact := range r.added {
			if n := s.db.effects[fact]; n != 1 {
				s.t.Errorf("seed %d: %s counted %d times", s.seed, fact, n)
			}
			delete(s.db.effects, fact)
		}
	}
	if len(s.db.effects) > 0 {
		s.t.Errorf("seed %d: nobody saw %v", s.seed, slices.Sorted(maps.Keys(s.db.effects)))
	}
}

// A site of two regions and three racks goes through changes, lost, late and repeated messages, crashes with torn files, and a
// database that is away, in virtual time. Once that ends every rack serves what the database says, and every fact counted
// once. MAAS_SIM is how many seeds to try, from MAAS_SIM_SEED on.
func TestSimulation(t *testing.T) {
	seeds, first := 20, uint64(1)
	if text := os.Getenv("MAAS_SIM"); text != "" {
		seeds, _ = strconv.Atoi(text)
	}
	if text := os.Getenv("MAAS_SIM_SEED"); text != "" {
		first, _ = strconv.ParseUint(text, 10, 64)
	}
	facts := 0
	for seed := first; seed < first+uint64(seeds) && !t.Failed(); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, seed)
				for range 60 {
					s.step()
					time.Sleep(time.Duration(s.rng.IntN(4000)) * time.Millisecond)
				}
				s.heal()
				time.Sleep(time.Minute)
				synctest.Wait()
				s.check()
				for _, r := range s.racks {
					r.stop()
				}
				for i := range s.regions {
					s.crashRegion(i)
				}
				facts += s.facts
			})
		})
	}
	t.Logf("%d seeds, %d facts", seeds, facts)
}
