package power

import (
	"context"
	"time"
)

// run is one request whose turn it is.
type run struct {
	ctx context.Context // ends with the caller's, or after Config.Timeout
	*session
	cfg    *Config
	result Result
	onStep func(target string, s Step) // see Options.Step
}

// step records one thing done to the BMC and returns its error.
func (r *run) step(op string, err error) error {
	s := Step{Time: time.Now(), Op: op}
	if err != nil {
		s.Err = err.Error()
	}
	r.result.Steps = append(r.result.Steps, s)
	if r.onStep != nil {
		r.onStep(r.result.Name, s)
	}
	return err
}

// inTurn waits until it is the target's turn and opens a session with its BMC, or takes over the
// session that the request before left open. Unless it fails, the caller must defer release, which
// ends the turn and reports the result.
func (c *Controller) inTurn(ctx context.Context, t Target, action string) (r *run, release func(*Result, *error), err error) {
	kind, err := c.cfg.Registry.Kind(t.Kind)
	if err != nil {
		return nil, nil, err
	}
	params, err := kind.Check(t.Params)
	if err != nil {
		return nil, nil, err
	}
	TranscriptFrom(ctx).hide(&kind, params)
	s := &session{kind: kind, params: params, slots: c.slots, log: c.cfg.Log.With("machine", t.Name, "kind", t.Kind)}
	r = &run{session: s, cfg: &c.cfg, result: unseen()}
	r.result.Name, r.result.Kind, r.result.Action, r.result.Asked = t.Name, t.Kind, action, time.Now()
	bmc := kind.identity(params)
	if err := c.enter(ctx, bmc, s); err != nil {
		c.ended(&r.result, err)
		return nil, nil, err
	}
	err = s.takeSlot(ctx)
	// The time counts from here: waiting for others must not use it up.
	inTime, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	r.ctx = inTime
	release = func(result *Result, err *error) {
		cancel()
		c.leave(ctx, bmc, s, *err == nil)
		c.ended(result, *err)
	}
	if err == nil {
		err = s.reopen(inTime)
	}
	if err != nil {
		release(&r.result, &err)
		return nil, nil, err
	}
	r.result.Began = time.Now()
	return r, release, nil
}

// enter waits for the turn at a BMC and takes over the session that was left open, if it suits.
func (c *Controller) enter(ctx context.Context, bmc string, s *session) error {
	left, err := c.queues.enter(ctx, bmc)
	if left != nil && (err != nil || !left.serves(s)) {
		left.close(ctx, closeTimeout)
	} else if left != nil {
		s.driver, s.inherited = left.driver, true
	}
	return err
}

// leave ends the turn at a BMC. The session is left to a request that waits already, and closed
// otherwise: a BMC has few.
func (c *Controller) leave(ctx context.Context, bmc string, s *session, healthy bool) {
	handed := healthy && c.queues.hand(bmc, s)
	if !handed {
		s.close(ctx, closeTimeout)
	}
	s.leaveSlot()
	if orphan := c.queues.leave(bmc); orphan != nil {
		orphan.close(ctx, closeTimeout)
	}
}

// ended logs and reports a result.
func (c *Controller) ended(result *Result, err error) {
	result.Ended = time.Now()
	for _, s := range result.Steps {
		c.cfg.Log.Info("power operation", "machine", result.Name, "kind", result.Kind, "task", s.Op, "err", s.Err)
	}
	if c.cfg.Done != nil {
		c.cfg.Done(*result, err)
	}
}
