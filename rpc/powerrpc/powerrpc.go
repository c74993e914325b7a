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
	"strings"
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
	// Boot is the device for the boot that begins when the machine comes on. BMCs that cannot
	// choose are switched all the same.
	Boot power.BootDevice `json:"boot,omitempty"`
	// BootURL has UEFI HTTP boot load a URL; see [power.Options].
	BootURL string `json:"boot_url,omitempty"`
	// BootAlways makes Boot the device of all boots, where the BMC can.
	BootAlways bool `json:"boot_always,omitempty"`
	// Media is the image of ActionInsert.
	Media string `json:"media,omitempty"`
	// Soft is the time that the system has to shut down by itself, for ActionSoftOff.
	Soft time.Duration `json:"soft,omitempty"`
	// Transcript asks for what was said to the BMC.
	Transcript bool `json:"transcript,omitempty"`
}

// answer is the outcome. A failure is part of it, so that its class arrives.
type answer struct {
	power.Result
	Class power.Class `json:"class,omitempty"`
	Error string      `json:"error,omitempty"`
}

// Offer lets the region use the controller.
func Offer(m *rpc.Methods, c *power.Controller) {
	rpc.Offer(m, Method, func(ctx context.Context, r Request) (answer, error) {
		var transcript power.Transcript
		if r.Transcript {
			ctx = power.WithTranscript(ctx, &transcript)
		}
		result, err := c.Do(ctx, r.Target, r.Action, power.Options{Boot: r.Boot, BootURL: r.BootURL, BootAlways: r.BootAlways, BootIfPossible: true, Soft: r.Soft, Media: r.Media})
		if r.Transcript {
			var text strings.Builder
			_, _ = transcript.WriteTo(&text) // memory never fails
			result.Transcript = text.String()
		}
		if err != nil {
			return answer{result, power.ClassOf(err), err.Error()}, nil
		}
		return answer{Result: result}, nil
	})
}

// Do asks the rack behind the caller. A failure of power control is a [*power.Error], and the
// result is valid with it; so is a rack that cannot be reached, of class Connection.
func Do(ctx context.Context, c rpc.Caller, r Request) (power.Result, error) {
	a, err := rpc.Do[answer](ctx, c, Method, r)
	switch {
	case err != nil:
		return power.Result{State: power.Unknown}, power.Errorf(power.Connection, "ask the rack", "%w", err)
	case a.Error != "":
		return a.Result, &power.Error{Class: a.Class, Op: string(r.Action), Err: errors.New(a.Error)}
	}
	return a.Result, nil
}
