package qmp

import (
	"context"

	"github.com/gomaas/maas/power"
)

// Name is the power type's name.
const Name = "qemu"

const paramAddress = "power_address"

// Kind declares the power type "qemu".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "QEMU monitor",
		Params: []power.Param{{Name: paramAddress, Label: "Path of the monitor's socket, or host:port", Required: true, Scope: power.ScopeNode}},
		Open: func(ctx context.Context, p power.Params) (power.Driver, error) {
			c, err := dial(ctx, p[paramAddress])
			if err != nil {
				return nil, err
			}
			return &driver{c}, nil
		},
	}
}

type driver struct{ conn *conn }

// off are the run states in which the machine has no power: stopped before or after it ran. Others,
// even a crash, are on.
var off = map[string]bool{"prelaunch": true, "shutdown": true, "paused": true}

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	var status struct {
		Status string `json:"status"`
	}
	if err := d.conn.run(ctx, "query-status", nil, &status); err != nil {
		return power.Unknown, err
	}
	if off[status.Status] {
		return power.Off, nil
	}
	return power.On, nil
}

// SetPower implements power.Driver. Power that comes or goes is a reset either way, so that a
// machine that switched itself off starts from the beginning.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	state, err := d.PowerState(ctx)
	if err != nil || state == target {
		return err
	}
	if target == power.On {
		return d.sequence(ctx, "system_reset", "cont")
	}
	return d.sequence(ctx, "stop", "system_reset")
}

func (d *driver) sequence(ctx context.Context, commands ...string) error {
	for _, c := range commands {
		if err := d.conn.run(ctx, c, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// Cycle implements power.Cycler.
func (d *driver) Cycle(ctx context.Context) error {
	return d.sequence(ctx, "stop", "system_reset", "cont")
}

// Reset implements power.Resetter.
func (d *driver) Reset(ctx context.Context) error { return d.sequence(ctx, "system_reset") }

// SoftOff implements power.SoftOffer: it presses the power button.
func (d *driver) SoftOff(ctx context.Context) error { return d.sequence(ctx, "system_powerdown") }

// Close implements power.Closer.
func (d *driver) Close(context.Context) error { return d.conn.net.Close() }
