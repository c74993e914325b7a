package power_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/power"
)

// countingBMC counts what is opened and closed, and when it is asked.
type countingBMC struct {
	fakeBMC
	opened, closed, open, most int
	dies                       int // sessions that end before their second use
	uses                       int // of the session
	asked                      []time.Time
}

func (c *countingBMC) PowerState(ctx context.Context) (power.State, error) {
	c.asked = append(c.asked, time.Now())
	if c.uses++; c.uses > 1 && c.dies > 0 {
		c.dies--
		return power.Unknown, power.Errorf(power.Auth, "read", "HTTP 401")
	}
	time.Sleep(10 * time.Millisecond)
	return c.fakeBMC.PowerState(ctx)
}

func (c *countingBMC) Close(context.Context) error {
	c.closed++
	c.open--
	return nil
}

func (c *countingBMC) controller(t *testing.T, done func(power.Result, error)) *power.Controller {
	t.Helper()
	ctl, err := power.NewController(power.Config{
		Registry: power.NewRegistry(power.Kind{
			Name: "fake", Params: []power.Param{{Name: "power_address"}, {Name: "power_pass", Secret: true}, {Name: "node"}},
			Open: func(context.Context, power.Params) (power.Driver, error) {
				c.opened++
				c.uses = 0
				c.open++
				c.most = max(c.most, c.open)
				return c, nil
			},
		}),
		Done: done,
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctl
}

// queries asks n times at once and returns the errors.
func queries(ctx context.Context, c *power.Controller, n int, target func(int) power.Target) []error {
	errs := make(chan error)
	for i := range n {
		go func() { _, err := c.Query(ctx, target(i)); errs <- err }()
	}
	var out []error
	for range n {
		if err := <-errs; err != nil {
			out = append(out, err)
		}
	}
	return out
}

func TestRequestsThatWaitShareASession(t *testing.T) {
	same := func(int) power.Target { return target }
	for name, tt := range map[string]struct {
		bmc    countingBMC
		target func(int) power.Target
		opened int
	}{
		"same parameters": {countingBMC{fakeBMC: fakeBMC{state: power.On}}, same, 1},
		"other parameters": {countingBMC{fakeBMC: fakeBMC{state: power.On}}, func(i int) power.Target {
			return power.Target{Kind: "fake", Params: power.Params{"node": string(rune('a' + i))}}
		}, 10},
		"ended sessions": {countingBMC{fakeBMC: fakeBMC{state: power.On}, dies: 2}, same, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := tt.bmc.controller(t, nil)
				if errs := queries(t.Context(), c, 10, tt.target); errs != nil {
					t.Error(errs)
				}
				if b := &tt.bmc; b.opened != tt.opened || b.closed != b.opened || b.most != 1 {
					t.Errorf("%d opened, %d closed, %d at a time; want %d opened, all closed, 1 at a time", b.opened, b.closed, b.most, tt.opened)
				}
				for i := 1; i < len(tt.bmc.asked); i++ {
					if gap := tt.bmc.asked[i].Sub(tt.bmc.asked[i-1]); gap < 10*time.Millisecond && tt.bmc.dies == 0 && name != "ended sessions" {
						t.Errorf("asked again after %v", gap)
					}
				}
			})
		})
	}
}

// A caller that gives up while waiting must not leave the session open that was left for it.
func TestGivingUpLeavesNoSessionOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bmc := &countingBMC{fakeBMC: fakeBMC{state: power.On}}
		c := bmc.controller(t, nil)
		for wait := range 120 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(wait)*time.Millisecond)
			_ = queries(ctx, c, 3, func(int) power.Target { return target })
			cancel()
			if bmc.open != 0 {
				t.Fatalf("%d sessions open after everybody gave up at %d ms", bmc.open, wait)
			}
		}
	})
}

func TestRequestsKeepTheirDistance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bmc := &countingBMC{fakeBMC: fakeBMC{state: power.On}}
		c := bmc.controller(t, nil)
		for range 5 {
			if _, err := c.Query(t.Context(), target); err != nil {
				t.Fatal(err)
			}
		}
		for i := 1; i < len(bmc.asked); i++ {
			if gap := bmc.asked[i].Sub(bmc.asked[i-1]); gap != 60*time.Millisecond { // 10 for the answer
				t.Errorf("asked again after %v", gap)
			}
		}
	})
}

func TestResultsAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []power.Result
		var errs []error
		bmc := &countingBMC{fakeBMC: fakeBMC{state: power.Off, after: 2 * time.Second}}
		c := bmc.controller(t, func(r power.Result, err error) { told, errs = append(told, r), append(errs, err) })
		if _, err := c.Ensure(t.Context(), target, power.On, power.Options{}); err != nil {
			t.Fatal(err)
		}
		bmc.dies = 2
		bmc.uses = 5
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := c.Query(ctx, target)
		if len(told) != 2 || told[0].Action != "set power on" || told[0].State != power.On || len(told[0].Steps) == 0 ||
			!told[0].Ended.After(told[0].Began) || errs[0] != nil {
			t.Errorf("told %+v", told)
		}
		if err == nil || errs[1] == nil || !told[1].Began.IsZero() {
			t.Errorf("%v, told %+v", err, told[1])
		}
	})
}
