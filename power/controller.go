package power

import (
	"context"
	"errors"
	"log/slog"
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
	// Spacing is the least time between the end of a request to a BMC and the beginning of the next one to the same: many
	// are slow, and drop what comes too fast. Zero means 50 ms, less than zero none.
	Spacing time.Duration
	// Done is told each request that has ended, also those that failed. It may be called concurrently, and must return soon.
	// Nil tells nobody.
	Done func(Attempt)
	// Log receives what was done to which BMC, without secrets. Nil discards.
	Log *slog.Logger
}

// A Controller drives the power of many machines: requests to one BMC go one after the other, and a request is done when
// the state has been seen, not when it was accepted. Its methods may be called concurrently.
type Controller struct {
	cfg    Config
	slots  chan struct{}
	queues queues
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
	if cfg.Spacing == 0 {
		cfg.Spacing = 50 * time.Millisecond
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Controller{cfg: cfg, slots: make(chan struct{}, cfg.Parallel), queues: queues{spacing: cfg.Spacing, byBMC: map[string]*queue{}}}, nil
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

// with runs fn with a session when it is the target's turn, and fills in the attempt around it.
func (c *Controller) with(ctx context.Context, t Target, action string, fn func(context.Context, *session, *Attempt) error) error {
	kind, err := c.cfg.Registry.Kind(t.Kind)
	if err != nil {
		return err
	}
	params, err := kind.Check(t.Params)
	if err != nil {
		return err
	}
	TranscriptFrom(ctx).hide(&kind, params)
	a := &Attempt{Name: t.Name, Kind: t.Kind, Action: action, Asked: time.Now()}
	s := &session{kind: kind, params: params, slots: c.slots, log: c.cfg.Log.With("machine", t.Name, "kind", t.Kind)}
	a.Err = c.inTurn(ctx, s, func(ctx context.Context) error {
		a.Began = time.Now()
		return fn(ctx, s, a)
	})
	a.Ended = time.Now()
	if c.cfg.Done != nil {
		c.cfg.Done(*a)
	}
	return a.Err
}

// inTurn takes over the session that the request before left open, or opens one. It is left to a request that waits
// already, and closed otherwise: a BMC has few.
func (c *Controller) inTurn(ctx context.Context, s *session, fn func(context.Context) error) (err error) {
	bmc := s.kind.identity(s.params)
	left, err := c.queues.enter(ctx, bmc)
	if left != nil && (err != nil || !left.serves(s)) {
		left.close(ctx, closeTimeout)
	} else if left != nil {
		s.driver, s.inherited = left.driver, true
	}
	if err != nil {
		return err
	}
	defer func() {
		handed := err == nil && c.queues.hand(bmc, s)
		if !handed {
			s.close(ctx, closeTimeout)
		}
		s.leaveSlot()
		if orphan := c.queues.leave(bmc); orphan != nil {
			orphan.close(ctx, closeTimeout)
		}
	}()
	if err := s.takeSlot(ctx); err != nil {
		return err
	}
	inTime, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	if err := s.reopen(inTime); err != nil {
		return err
	}
	return fn(inTime)
}

// Query asks for the state.
func (c *Controller) Query(ctx context.Context, t Target) (State, error) {
	state := Unknown
	err := c.with(ctx, t, "query", func(ctx context.Context, s *session, a *Attempt) (err error) {
		state, err = s.look(ctx)
		a.Report.Before, a.Report.After = state, state
		return err
	})
	return state, err
}
