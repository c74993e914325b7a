package power_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
)

var plug = power.Kind{
	Name: "plug", Title: "Plug",
	Params: []power.Param{
		{Name: "power_address", Required: true}, {Name: "power_pass", Secret: true}, {Name: "mode", Default: "auto", Choices: []string{"auto", "fast"}},
	},
	Open: func(context.Context, power.Params) (power.Driver, error) { return &fakeBMC{}, nil },
}

func TestParametersAreChecked(t *testing.T) {
	got, err := plug.Check(power.Params{"power_address": "a", "power_pass": ""})
	if want := (power.Params{"power_address": "a", "mode": "auto"}); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for want, p := range map[string]power.Params{
		"needs the parameter power_address":  {"mode": "fast"},
		`mode may be one of ["auto" "fast"]`: {"power_address": "a", "mode": "slow"},
		`has no parameter "colour"`:          {"power_address": "a", "colour": "red"},
	} {
		if _, err := plug.Check(p); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", p, err, want)
		}
	}
	all := power.Params{"power_address": "a", "power_pass": "secret"}
	if public := plug.Public(all); !maps.Equal(public, power.Params{"power_address": "a"}) || all["power_pass"] == "" {
		t.Errorf("public %v of %v", public, all)
	}
}

func TestActionsHaveNames(t *testing.T) {
	for _, a := range []power.Action{power.ActionOn, power.ActionOff, power.ActionCycle, power.ActionSoftOff, power.ActionReset,
		power.ActionQuery, power.ActionLight, power.ActionDark, power.ActionSensors} {
		if got, err := power.ParseAction(string(a)); got != a || err != nil {
			t.Errorf("%s: %s, %v", a, got, err)
		}
	}
	if _, err := power.ParseAction("explode"); err == nil || !strings.Contains(err.Error(), "soft-off") {
		t.Errorf("an unknown action: %v; the error must list the known ones", err)
	}
}

func TestClasses(t *testing.T) {
	auth := power.Errorf(power.Auth, "open", "refused")
	for _, tt := range []struct {
		err       error
		want      power.Class
		temporary bool
	}{
		{nil, "", false}, {auth, power.Auth, false}, {fmt.Errorf("machine m1: %w", auth), power.Auth, false},
		{power.Errorf(power.Connection, "open", "silent"), power.Connection, true},
		{power.Errorf(power.ActionFailed, "on", "busy"), power.ActionFailed, true},
		{power.Errorf(power.Unsupported, "on", "no"), power.Unsupported, false},
		{context.Canceled, power.Connection, false}, {context.DeadlineExceeded, power.Connection, false}, {errors.New("other"), power.ActionFailed, false},
	} {
		if got := power.ClassOf(tt.err); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
		var perr *power.Error
		if errors.As(tt.err, &perr) && perr.Temporary() != tt.temporary {
			t.Errorf("%v: temporary %t", tt.err, perr.Temporary())
		}
	}
}

// ableBMC is a BMC with all abilities, which keeps what it was asked for.
type ableBMC struct {
	fakeBMC
	asked []string
}

func (a *ableBMC) note(format string, args ...any) error {
	a.asked = append(a.asked, fmt.Sprintf(format, args...))
	return nil
}

func (a *ableBMC) Reset(context.Context) error { return a.note("reset") }
func (a *ableBMC) SetBootAlways(_ context.Context, d power.BootDevice) error {
	return a.note("always %s", d)
}
func (a *ableBMC) Identify(_ context.Context, on bool) error { return a.note("light %t", on) }
func (a *ableBMC) Sensors(context.Context) ([]power.Sensor, error) {
	return []power.Sensor{{Name: "CPU", Value: 40}}, a.note("sensors")
}

func TestAbilities(t *testing.T) {
	bmc := &ableBMC{fakeBMC: fakeBMC{state: power.On}}
	kind := plug
	kind.Params, kind.Open = []power.Param{{Name: "power_pass", Secret: true}}, func(context.Context, power.Params) (power.Driver, error) { return bmc, nil }
	var reported []string
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(kind), Spacing: -1,
		Done: func(r power.Result, err error) { reported = append(reported, fmt.Sprint(r.Action, " ", err)) }})
	if err != nil {
		t.Fatal(err)
	}
	at := power.Target{Kind: "plug", Name: "m1"}
	for _, action := range []power.Action{power.ActionReset, power.ActionLight, power.ActionDark, power.ActionSensors} {
		result, err := c.Do(t.Context(), at, action, power.Options{})
		if err != nil || result.Name != "m1" || result.State != power.Unknown || (len(result.Sensors) == 1) != (action == power.ActionSensors) {
			t.Errorf("%s: %+v, %v", action, result, err)
		}
	}
	if err := c.SetBootAlways(t.Context(), at, power.Disk); err != nil {
		t.Error(err)
	}
	if want := []string{"reset", "light true", "light false", "sensors", "always disk"}; !slices.Equal(bmc.asked, want) {
		t.Errorf("asked for %q, want %q", bmc.asked, want)
	}
	if want := []string{"reset <nil>", "identify <nil>", "identify <nil>", "read the sensors <nil>", "boot always from disk <nil>"}; !slices.Equal(reported, want) {
		t.Errorf("reported %q, want %q", reported, want)
	}
}

// What a kind cannot do is an error of its own class, and the machine is left alone.
func TestMissingAbilities(t *testing.T) {
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(power.Manual()), Spacing: -1})
	if err != nil {
		t.Fatal(err)
	}
	at := power.Target{Kind: "manual", Name: "m1"}
	for _, action := range []power.Action{power.ActionReset, power.ActionLight, power.ActionSensors, power.ActionOn, power.ActionCycle} {
		if result, err := c.Do(t.Context(), at, action, power.Options{}); power.ClassOf(err) != power.Unsupported || result.State != power.Unknown {
			t.Errorf("%s: %+v, %v", action, result, err)
		}
	}
	if _, err := c.Do(t.Context(), at, power.ActionOn, power.Options{Boot: power.Network}); power.ClassOf(err) != power.Unsupported {
		t.Errorf("a boot device: %v", err)
	}
	if _, err := c.Do(t.Context(), at, "explode", power.Options{}); power.ClassOf(err) != power.Settings {
		t.Errorf("an unknown action: %v", err)
	}
	if state, err := c.Query(t.Context(), at); state != power.Unknown || err != nil {
		t.Errorf("query: %s, %v", state, err)
	}
	if _, err := c.Ensure(t.Context(), at, power.Transitioning, power.Options{}); power.ClassOf(err) != power.Settings {
		t.Errorf("a state that cannot be asked for: %v", err)
	}
}
