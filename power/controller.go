package power

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Config is what a controller is made of.
type Config struct {
	// Registry has the kinds. Required.
	Registry Registry
	// Timeout bounds one request, from its turn at the BMC to the state that was asked for. Zero means 5 minutes.
	Timeout time.Duration
	// Poll is how often the state is asked for while waiting for it. Zero means one second.
	Poll time.Duration
	// Repeat is when on or off is asked for again, should the BMC still report the opposite: some accept a request and
	// forget it. A cycle is never repeated, nor anything while the state is in between. Zero means one minute.
	Repeat time.Duration
	// Parallel is how many BMCs are talked to at a time; those that are only waited for do not count. Zero means 64.
	Parallel int
	// Log receives what was done to which BMC, without secrets. Nil discards.
	Log *slog.Logger
}

// A Controller drives the power of many machines: requests to one BMC go one after the other, and a request is done when
// the state has been seen, not when it was accepted. Its methods may be called concurrently.
type Controller struct {
	cfg   Config
	slots chan struct{}

	mu     sync.Mutex // guards following
	queues map[string]*queue
}

// queue is the turn at one BMC.
type queue struct {
	turn  chan struct{}
	users int
}

// NewController checks the configuration. It starts nothing.
func NewController(cfg Config) (*Controller, error) {
	if len(cfg.Registry) == 0 {
		return nil, errors.New("power: a controller needs kinds in its registry")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 5 * time.Minute
	}
	if cfg.Poll == 0 {
		cfg.Poll = time.Second
	}
	if cfg.Repeat == 0 {
		cfg.Repeat = time.Minute
	}
	if cfg.Parallel == 0 {
		cfg.Parallel = 64
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Controller{cfg: cfg, slots: make(chan struct{}, cfg.Parallel), queues: map[string]*queue{}}, nil
}

// Registry returns the kinds that the controller knows.
func (c *Controller) Registry() Registry { return c.cfg.Registry }

// A Target is one machine's power control.
type Target struct {
	// Kind names one in the registry.
	Kind string
	// Params are its settings, with secrets.
	Params Params
	// Name is for the log and errors only.
	Name string
}

// with opens a session with the target when it is its turn, and closes it after fn.
func (c *Controller) with(ctx context.Context, t Target, fn func(context.Context, *session) error) error {
	kind, err := c.cfg.Registry.Kind(t.Kind)
	if err != nil {
		return err
	}
	params, err := kind.Check(t.Params)
	if err != nil {
		return err
	}
	leave, err := c.enter(ctx, kind.identity(params))
	if err != nil {
		return err
	}
	defer leave()
	s := &session{kind: kind, params: params, slots: c.slots, log: c.cfg.Log.With("machine", t.Name, "kind", t.Kind)}
	if err := s.takeSlot(ctx); err != nil {
		return err
	}
	defer s.leaveSlot()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if err := s.open(ctx); err != nil {
		return err
	}
	defer s.close(ctx, closeTimeout)
	return fn(ctx, s)
}

// enter waits for the turn at a BMC.
func (c *Controller) enter(ctx context.Context, bmc string) (leave func(), err error) {
	c.mu.Lock()
	q := c.queues[bmc]
	if q == nil {
		q = &queue{turn: make(chan struct{}, 1)}
		c.queues[bmc] = q
	}
	q.users++
	c.mu.Unlock()
	forget := func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if q.users--; q.users == 0 {
			delete(c.queues, bmc)
		}
	}
	select {
	case q.turn <- struct{}{}:
		return func() { <-q.turn; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, waited(ctx)
	}
}

func waited(ctx context.Context) error {
	return Errorf(Connection, "wait for the BMC's other requests", "%w", ctx.Err())
}

// Query asks for the state.
func (c *Controller) Query(ctx context.Context, t Target) (State, error) {
	state := Unknown
	err := c.with(ctx, t, func(ctx context.Context, s *session) (err error) {
		state, err = s.driver.PowerState(ctx)
		return err
	})
	if err != nil {
		return Unknown, err
	}
	return state, nil
}
