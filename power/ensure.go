package power

import (
	"context"
	"errors"
	"time"
)

// Options refine a request.
type Options struct {
	// Boot is what the machine boots when it is switched on or cycled. Empty leaves its own order.
	Boot BootDevice
	// Soft asks the operating system first when switching off, for so long, before the power is taken. Zero takes it at once.
	Soft time.Duration
}

// A Report says what a request did.
type Report struct {
	// Before and After are the states seen first and last.
	Before, After State
	// Steps are what was done, in order.
	Steps []Step
}

// A Step is one thing done to the BMC.
type Step struct {
	Time time.Time `json:"time"`
	// Op is such as "set power on" or "boot once from network".
	Op string `json:"op"`
	// Err is empty when it was accepted.
	Err string `json:"err,omitempty"`
}

// An Attempt is one request to a BMC: what was asked, when, and what came of it. It holds no secrets.
type Attempt struct {
	// Name is the target's.
	Name string
	// Kind is the target's.
	Kind string
	// Action is such as "set power on" or "query".
	Action string
	// Asked is when the request came, Began when its turn came and the session was open (zero = it never did), Ended when it
	// was over.
	Asked, Began, Ended time.Time
	// Report is what was done.
	Report Report
	// Err is nil when it succeeded.
	Err error
}

// run is one request in progress.
type run struct {
	ctx context.Context
	*session
	cfg    *Config
	opts   Options
	report Report
}

// Ensure brings the machine to On or Off: it looks, sets the boot override and reads it back, acts once, and polls until
// the state is there. A machine that is in the state already is left alone. The report is valid with an error too.
func (c *Controller) Ensure(ctx context.Context, t Target, want State, opts Options) (Report, error) {
	return c.request(ctx, t, setPowerOp(want), opts, func(r *run) error { return r.ensure(want) })
}

// Cycle makes a running machine start again, and switches on one that is off.
func (c *Controller) Cycle(ctx context.Context, t Target, opts Options) (Report, error) {
	return c.request(ctx, t, opCycle, opts, (*run).cycle)
}

func (c *Controller) request(ctx context.Context, t Target, action string, opts Options, do func(*run) error) (Report, error) {
	var report Report
	err := c.with(ctx, t, action, func(ctx context.Context, s *session, a *Attempt) error {
		r := run{ctx: ctx, session: s, cfg: &c.cfg, opts: opts}
		err := do(&r)
		report, a.Report = r.report, r.report
		for _, s := range r.report.Steps {
			r.log.Info("power", "op", s.Op, "err", s.Err)
		}
		return err
	})
	return report, err
}

func (r *run) ensure(want State) error {
	if want != On && want != Off {
		return Errorf(Settings, "set power", "%q is neither on nor off", want)
	}
	if err := r.look(); err != nil {
		return err
	}
	if r.report.Before == want {
		return nil
	}
	if want == On {
		if err := r.boot(); err != nil {
			return err
		}
	}
	if want == Off && r.softOff() {
		return nil
	}
	return r.act(setPowerOp(want), want, func() error { return r.driver.SetPower(r.ctx, want) })
}

func (r *run) cycle() error {
	if err := r.look(); err != nil {
		return err
	}
	if err := r.boot(); err != nil {
		return err
	}
	if r.report.Before == Off {
		return r.act(setPowerOp(On), On, func() error { return r.driver.SetPower(r.ctx, On) })
	}
	if cycler, ok := r.driver.(Cycler); ok {
		return r.act(opCycle, On, func() error { return cycler.Cycle(r.ctx) })
	}
	if err := r.act(setPowerOp(Off), Off, func() error { return r.driver.SetPower(r.ctx, Off) }); err != nil {
		return err
	}
	return r.act(setPowerOp(On), On, func() error { return r.driver.SetPower(r.ctx, On) })
}

// look reads the state before anything is done.
func (r *run) look() error {
	state, err := r.session.look(r.ctx)
	if err != nil {
		return err
	}
	r.report.Before, r.report.After = state, state
	return nil
}

// boot sets the override and makes sure that the BMC kept it: some accept and forget.
func (r *run) boot() error {
	if r.opts.Boot == "" {
		return nil
	}
	op := "boot once from " + string(r.opts.Boot)
	booter, ok := r.driver.(Booter)
	if !ok {
		return Errorf(Unsupported, op, "this kind of power control cannot choose the boot device")
	}
	if err := r.step(op, booter.SetBootOnce(r.ctx, r.opts.Boot)); err != nil {
		return err
	}
	kept, err := booter.BootOnce(r.ctx)
	switch {
	case ClassOf(err) == Unsupported: // it cannot tell, so its word has to do
		return nil
	case err != nil:
		return err
	case kept != r.opts.Boot:
		return r.step("read back the boot device",
			Errorf(ActionFailed, op, "the BMC accepted the boot device and then reported %q", kept))
	}
	return nil
}

// softOff asks the system to shut down and reports whether it did in time.
func (r *run) softOff() bool {
	soft, ok := r.driver.(SoftOffer)
	if !ok || r.opts.Soft == 0 {
		return false
	}
	if r.step("ask the system to shut down", soft.SoftOff(r.ctx)) != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.opts.Soft)
	defer cancel()
	return r.await(ctx, Off, nil) == nil
}

// lostReply is how long the state is watched after a request whose answer got lost: the BMC may have acted all the same.
const lostReply = 30 * time.Second

// act does something once and waits for the state. It is never repeated while the machine is on its way: repeating restarts
// a slow BMC's machine again and again. Nor is it repeated when the answer got lost; then the state tells what happened.
func (r *run) act(op string, want State, do func() error) error {
	if !r.slot { // a wait that ended early left it
		if err := r.takeSlot(r.ctx); err != nil {
			return err
		}
	}
	if err := r.reopen(r.ctx); err != nil {
		return err
	}
	if err := r.step(op, do()); err != nil {
		if ClassOf(err) != Connection || r.ctx.Err() != nil || op == opCycle {
			return err // of a cycle that may or may not have begun, the state tells nothing
		}
		ctx, cancel := context.WithTimeout(r.ctx, lostReply)
		defer cancel()
		if r.await(ctx, want, nil) != nil {
			return err
		}
		return nil
	}
	var again func() error
	if op == setPowerOp(want) {
		again = func() error { return r.driver.SetPower(r.ctx, want) }
	}
	err := r.await(r.ctx, want, again)
	if errors.Is(err, context.DeadlineExceeded) {
		return r.step("wait for power "+string(want),
			Errorf(ActionFailed, op, "the BMC accepted, but the state was still %q when time was over", r.report.After))
	}
	return err
}

const opCycle = "cycle"

func setPowerOp(want State) string { return "set power " + string(want) }

// await polls until the state is there. A driver that cannot ask is believed. Lost answers and ended sessions are normal
// while a BMC is busy, so only what cannot get better ends the wait. again, unless nil, repeats the request while the BMC
// keeps reporting the opposite.
func (r *run) await(ctx context.Context, want State, again func() error) error {
	repeat := time.Now().Add(r.cfg.Repeat)
	for {
		state, err := r.state(ctx)
		switch class := ClassOf(err); {
		case err != nil && class != Connection && class != ActionFailed:
			return err
		case err == nil && (state == want || state == Unknown):
			r.report.After = state
			return nil
		case err == nil:
			r.report.After = state
			if again != nil && state == opposite(want) && time.Now().After(repeat) {
				_ = r.step(setPowerOp(want)+" again", again()) // noted; the state decides
				repeat = time.Now().Add(r.cfg.Repeat)
			}
		}
		if err := r.pause(ctx, r.cfg.Poll); err != nil {
			return err
		}
	}
}

func opposite(s State) State {
	if s == On {
		return Off
	}
	return On
}

func (r *run) step(op string, err error) error {
	r.report.step(op, err)
	return err
}

func (r *Report) step(op string, err error) {
	s := Step{Time: time.Now(), Op: op}
	if err != nil {
		s.Err = err.Error()
	}
	r.Steps = append(r.Steps, s)
}
