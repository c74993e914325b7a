package monitor

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/gomaas/maas/power"
)

// Config holds the settings of a [Monitor].
type Config struct {
	// Asker asks the BMCs; a [power.Controller] does, and whatever knows one that does. Required.
	Asker Asker
	// Every is the interval between two questions about one machine. Zero means 5 minutes.
	Every time.Duration
	// Parallel bounds the questions in progress. Zero means 16.
	Parallel int
	// Timeout bounds one question, so that a dead BMC does not hold up others. Zero means 30
	// seconds.
	Timeout time.Duration
	// Changed receives a machine's state when it is first known and when it changes, one call after
	// the other, with the context of Run. Required.
	Changed func(context.Context, Observation)
}

// An Asker finds out the power state of a target, such as a [power.Controller].
type Asker interface {
	Query(ctx context.Context, t power.Target) (power.State, error)
}

// An Observation is the state of one machine at a time, or the error of asking for it.
type Observation struct {
	Name  string // of the target
	Time  time.Time
	State power.State // power.Unknown with an error
	Err   error       // nil = the BMC answered
	Next  time.Time
}

// maxBackoff bounds the interval for a BMC that keeps failing, in multiples of Every.
const maxBackoff = 16

// A Monitor asks many machines for their state and reports only changes. The questions are spread
// over time, and a BMC that fails is asked more and more rarely. Its methods may be called
// concurrently.
type Monitor struct {
	cfg Config

	mu      sync.Mutex // guards the fields below
	byName  map[string]*watched
	due     dueHeap
	updated chan struct{} // buffer 1
}

// watched is one machine.
type watched struct {
	target   power.Target
	due      time.Time
	index    int // in the heap; -1 = being asked
	failures int
	known    bool
	state    power.State
	class    power.Class
	gone     bool
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Monitor, error) {
	if cfg.Asker == nil || cfg.Changed == nil {
		return nil, errors.New("monitor: Config needs Asker and Changed")
	}
	if cfg.Every == 0 {
		cfg.Every = 5 * time.Minute
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = 16
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	return &Monitor{cfg: cfg, byName: map[string]*watched{}, updated: make(chan struct{}, 1)}, nil
}

// Update replaces the machines to watch. The name of a target is the key: Update changes nothing
// and returns an error when a name is empty or occurs twice. Machines that stay keep their turn.
// New ones get theirs within Every, at a time that depends on the name, so that a restart does not
// ask all BMCs at once.
func (m *Monitor) Update(targets []power.Target) error {
	keep := make(map[string]bool, len(targets))
	for i, t := range targets {
		switch {
		case t.Name == "":
			return fmt.Errorf("monitor: target %d of %d to watch has no name; give each its own, it is the key", i+1, len(targets))
		case keep[t.Name]:
			return fmt.Errorf("monitor: two targets to watch are named %q; give each its own name, it is the key", t.Name)
		}
		keep[t.Name] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for _, t := range targets {
		if w := m.byName[t.Name]; w != nil {
			w.target = t
			continue
		}
		w := &watched{target: t, due: now.Add(m.phase(t.Name))}
		m.byName[t.Name] = w
		heap.Push(&m.due, w)
	}
	for name, w := range m.byName {
		if !keep[name] {
			w.gone = true
			delete(m.byName, name)
			if w.index >= 0 {
				heap.Remove(&m.due, w.index)
			}
		}
	}
	select {
	case m.updated <- struct{}{}:
	default:
	}
	return nil
}

// phase is a machine's place in the period.
func (m *Monitor) phase(name string) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(name))
	return time.Duration(mix(h.Sum64()) % uint64(m.cfg.Every))
}

// mix spreads the values of similar names (the finalizer of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Run asks until ctx ends, and returns nil when all questions in progress are answered. It is
// called once.
func (m *Monitor) Run(ctx context.Context) error {
	jobs, tell := make(chan *watched), make(chan Observation)
	var workers, teller sync.WaitGroup
	teller.Go(func() {
		for o := range tell {
			m.cfg.Changed(ctx, o)
		}
	})
	for range m.cfg.Parallel {
		workers.Go(func() {
			for w := range jobs {
				if o, changed := m.ask(ctx, w); changed {
					tell <- o
				}
			}
		})
	}
	for ctx.Err() == nil {
		if w := m.next(ctx); w != nil {
			jobs <- w
		}
	}
	close(jobs)
	workers.Wait()
	close(tell)
	teller.Wait()
	return nil
}

// next waits for the machine whose turn it is; nil = look again.
func (m *Monitor) next(ctx context.Context) *watched {
	m.mu.Lock()
	wait := time.Hour
	if len(m.due) > 0 {
		if wait = time.Until(m.due[0].due); wait <= 0 {
			w := heap.Pop(&m.due).(*watched)
			m.mu.Unlock()
			return w
		}
	}
	m.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.updated:
	case <-ctx.Done():
	}
	return nil
}

// ask asks one machine and puts it back into the queue.
func (m *Monitor) ask(ctx context.Context, w *watched) (o Observation, changed bool) {
	m.mu.Lock()
	target := w.target
	m.mu.Unlock()
	asking, cancel := context.WithTimeout(ctx, m.cfg.Timeout)
	defer cancel()
	state, err := m.cfg.Asker.Query(asking, target)
	if ctx.Err() != nil {
		return o, false // an ended context is no failure of the BMC
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	class := power.ClassOf(err)
	changed = !w.known || w.state != state || w.class != class
	w.known, w.state, w.class = true, state, class
	w.failures++
	if err == nil {
		w.failures = 0
	}
	w.due = m.turn(w.due, now, w.failures)
	if w.gone {
		return o, false
	}
	heap.Push(&m.due, w)
	select {
	case m.updated <- struct{}{}: // it may be the next
	default:
	}
	return Observation{Name: target.Name, Time: now, State: state, Err: err, Next: w.due}, changed
}

// turn returns the time of a machine's next question: in step with its phase, and after n failures
// only every 2^n-th time.
func (m *Monitor) turn(last, now time.Time, failures int) time.Time {
	step := m.cfg.Every
	for range failures {
		if step >= maxBackoff*m.cfg.Every {
			break
		}
		step *= 2
	}
	for next := last.Add(step); ; next = next.Add(m.cfg.Every) {
		if next.After(now) {
			return next
		}
	}
}

// dueHeap has the machine whose turn is next at the top.
type dueHeap []*watched

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) {
	w := x.(*watched)
	w.index = len(*h)
	*h = append(*h, w)
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	w.index = -1
	*h = old[:len(old)-1]
	return w
}
