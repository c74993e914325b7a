package power_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/power"
)

// fleet returns a controller of one fake BMC for each target.
func fleet(t *testing.T, n int, after time.Duration) (*power.Controller, []power.Target) {
	t.Helper()
	bmcs := make(map[string]*fakeBMC)
	var targets []power.Target
	for i := range n {
		name := fmt.Sprintf("m%d", i)
		bmcs[name] = &fakeBMC{state: power.Off, after: after}
		targets = append(targets, power.Target{Kind: "fake", Name: name, Params: power.Params{"power_address": name}})
	}
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(power.Kind{
		Name: "fake", Params: []power.Param{{Name: "power_address"}},
		Open: func(_ context.Context, p power.Params) (power.Driver, error) { return bmcs[p["power_address"]], nil },
	})})
	if err != nil {
		t.Fatal(err)
	}
	return c, targets
}

func TestEnsureAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, targets := fleet(t, 200, 10*time.Second)
		targets = append(targets, power.Target{Kind: "none", Name: "odd"})
		var mu sync.Mutex
		steps := map[string]int{}
		opts := power.Options{Step: func(target string, s power.Step) {
			mu.Lock()
			defer mu.Unlock()
			steps[target]++
		}}
		began, seen := time.Now(), map[string]bool{}
		for result, err := range c.EnsureAll(t.Context(), targets, power.On, opts) {
			if (err != nil) != (result.Name == "odd") || err == nil && result.State != power.On || seen[result.Name] {
				t.Errorf("%+v, %v", result, err)
			}
			seen[result.Name] = true
		}
		if took := time.Since(began); len(seen) != 201 || took > 15*time.Second {
			t.Errorf("%d results after %v", len(seen), took)
		}
		if len(steps) != 200 || steps["m7"] != 1 {
			t.Errorf("steps of %d machines", len(steps))
		}
		for range c.EnsureAll(t.Context(), nil, power.On, power.Options{}) {
			t.Error("a result without targets")
		}
	})
}

// A loop that is left cancels the other requests, and none of them goes on behind it.
func TestEnsureAllEndsWithItsLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, targets := fleet(t, 50, time.Hour)
		targets = slices.Insert(targets, 0, power.Target{Kind: "none", Name: "odd"})
		for result, err := range c.EnsureAll(t.Context(), targets, power.On, power.Options{}) {
			if result.Name != "odd" || err == nil {
				t.Errorf("%+v, %v", result, err)
			}
			break
		}
	}) // which fails when goroutines are left
}

// plainBMC cannot choose the boot device. refusingBMC is of a kind that can, and refuses.
type plainBMC struct{ b *fakeBMC }

func (p plainBMC) PowerState(ctx context.Context) (power.State, error) { return p.b.PowerState(ctx) }
func (p plainBMC) SetPower(ctx context.Context, s power.State) error   { return p.b.SetPower(ctx, s) }

type refusingBMC struct{ plainBMC }

func (refusingBMC) SetBootOnce(context.Context, power.BootDevice) error {
	return power.Errorf(power.Unsupported, "boot", "not on this board")
}
func (refusingBMC) BootOnce(context.Context) (power.BootDevice, error) { return power.Default, nil }

func TestBootIfPossible(t *testing.T) {
	for name, driver := range map[string]func(*fakeBMC) power.Driver{
		"kind cannot": func(b *fakeBMC) power.Driver { return plainBMC{b} },
		"BMC refuses": func(b *fakeBMC) power.Driver { return refusingBMC{plainBMC{b}} },
		"possible":    func(b *fakeBMC) power.Driver { return b },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bmc := &fakeBMC{state: power.Off}
				c, err := power.NewController(power.Config{Registry: power.NewRegistry(power.Kind{
					Name: "fake", Params: []power.Param{{Name: "power_pass"}}, Open: func(context.Context, power.Params) (power.Driver, error) { return driver(bmc), nil },
				})})
				if err != nil {
					t.Fatal(err)
				}
				opts := power.Options{Boot: power.Network}
				_, err = c.Ensure(t.Context(), target, power.On, opts)
				if possible := name == "possible"; (err == nil) != possible || (bmc.sets > 0) != possible {
					t.Errorf("demanded: %v after %d requests", err, bmc.sets)
				}
				*bmc = fakeBMC{state: power.Off}
				opts.BootIfPossible = true
				for _, action := range []power.Action{power.ActionOn, power.ActionCycle} {
					if result, err := c.Do(t.Context(), target, action, opts); err != nil || result.State != power.On || bmc.sets == 0 {
						t.Errorf("%s: %+v, %v", action, result, err)
					}
				}
				if (bmc.boot == power.Network) != (name == "possible") {
					t.Errorf("boots from %q", bmc.boot)
				}
			})
		})
	}
}
