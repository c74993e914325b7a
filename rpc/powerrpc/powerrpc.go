// Package powerrpc lets a region switch machines through the rack that reaches their BMCs.
//
//	powerrpc.Offer(&methods, controller)                                       // rack
//	answer, err := powerrpc.Do(ctx, region.Rack("rack-1"), powerrpc.Request{...}) // region
//
// Failures of power control keep their class across the wire.
package powerrpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
)

// Method is the name of the call.
const Method = "power"

// Request is one thing to do to one machine.
type Request struct {
	// Target holds secrets; a request must not be logged.
	Target power.Target `json:"target"`
	Action power.Action `json:"action"`
	// Boot is where the machine boots from when it comes on. BMCs that cannot choose are switched all the same.
	Boot power.BootDevice `json:"boot,omitempty"`
	// Soft is how long the system may take to shut down by itself, for ActionSoftOff.
	Soft time.Duration `json:"soft,omitempty"`
}

// answer is the outcome. A failure is part of it, so that its class arrives.
type answer struct {
	State power.State `json:"state"`
	Class power.Class `json:"class,omitempty"`
	Error string      `json:"error,omitempty"`
}

// Offer lets the region use the controller.
func Offer(m *rpc.Methods, c *power.Controller) {
	rpc.Offer(m, Method, func(ctx context.Context, r Request) (answer, error) {
		state, err := perform(ctx, c, r)
		if err != nil {
			return answer{State: power.Unknown, Class: power.ClassOf(err), Error: err.Error()}, nil
		}
		return answer{State: state}, nil
	})
}

// Do asks the rack behind the caller and returns the state seen last. A failure of power control is a [*power.Error]; so
// is a rack that cannot be reached, of class Connection.
func Do(ctx context.Context, c rpc.Caller, r Request) (power.State, error) {
	a, err := rpc.Do[answer](ctx, c, Method, r)
	switch {
	case err != nil:
		return power.Unknown, power.Errorf(power.Connection, "ask the rack", "%w", err)
	case a.Error != "":
		return power.Unknown, &power.Error{Class: a.Class, Op: string(r.Action), Err: errors.New(a.Error)}
	}
	return a.State, nil
}

func perform(ctx context.Context, c *power.Controller, r Request) (power.State, error) {
	state, err := act(ctx, c, r)
	if power.ClassOf(err) == power.Unsupported && r.Boot != "" {
		r.Boot = ""
		return act(ctx, c, r)
	}
	return state, err
}

func act(ctx context.Context, c *power.Controller, r Request) (power.State, error) {
	var report power.Report
	var err error
	switch r.Action {
	case power.ActionQuery:
		return c.Query(ctx, r.Target)
	case power.ActionOn:
		report, err = c.Ensure(ctx, r.Target, power.On, power.Options{Boot: r.Boot})
	case power.ActionOff:
		report, err = c.Ensure(ctx, r.Target, power.Off, power.Options{})
	case power.ActionSoftOff:
		report, err = c.Ensure(ctx, r.Target, power.Off, power.Options{Soft: r.Soft})
	case power.ActionCycle:
		report, err = c.Cycle(ctx, r.Target, power.Options{Boot: r.Boot})
	default:
		return power.Unknown, power.Errorf(power.Settings, "power", "%w", fmt.Errorf("unknown action %q", r.Action))
	}
	return report.After, err
}
