package power

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// An Action is one operation on a machine's power, as users and the API name it.
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
	// ActionInsert puts the image of Options.Media into the virtual CD drive, ActionEject empties
	// it, and ActionMedia reads what is in it.
	ActionInsert Action = "insert-media"
	ActionEject  Action = "eject-media"
	ActionMedia  Action = "media"
)

var actions = []Action{
	ActionOn, ActionOff, ActionCycle, ActionSoftOff, ActionReset, ActionQuery, ActionLight, ActionDark, ActionSensors,
	ActionInsert, ActionEject, ActionMedia,
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

// Do does what an action says.
func (c *Controller) Do(ctx context.Context, t Target, action Action, opts Options) (Result, error) {
	switch action {
	case ActionQuery:
		return c.query(ctx, t)
	case ActionOn:
		return c.Ensure(ctx, t, On, opts)
	case ActionOff:
		return c.Ensure(ctx, t, Off, Options{Step: opts.Step})
	case ActionSoftOff:
		return c.Ensure(ctx, t, Off, Options{Soft: opts.Soft, Step: opts.Step})
	case ActionCycle:
		return c.Cycle(ctx, t, opts)
	case ActionReset:
		return c.reset(ctx, t)
	case ActionLight, ActionDark:
		return c.identify(ctx, t, action == ActionLight)
	case ActionSensors:
		return c.readSensors(ctx, t)
	case ActionInsert:
		return c.insertMedia(ctx, t, opts.Media)
	case ActionEject:
		return c.ejectMedia(ctx, t)
	case ActionMedia:
		return c.media(ctx, t)
	}
	return unseen(), Errorf(Settings, "power", "unknown action %q", action)
}
