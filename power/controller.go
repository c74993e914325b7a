package power

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config holds the settings of a [Controller].
type Config struct {
	// Registry has the kinds. Required.
	Registry Registry
	// Timeout bounds one request, from its turn at the BMC to the state that was asked for. Zero
	// means 5 minutes.
	Timeout time.Duration
	// Poll is the interval between two reads of the state while waiting for it. Zero means one
	// second.
	Poll time.Duration
	// Repeat is the time after which on or off is requested again if the BMC still reports the
	// opposite: some accept a request and forget it. A cycle is never repeated, nor anything while
	// the state is in between. Zero means one minute.
	Repeat time.Duration
	// Parallel is the number of BMCs in dialog at a time; a request that only waits for a state
	// does not count. Zero means 64.
	Parallel int
	// Spacing is the least time between the end of a request to a BMC and the beginning of the next
	// one to the same: many are slow, and drop what comes too fast. Zero means 50 ms, less than
	// zero none.
	Spacing time.Duration
	// Done receives the result of each request that has ended, with its error. It may be called
	// concurrently, and must return soon. If nil, results are not reported.
	Done func(Result, error)
	// Log receives what was done to which BMC, without secrets. Nil discards.
	Log *slog.Logger
}

// A Controller drives the power of many machines: requests to one BMC go one after the other, and a
// request is done when the state has been seen, not when it was accepted. Its methods may be called
// concurrently.
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
	for name, kind := range cfg.Registry {
		if kind.Open == nil {
			return nil, fmt.Errorf("power: kind %q has no Open; it is what makes the driver", name)
		}
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
	// Name identifies the machine in logs and results. For a monitor of package power/monitor it is
	// the key, so each target needs its own.
	Name string
}

// Query returns the power state of a target.
func (c *Controller) Query(ctx context.Context, t Target) (State, error) {
	result, err := c.query(ctx, t)
	return result.State, err
}

func (c *Controller) query(ctx context.Context, t Target) (result Result, err error) {
	r, release, err := c.inTurn(ctx, t, "query")
	if err != nil {
		return unseen(), err
	}
	defer release(&result, &err)
	err = r.look()
	return r.result, err
}
