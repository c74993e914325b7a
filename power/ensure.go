package power

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"
)

// Options refine a request.
type Options struct {
	// Boot is the device for the boot that switching on or cycling begins. Empty leaves the
	// machine's own order.
	Boot BootDevice
	// BootURL has UEFI HTTP boot load a URL once, in place of the one that DHCP names. Boot is
	// [NetworkHTTP] with it. A power control that is no [HTTPBooter] fails with [Unsupported]
	// before anything is switched, also with BootIfPossible.
	BootURL string
	// BootAlways sets Boot for all boots, if the power control is an [AlwaysBooter], and else for
	// this one.
	BootAlways bool
	// BootIfPossible switches a machine also if its power control cannot choose the boot device.
	// Else such a request fails with [Unsupported] before anything is switched.
	BootIfPossible bool
	// Soft asks the operating system first when switching off, for so long, before the power is
	// taken. Zero takes it at once.
	Soft time.Duration
	// Media is the image of ActionInsert; see [MediaDrive].
	Media string
	// Step receives each step as it happens, with the name of its target. EnsureAll calls it
	// concurrently. It must return soon. If nil, steps are in the result alone.
	Step func(target string, s Step)
}

// Ensure brings the machine to On or Off: it looks, sets the boot override and reads it back, acts
// once, and polls until the BMC reports the state. A machine that is in the state already is left
// alone.
func (c *Controller) Ensure(ctx context.Context, t Target, want State, opts Options) (result Result, err error) {
	r, release, err := c.inTurn(ctx, t, setPowerOp(want))
	if err != nil {
		return unseen(), err
	}
	defer release(&result, &err)
	r.onStep = opts.Step
	err = r.ensure(want, opts)
	return r.result, err
}

// EnsureAll brings machines to On or Off side by side, as many at a time as Config.Parallel says,
// and yields the result of each with its error as soon as it has ended. Result.Name is the name of
// the target. Requests that still run when the loop ends are canceled; EnsureAll waits for them.
//
//	for result, err := range c.EnsureAll(ctx, targets, power.On, power.Options{Boot: power.Network}) {
//		fmt.Println(result.Name, result.State, err)
//	}
func (c *Controller) EnsureAll(ctx context.Context, targets []Target, want State, opts Options) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		type ended struct {
			result Result
			err    error
		}
		var running sync.WaitGroup
		results := make(chan ended, len(targets)) // so that none waits for a reader that has left
		defer running.Wait()
		defer cancel()
		for _, t := range targets {
			running.Go(func() {
				result, err := c.Ensure(ctx, t, want, opts)
				result.Name, result.Kind = t.Name, t.Kind // also of one that never had its turn
				results <- ended{result, err}
			})
		}
		for range targets {
			if e := <-results; !yield(e.result, e.err) {
				return
			}
		}
	}
}

// Cycle makes a running machine start again, and switches on one that is off.
func (c *Controller) Cycle(ctx context.Context, t Target, opts Options) (result Result, err error) {
	r, release, err := c.inTurn(ctx, t, opCycle)
	if err != nil {
		return unseen(), err
	}
	defer release(&result, &err)
	r.onStep = opts.Step
	err = r.cycle(opts)
	return r.result, err
}

func (r *run) ensure(want State, opts Options) error {
	if want != On && want != Off {
		return Errorf(Settings, "set power", "%q is neither on nor off", want)
	}
	if err := r.look(); err != nil {
		return err
	}
	if resetter, ok := r.driver.(OnResetter); ok && want == On && r.result.Before == On && resetter.OnResets() {
		if err := r.boot(opts); err != nil {
			return err
		}
		return r.act("reset", On, func() error { return resetter.Reset(r.ctx) })
	}
	if r.result.Before == want {
		return nil
	}
	if want == On {
		if err := r.boot(opts); err != nil {
			return err
		}
	}
	if want == Off && r.softOff(opts.Soft) {
		return nil
	}
	return r.set(want)
}

func (r *run) cycle(opts Options) error {
	if err := r.look(); err != nil {
		return err
	}
	if err := r.boot(opts); err != nil {
		return err
	}
	if r.result.Before == Off {
		return r.set(On)
	}
	if cycler, ok := r.driver.(Cycler); ok {
		err := r.act(opCycle, On, func() error { return cycler.Cycle(r.ctx) })
		// Some BMCs of a kind that can cycle cannot; off and on is the same to the machine.
		if ClassOf(err) != Unsupported {
			return err
		}
	}
	if err := r.set(Off); err != nil {
		return err
	}
	return r.set(On)
}

// set asks for On or Off and waits for it.
func (r *run) set(want State) error {
	return r.act(setPowerOp(want), want, func() error { return r.driver.SetPower(r.ctx, want) })
}

// look reads the state before anything is done.
func (r *run) look() error {
	state, err := r.session.look(r.ctx)
	if err != nil {
		return err
	}
	r.result.Before, r.result.State = state, state
	return nil
}

// boot sets the override and makes sure that the BMC kept it: some accept and forget.
func (r *run) boot(opts Options) error {
	device := opts.Boot
	if opts.BootURL != "" {
		return r.bootURL(opts.BootURL)
	}
	if device == "" {
		return nil
	}
	if always, ok := r.driver.(AlwaysBooter); ok && opts.BootAlways {
		err := r.step("boot always from "+string(device), always.SetBootAlways(r.ctx, device))
		if opts.BootIfPossible && ClassOf(err) == Unsupported {
			return nil
		}
		return err
	}
	op := "boot once from " + string(device)
	booter, ok := r.driver.(Booter)
	if !ok && opts.BootIfPossible {
		return nil
	}
	if !ok {
		return Errorf(Unsupported, op, "this kind of power control cannot choose the boot device")
	}
	switch err := r.step(op, booter.SetBootOnce(r.ctx, device)); {
	case opts.BootIfPossible && ClassOf(err) == Unsupported: // this BMC of a kind that can
		return nil
	case err != nil:
		return err
	}
	kept, err := booter.BootOnce(r.ctx)
	switch {
	case ClassOf(err) == Unsupported: // it cannot tell, so its word has to do
		return nil
	case err != nil:
		return err
	case kept != device:
		return r.step("read back the boot device",
			Errorf(ActionFailed, op, "the BMC accepted the boot device and then reported %q", kept))
	}
	return nil
}

// bootURL sets the URL of the next boot and makes sure that the BMC kept it.
func (r *run) bootURL(url string) error {
	op := "boot once from " + withoutQuery(url)
	if err := checkBootURL(url); err != nil {
		return err
	}
	booter, ok := r.driver.(HTTPBooter)
	if !ok {
		return Errorf(Unsupported, op, "this kind of power control cannot hand a URL to the firmware; use redfish, or boot from virtual media")
	}
	if err := r.step(op, booter.SetHTTPBootOnce(r.ctx, url)); err != nil {
		return err
	}
	const again = "read back the boot device"
	kept, err := booter.HTTPBootURL(r.ctx)
	if err != nil {
		return err
	}
	if kept != url {
		return r.step(again, Errorf(ActionFailed, op, "the BMC accepted the URL and then reported %q; boot from virtual media instead", withoutQuery(kept)))
	}
	device, err := booter.BootOnce(r.ctx)
	if err == nil && device != NetworkHTTP {
		return r.step(again, Errorf(ActionFailed, op, "the BMC accepted the boot device and then reported %q", device))
	}
	return err
}

// softOff asks the system to shut down and reports whether it did in time.
func (r *run) softOff(patience time.Duration) bool {
	soft, ok := r.driver.(SoftOffer)
	if !ok || patience == 0 {
		return false
	}
	if r.step("ask the system to shut down", soft.SoftOff(r.ctx)) != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	return r.await(ctx, Off, nil) == nil
}

// refusedPolls is the number of times that the state is read after a refusal before that is
// believed: BMCs that refuse since the machine is in the state already may show the old state a
// little longer.
const refusedPolls = 3

// lostReply is the time in which the state is watched after a request whose answer was lost: the
// BMC may have acted all the same.
const lostReply = 30 * time.Second

// act does something once and waits for the state. It is never repeated while the machine is on its
// way: repeating restarts a slow BMC's machine again and again. Nor is it repeated when the answer
// was lost; then the state shows whether the BMC acted.
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
		return r.doubt(op, want, err)
	}
	var again func() error
	if op == setPowerOp(want) {
		again = func() error { return r.driver.SetPower(r.ctx, want) }
	}
	err := r.await(r.ctx, want, again)
	if errors.Is(err, context.DeadlineExceeded) {
		return r.step("wait for power "+string(want),
			Errorf(ActionFailed, op, "the BMC accepted, but the state was still %q when time was over", r.result.State))
	}
	return err
}

// doubt looks whether the machine gets into the state although the request failed, and returns the
// failure if it does not. The result then holds the state that was read last.
func (r *run) doubt(op string, want State, failure error) error {
	if r.kind.Blind || r.ctx.Err() != nil {
		return failure
	}
	ctx, cancel := context.WithTimeout(r.ctx, lostReply)
	defer cancel()
	switch class := ClassOf(failure); {
	case op == opCycle:
		// A machine that is on before and after a cycle proves nothing. One that went off before it
		// is refused the cycle, and only needs to be switched on.
		if class == ActionFailed && r.reread(ctx) == Off {
			return r.set(On)
		}
	// The answer was lost: the BMC may have acted all the same.
	case class == Connection:
		if r.await(ctx, want, nil) == nil {
			return nil
		}
	// A BMC refuses what is so already: HTTP 400, 405 or 409, IPMI 0xd5.
	case class == ActionFailed || class == Unsupported:
		for polls := 1; ; polls++ {
			state := r.reread(ctx)
			if state == want {
				return nil
			}
			// On its way, the machine may still get there.
			if state == opposite(want) && polls >= refusedPolls || class == Unsupported || r.pause(ctx, r.cfg.Poll) != nil {
				return failure
			}
		}
	}
	return failure
}

// reread returns the state of the machine, Unknown when the BMC does not answer, and keeps it for
// the result.
func (r *run) reread(ctx context.Context) State {
	state, err := r.state(ctx)
	if err != nil {
		return Unknown
	}
	r.result.State = state
	return state
}

const opCycle = "cycle"

func setPowerOp(want State) string { return "set power " + string(want) }

// await polls until the BMC reports the state. A kind that cannot ask is believed. Many BMCs report
// none, or one of their own, while they act, so an unknown state is waited for. Lost answers and
// ended sessions are normal while a BMC is busy, so only an error that cannot improve ends the
// wait. again, unless nil, repeats the request while the BMC keeps reporting the opposite.
func (r *run) await(ctx context.Context, want State, again func() error) error {
	repeat := time.Now().Add(r.cfg.Repeat)
	for {
		state, err := r.state(ctx)
		switch class := ClassOf(err); {
		case err != nil && class != Connection && class != ActionFailed:
			return err
		case err == nil && (state == want || r.kind.Blind):
			r.result.State = state
			return nil
		case err == nil:
			r.result.State = state
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
