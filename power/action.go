package power

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// An Action is what a person asks of a machine's power.
type Action string

// The actions.
const (
	ActionOn      Action = "on"
	ActionOff     Action = "off"
	ActionCycle   Action = "cycle"
	ActionSoftOff Action = "soft-off"
	ActionReset   Action = "reset"
	ActionQuery   Action = "query"
	// ActionLight and ActionDark switch the light that shows where the machine is.
	ActionLight Action = "light"
	ActionDark  Action = "dark"
	// ActionSensors reads the sensors.
	ActionSensors Action = "sensors"
)

var actions = []Action{
	ActionOn, ActionOff, ActionCycle, ActionSoftOff, ActionReset, ActionQuery, ActionLight, ActionDark, ActionSensors,
}

// ParseAction returns the action of a name.
func ParseAction(name string) (Action, error) {
	if a := Action(name); slices.Contains(actions, a) {
		return a, nil
	}
	var names []string
	for _, a := range actions {
		names = append(names, string(a))
	}
	return "", fmt.Errorf("power: %q is not an action; there are %s", name, strings.Join(names, ", "))
}

// A Result is what came of an action.
type Result struct {
	// State was seen last; Unknown when the action did not look.
	State State `json:"state"`
	// Steps are what was done to the BMC, in order.
	Steps []Step `json:"steps,omitempty"`
	// Sensors are those of ActionSensors.
	Sensors []Sensor `json:"sensors,omitempty"`
	// Transcript is what was said, as [Transcript.WriteTo] writes it, where somebody wanted it.
	Transcript string `json:"transcript,omitempty"`
}

// Do does what an action says. The result is valid with an error too.
func (c *Controller) Do(ctx context.Context, t Target, action Action, opts Options) (Result, error) {
	result := Result{State: Unknown}
	ensure := func(want State, opts Options) error {
		report, err := c.Ensure(ctx, t, want, opts)
		result.State, result.Steps = report.After, report.Steps
		return err
	}
	var err error
	switch action {
	case ActionQuery:
		result.State, err = c.Query(ctx, t)
	case ActionOn:
		err = ensure(On, Options{Boot: opts.Boot})
	case ActionOff:
		err = ensure(Off, Options{})
	case ActionSoftOff:
		err = ensure(Off, Options{Soft: opts.Soft})
	case ActionCycle:
		var report Report
		report, err = c.Cycle(ctx, t, Options{Boot: opts.Boot})
		result.State, result.Steps = report.After, report.Steps
	case ActionReset:
		err = c.Reset(ctx, t)
	case ActionLight, ActionDark:
		err = c.Identify(ctx, t, action == ActionLight)
	case ActionSensors:
		result.Sensors, err = c.Sensors(ctx, t)
	default:
		err = Errorf(Settings, "power", "unknown action %q", action)
	}
	if result.State == "" {
		result.State = Unknown
	}
	return result, err
}
