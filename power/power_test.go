package power_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/power"
)

// fakeBMC is a driver without a protocol. It takes as long as it is told to.
type fakeBMC struct {
	state  power.State
	after  time.Duration // from SetPower to the state
	forget bool          // the boot device
	boot   power.BootDevice
	flaky  int // answers to PowerState that get lost, after the first
	asked  int
	sets   int
	due    time.Time
	target power.State
}

func (f *fakeBMC) PowerState(context.Context) (power.State, error) {
	if f.asked++; f.asked > 1 && f.flaky > 0 {
		f.flaky--
		return power.Unknown, power.Errorf(power.Connection, "read", "lost")
	}
	if f.state == power.Transitioning && !time.Now().Before(f.due) {
		f.state = f.target
	}
	return f.state, nil
}

func (f *fakeBMC) SetPower(_ context.Context, target power.State) error {
	f.sets++
	f.state, f.target, f.due = power.Transitioning, target, time.Now().Add(f.after)
	return nil
}

func (f *fakeBMC) SetBootOnce(_ context.Context, d power.BootDevice) error {
	if !f.forget {
		f.boot = d
	}
	return nil
}

func (f *fakeBMC) BootOnce(context.Context) (power.BootDevice, error) {
	if f.boot == "" {
		return power.Default, nil
	}
	return f.boot, nil
}

func controller(t *testing.T, bmc *fakeBMC) *power.Controller {
	t.Helper()
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(power.Kind{
		Name: "fake", Params: []power.Param{{Name: "power_address"}, {Name: "power_pass", Secret: true}},
		Open: func(context.Context, power.Params) (power.Driver, error) { return bmc, nil },
	})})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var target = power.Target{Kind: "fake", Name: "m1", Params: power.Params{"power_pass": "hunter2"}}

func TestSlowMachineIsSwitchedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bmc := &fakeBMC{state: power.Off, after: 70 * time.Second, flaky: 3}
		result, err := controller(t, bmc).Ensure(t.Context(), target, power.On, power.Options{})
		if err != nil || result.State != power.On || bmc.sets != 1 {
			t.Errorf("%+v after %d requests: %v", result, bmc.sets, err)
		}
	})
}

func TestForgottenBootDeviceIsNoticedBeforePowerOn(t *testing.T) {
	bmc := &fakeBMC{state: power.Off, forget: true}
	_, err := controller(t, bmc).Ensure(t.Context(), target, power.On, power.Options{Boot: power.Network})
	if power.ClassOf(err) != power.ActionFailed || bmc.sets != 0 {
		t.Errorf("%v after %d requests", err, bmc.sets)
	}
}

func TestTimeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bmc := &fakeBMC{state: power.Off, after: time.Hour}
		began := time.Now()
		result, err := controller(t, bmc).Ensure(t.Context(), target, power.On, power.Options{})
		var perr *power.Error
		if !errors.As(err, &perr) || perr.Class != power.ActionFailed || !perr.Temporary() {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != 5*time.Minute {
			t.Errorf("gave up after %v", took)
		}
		if strings.Contains(err.Error(), "hunter2") || len(result.Steps) != 2 {
			t.Errorf("%v %+v", err, result)
		}
	})
}

// deafBMC acts and loses the answer, ends sessions, or forgets a request.
type deafBMC struct {
	fakeBMC
	lostReplies int
	ended       int // sessions ended while waiting
	forgets     int
	opened      int
}

func (d *deafBMC) SetPower(ctx context.Context, target power.State) error {
	if d.forgets > 0 {
		d.forgets--
		d.sets++
		return nil
	}
	_ = d.fakeBMC.SetPower(ctx, target)
	if d.lostReplies > 0 {
		d.lostReplies--
		return power.Errorf(power.Connection, "set power", "no answer")
	}
	return nil
}

func (d *deafBMC) PowerState(ctx context.Context) (power.State, error) {
	if d.asked > 0 && d.ended > 0 {
		d.ended--
		return power.Unknown, power.Errorf(power.Auth, "read", "HTTP 401")
	}
	return d.fakeBMC.PowerState(ctx)
}

func (d *deafBMC) controller(t *testing.T) *power.Controller {
	t.Helper()
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(power.Kind{
		Name: "fake", Params: []power.Param{{Name: "power_pass", Secret: true}},
		Open: func(context.Context, power.Params) (power.Driver, error) { d.opened++; return d, nil },
	})})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBadBMCs(t *testing.T) {
	for name, tt := range map[string]struct {
		bmc  deafBMC
		sets int // requests that it should take
	}{
		"loses the answer": {deafBMC{fakeBMC: fakeBMC{state: power.Off, after: 5 * time.Second}, lostReplies: 1}, 1},
		"ends sessions":    {deafBMC{fakeBMC: fakeBMC{state: power.Off, after: 5 * time.Second}, ended: 2}, 1},
		"forgets":          {deafBMC{fakeBMC: fakeBMC{state: power.Off}, forgets: 1}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				result, err := tt.bmc.controller(t).Ensure(t.Context(), target, power.On, power.Options{})
				if err != nil || result.State != power.On || tt.bmc.sets != tt.sets {
					t.Errorf("%+v after %d requests: %v", result, tt.bmc.sets, err)
				}
				if name == "ends sessions" && tt.bmc.opened != 3 {
					t.Errorf("%d sessions opened, want 3", tt.bmc.opened)
				}
			})
		})
	}
}

func TestRequestsToOneBMCTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bmc := &fakeBMC{state: power.Off, after: 10 * time.Second}
		c := controller(t, bmc)
		done := make(chan error)
		for _, want := range []power.State{power.On, power.On} {
			go func() { _, err := c.Ensure(t.Context(), target, want, power.Options{}); done <- err }()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if bmc.sets != 1 {
			t.Errorf("%d requests to switch on", bmc.sets)
		}
	})
}

func TestUnknownKindListsWhatThereIs(t *testing.T) {
	_, err := controller(t, &fakeBMC{}).Query(t.Context(), power.Target{Kind: "ilo"})
	if power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), `"fake"`) {
		t.Errorf("got %v", err)
	}
}
