// Package outlet has what drivers of switched outlets share: their machines have no power control
// of their own.
package outlet

import (
	"context"
	"strconv"
	"time"

	"github.com/gomaas/maas/power"
)

// ParamDelay is the parameter of the time without power in a cycle.
const ParamDelay = "power_on_delay"

// maxDelay is the longest time without power in a cycle, in seconds.
const maxDelay = 600

// Param describes it.
func Param() power.Param {
	return power.Param{Name: ParamDelay, Label: "Seconds without power in a cycle", Default: "5", Max: maxDelay}
}

// Delay returns the time. [power.Kind.Check] has seen that it is a number.
func Delay(p power.Params) time.Duration {
	seconds, _ := strconv.Atoi(p[ParamDelay])
	return time.Duration(seconds) * time.Second
}

// Cycle switches off and on: machines keep some power for seconds, so the time without it is a
// setting.
func Cycle(ctx context.Context, delay time.Duration, set func(context.Context, power.State) error) error {
	if err := set(ctx, power.Off); err != nil {
		return err
	}
	select {
	case <-time.After(delay):
		return set(ctx, power.On)
	case <-ctx.Done():
		// The machine must not stay off because the caller stopped waiting.
		if err := set(context.WithoutCancel(ctx), power.On); err != nil {
			return err
		}
		return power.Errorf(power.Connection, "power cycle", "%w", ctx.Err())
	}
}

// State is the state of a machine of whose outlets so many are on.
func State(on, outlets int) power.State {
	switch on {
	case 0:
		return power.Off
	case outlets:
		return power.On
	}
	return power.Transitioning
}
