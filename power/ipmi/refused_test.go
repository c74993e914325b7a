package ipmi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
)

// A BMC answers 0xD5 to a request for the state that its machine is in. A client asks for it when
// the state that it read first was old: what counts is the state after the refusal.
func TestRefusedAlreadyThere(t *testing.T) {
	ensure := func(want power.State) func(*power.Controller, power.Target) (power.Result, error) {
		return func(c *power.Controller, target power.Target) (power.Result, error) {
			return c.Ensure(t.Context(), target, want, power.Options{})
		}
	}
	on, off := ensure(power.On), ensure(power.Off)
	cycle := func(c *power.Controller, target power.Target) (power.Result, error) {
		return c.Cycle(t.Context(), target, power.Options{})
	}
	for _, driver := range []string{"LAN_2_0", "LAN"} {
		for name, test := range map[string]struct {
			on, late bool // what the machine is, and that the first answer is the former state
			do       func(*power.Controller, power.Target) (power.Result, error)
			want     power.State
		}{
			"on, seen off":        {true, true, on, power.On},
			"off, seen on":        {false, true, off, power.Off},
			"on":                  {true, false, on, power.On},
			"cycle, seen on":      {false, true, cycle, power.On},
			"cycle of what is on": {true, false, cycle, power.On},
		} {
			chassis := &powersim.Chassis{}
			chassis.SetPower(!test.on)
			chassis.SetPower(test.on)
			chassis.Configure(func(c *powersim.Chassis) {
				c.Strict = true
				if test.late {
					c.Late = 1
				}
			})
			bmc, err := powersim.ServeIPMI(chassis, "admin", "secret")
			if err != nil {
				t.Fatal(err)
			}
			c := powertest.Controller(t, ipmi.Kind())
			target := bmc.Target()
			target.Params["power_driver"] = driver
			result, err := test.do(c, target)
			if err != nil || result.State != test.want || chassis.On() != (test.want == power.On) {
				t.Errorf("%s, %s: %v, state %q, machine on: %v", driver, name, err, result.State, chassis.On())
			}
			refused := slices.ContainsFunc(result.Steps, func(s power.Step) bool { return strings.Contains(s.Err, "present state") })
			if refused != test.late {
				t.Errorf("%s, %s: %+v", driver, name, result.Steps)
			}
			if err := bmc.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
