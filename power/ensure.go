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
	Time time.Time
	// Op is such as "set power on" or "boot once from network".
	Op string
	// Err is empty when it was accepted.
	Err string
}

// run is one request in progress.
type run struct {
	ctx    context.Context
	driver Driver
	cfg    *Config
	opts   Options
	report Report
}

// Ensure brings the machine to On or Off: it looks, sets the boot override and reads it back, acts once, and polls until
// the state is there. A machine that is in the state already is left alone. The report is valid with an error too.
func (c *Controller) Ensure(ctx context.Context, t Target, want State, opts Options) (Report, error) {
	return c.request(ctx, t, opts, func(r *run) error { return r.ensure(want) })
}

// Cycle makes a running machine start again, and switches on one that is off.
func (c *Controller) Cycle(ctx context.Context, t Target, opts Options) (Report, error) {
	return c.request(ctx, t, opts, (*run).cycle)
}

func (c *Controller) request(ctx context.Context, t Target, opts Options, do func(*run) error) (Report, error) {
	var report Report
	err := c.with(ctx, t, func(ctx context.Context, d Driver) error {
		r := run{ctx: ctx, driver: d, cfg: &c.cfg, opts: opts}
		err := do(&r)
		report = r.report
		for _, s := range r.report.Steps {
			c.cfg.Log.Info("power", "machine", t.Name, "kind", t.Kind, "op", s.Op, "err", s.Err)
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
	return r.act("set power "+string(want), want, func() error { return r.driver.SetPower(r.ctx, want) })
}

func (r *run) cycle() error {
	if err := r.look(); err != nil {
		return err
	}
	if err := r.boot(); err != nil {
		return err
	}
	if r.report.Before == Off {
		return r.act("set power on", On, func() error { return r.driver.SetPower(r.ctx, On) })
	}
	if cycler, ok := r.driver.(Cycler); ok {
		return r.act("cycle", On, func() error { return cycler.Cycle(r.ctx) })
	}
	if err := r.act("set power off", Off, func() error { return r.driver.SetPower(r.ctx, Off) }); err != nil {
		return err
	}
	return r.act("set power on", On, func() error { return r.driver.SetPower(r.ctx, On) })
}

// look reads the state before anything is done.
func (r *run) look() error {
	state, err := r.driver.PowerState(r.ctx)
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
	return r.await(ctx, Off) == nil
}

// act does something once and waits for the state. It is never repeated while waiting: repeating restarts a slow BMC's
// machine again and again.
func (r *run) act(op string, want State, do func() error) error {
	if err := r.step(op, do()); err != nil {
		return err
	}
	err := r.await(r.ctx, want)
	if errors.Is(err, context.DeadlineExceeded) {
		return r.step("wait for power "+string(want),
			Errorf(ActionFailed, op, "the BMC accepted, but the state was still %q when time was over", r.report.After))
	}
	return err
}

// await polls until the state is there. A driver that cannot ask is believed. Lost answers while a BMC is busy are normal,
// so only what cannot get better ends the wait.
func (r *run) await(ctx context.Context, want State) error {
	for {
		state, err := r.driver.PowerState(ctx)
		if err == nil {
			r.report.After = state
			if state == want || state == Unknown {
				return nil
			}
		} else if class := ClassOf(err); class != Connection && class != ActionFailed {
			return err
		}
		select {
		case <-time.After(r.cfg.Poll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *run) step(op string, err error) error {
	s := Step{Time: time.Now(), Op: op}
	if err != nil {
		s.Err = err.Error()
	}
	r.report.Steps = append(r.report.Steps, s)
	return err
}
