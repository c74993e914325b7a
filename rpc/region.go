package rpc

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// RegionConfig holds the settings of a [Region].
type RegionConfig struct {
	// Facts takes facts of a rack, in order. It must be idempotent by rack, Fact.Outbox and
	// Fact.Seq, since a fact may be delivered again after a lost connection. When it returns an
	// error the same facts are offered again later. If nil, facts are discarded.
	Facts func(ctx context.Context, rack string, facts []Fact) error
	// Methods are the methods that racks may call. Nil offers nothing.
	Methods *Methods
	// MaxCalls bounds the calls in progress to one rack; further ones wait. Zero means 64.
	MaxCalls int
}

// A Region is the side of rpc that owns state. Its methods may be called concurrently.
type Region struct {
	cfg    RegionConfig
	mu     sync.Mutex // guards the fields below
	states map[string]*State
	racks  map[string][]*attached // by name, those that came last at the end
	limits map[string]chan struct{}
	came   chan struct{} // closed, and replaced, when a rack connects
}

// attached is a connection of a rack. It is compared by identity: a rack that connects again has
// the same name, and the end of its old connection must not remove the new one.
type attached struct{ caller Caller }

// NewRegion returns a region without racks.
func NewRegion(cfg RegionConfig) *Region {
	if cfg.Methods == nil {
		cfg.Methods = &Methods{}
	}
	if cfg.MaxCalls == 0 {
		cfg.MaxCalls = 64
	}
	return &Region{cfg: cfg, states: map[string]*State{}, racks: map[string][]*attached{}, limits: map[string]chan struct{}{}, came: make(chan struct{})}
}

// State returns what the named rack is to serve, made empty at first use.
func (r *Region) State(rack string) *State {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.states[rack]
	if s == nil {
		s = NewState()
		r.states[rack] = s
	}
	return s
}

// Racks returns the names of the racks that are connected, sorted.
func (r *Region) Racks() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.racks))
}

// Await waits until one of the named racks is connected, or returns the error of ctx. After a
// region starts, racks take a moment to connect, and a call that does not wait fails. A rack that
// has just connected may not serve the latest state yet.
func (r *Region) Await(ctx context.Context, racks ...string) error {
	for {
		r.mu.Lock()
		came := r.came
		there := slices.ContainsFunc(racks, func(name string) bool { return len(r.racks[name]) > 0 })
		r.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-came:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Rack returns a caller for the methods of a rack. Its calls fail with [ErrUnavailable] while the
// rack is not connected, and wait while too many are in progress.
func (r *Region) Rack(name string) Caller { return rackCaller{region: r, name: name} }

type rackCaller struct {
	region *Region
	name   string
}

func (c rackCaller) Call(ctx context.Context, method string, in []byte) ([]byte, error) {
	if c.region.last(c.name) == nil {
		return nil, encodeError(method, fmt.Errorf("rack %s is not connected: %w", c.name, ErrUnavailable))
	}
	limit := c.region.limit(c.name)
	select {
	case limit <- struct{}{}:
		defer func() { <-limit }()
	case <-ctx.Done():
		return nil, encodeError(method, fmt.Errorf("rack %s has %d other calls to answer: %w", c.name, cap(limit), ctx.Err()))
	}
	a := c.region.last(c.name)
	if a == nil { // it left while this call waited
		return nil, encodeError(method, fmt.Errorf("rack %s is not connected: %w", c.name, ErrUnavailable))
	}
	return a.caller.Call(ctx, method, in)
}

// last is the newest connection of a rack, nil without one.
func (r *Region) last(name string) *attached {
	r.mu.Lock()
	defer r.mu.Unlock()
	if all := r.racks[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// limit holds one for each call to a rack that is in progress.
func (r *Region) limit(name string) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limits[name] == nil {
		r.limits[name] = make(chan struct{}, r.cfg.MaxCalls)
	}
	return r.limits[name]
}

// Attach makes a rack callable through c until the returned function is called. Of several
// connections of a rack the newest is used, and an older one when that has ended. It is for
// packages that carry connections; [Loopback] calls it by itself.
func (r *Region) Attach(name string, c Caller) (detach func()) {
	a := &attached{caller: c}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.racks[name] = append(r.racks[name], a)
	close(r.came)
	r.came = make(chan struct{})
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.racks[name] = slices.DeleteFunc(r.racks[name], func(other *attached) bool { return other == a })
		if len(r.racks[name]) == 0 {
			delete(r.racks, name)
		}
	}
}

// Conn returns the named rack's connection to this region. It is for packages that carry
// connections and have verified the rack's name.
func (r *Region) Conn(rack string) Conn { return &loopback{region: r, rack: rack} }

type callerKey struct{}

// CallingRack is the name of the rack on whose behalf a region's method runs, empty in any other
// context.
func CallingRack(ctx context.Context) string {
	name, _ := ctx.Value(callerKey{}).(string)
	return name
}

func (r *Region) deliver(ctx context.Context, rack string, facts []Fact) error {
	if r.cfg.Facts == nil {
		return nil
	}
	return r.cfg.Facts(ctx, rack, facts)
}
