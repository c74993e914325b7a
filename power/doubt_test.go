package power_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/power"
)

// scriptedBMC reports its states one after the other, the last one for ever, and answers each request
// as the test says.
type scriptedBMC struct {
	states  []power.State
	refuses func(request string) error // nil = accepts
	done    []string                   // requests
}

func (s *scriptedBMC) PowerState(context.Context) (power.State, error) {
	state := s.states[0]
	if len(s.states) > 1 {
		s.states = s.states[1:]
	}
	return state, nil
}

func (s *scriptedBMC) request(name string) error {
	s.done = append(s.done, name)
	if s.refuses == nil {
		return nil
	}
	return s.refuses(name)
}

func (s *scriptedBMC) SetPower(_ context.Context, target power.State) error {
	return s.request(string(target))
}
func (s *scriptedBMC) Cycle(context.Context) error { return s.request("cycle") }

func (s *scriptedBMC) controller(t *testing.T, blind bool) *power.Controller {
	t.Helper()
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(power.Kind{
		Name: "fake", Params: []power.Param{{Name: "power_pass"}}, Blind: blind,
		Open: func(context.Context, power.Params) (power.Driver, error) { return s, nil },
	})})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A state that the BMC does not tell is waited for, and only kinds that cannot ask are believed.
func TestUnknownStateIsWaitedFor(t *testing.T) {
	const on, off, unknown, between = power.On, power.Off, power.Unknown, power.Transitioning
	for name, tt := range map[string]struct {
		states []power.State
		blind  bool
		want   power.State
		class  power.Class
		polls  time.Duration // seconds until it is done
	}{
		"at once":                     {[]power.State{off, on}, false, on, "", 0},
		"unknown, then on":            {[]power.State{off, unknown, unknown, on}, false, on, "", 2},
		"unknown, off, on":            {[]power.State{off, unknown, off, between, unknown, on}, false, on, "", 4},
		"unknown before":              {[]power.State{unknown, unknown, on}, false, on, "", 1},
		"unknown for ever":            {[]power.State{off, unknown}, false, unknown, power.ActionFailed, 300},
		"a kind that cannot ask":      {[]power.State{unknown}, true, unknown, "", 0},
		"a kind that may not be told": {[]power.State{unknown}, false, unknown, power.ActionFailed, 300},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bmc := &scriptedBMC{states: tt.states}
				began := time.Now()
				result, err := bmc.controller(t, tt.blind).Ensure(t.Context(), target, on, power.Options{})
				if power.ClassOf(err) != tt.class || result.State != tt.want {
					t.Errorf("%s, class %q, %v; want %s, %q", result.State, power.ClassOf(err), err, tt.want, tt.class)
				}
				if took := time.Since(began); took != tt.polls*time.Second {
					t.Errorf("took %s, want %d s", took, tt.polls)
				}
				if !slices.Equal(bmc.done, []string{"on"}) {
					t.Errorf("requests: %q", bmc.done)
				}
			})
		})
	}
}

// A refusal is no failure when what was asked for is so, or becomes so. The result has the state that
// was read last in either case.
func TestRefusalOfWhatIsSoAlready(t *testing.T) {
	const on, off, unknown, between = power.On, power.Off, power.Unknown, power.Transitioning
	for name, tt := range map[string]struct {
		states  []power.State
		refusal power.Class
		want    power.State // of the result
		fails   bool
	}{
		"on by itself":                 {[]power.State{off, on}, power.ActionFailed, on, false},
		"on by itself, unsupported":    {[]power.State{off, on}, power.Unsupported, on, false},
		"on a little later":            {[]power.State{off, off, off, on}, power.ActionFailed, on, false},
		"on its way for long":          {[]power.State{off, between, between, between, between, between, on}, power.ActionFailed, on, false},
		"unknown, then on":             {[]power.State{off, unknown, unknown, unknown, unknown, on}, power.ActionFailed, on, false},
		"off, and stays off":           {[]power.State{off}, power.ActionFailed, off, true},
		"on its way, and off":          {[]power.State{off, between, between, between, off}, power.ActionFailed, off, true},
		"on its way for ever":          {[]power.State{off, between}, power.ActionFailed, between, true},
		"unsupported and off":          {[]power.State{off}, power.Unsupported, off, true},
		"a password is not doubted":    {[]power.State{off, on}, power.Auth, off, true},
		"settings are not doubted":     {[]power.State{off, on}, power.Settings, off, true},
		"a lost answer, on much later": {[]power.State{off, off, off, off, off, off, on}, power.Connection, on, false},
		"a lost answer, off":           {[]power.State{off}, power.Connection, off, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bmc := &scriptedBMC{states: tt.states, refuses: func(string) error { return power.Errorf(tt.refusal, "power on", "refused") }}
				began := time.Now()
				result, err := bmc.controller(t, false).Ensure(t.Context(), target, on, power.Options{})
				if (err != nil) != tt.fails || tt.fails && power.ClassOf(err) != tt.refusal || result.State != tt.want {
					t.Errorf("%s, class %q, %v", result.State, power.ClassOf(err), err)
				}
				if took := time.Since(began); took > 31*time.Second {
					t.Errorf("took %s", took)
				}
				if !slices.Equal(bmc.done, []string{"on"}) || len(result.Steps) != 1 || result.Steps[0].Err == "" {
					t.Errorf("requests %q, steps %+v: the refusal is a step, and is not repeated", bmc.done, result.Steps)
				}
			})
		})
	}
}

// A machine that went off before its cycle is refused the cycle, and is switched on.
func TestRefusedCycle(t *testing.T) {
	const on, off = power.On, power.Off
	for name, tt := range map[string]struct {
		states  []power.State
		refusal power.Class
		done    []string
		want    power.State
		fails   bool
	}{
		"it went off":        {[]power.State{on, off, on}, power.ActionFailed, []string{"cycle", "on"}, on, false},
		"it is on":           {[]power.State{on}, power.ActionFailed, []string{"cycle"}, on, true},
		"the answer is lost": {[]power.State{on, off}, power.Connection, []string{"cycle"}, on, true},
		"it was off":         {[]power.State{off, on}, power.ActionFailed, []string{"on"}, on, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bmc := &scriptedBMC{states: tt.states, refuses: func(request string) error {
					if request == "cycle" {
						return power.Errorf(tt.refusal, "power cycle", "refused")
					}
					return nil
				}}
				result, err := bmc.controller(t, false).Cycle(t.Context(), target, power.Options{})
				if (err != nil) != tt.fails || result.State != tt.want || !slices.Equal(bmc.done, tt.done) {
					t.Errorf("%q, %s, %v", bmc.done, result.State, err)
				}
			})
		})
	}
}
