package maasapi

import (
	"cmp"
	"context"
	"io"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory"
)

// directSoft is the time that a system has to shut down by itself before its power is cut.
const directSoft = 2 * time.Minute

// Direct returns a [Power] that reaches BMCs from this process, for programs without racks.
// Machines are switched on for the network, where their BMC can be told so.
func Direct(inv *inventory.Inventory, c *power.Controller) Power { return &directPower{inv, c} }

type directPower struct {
	inv *inventory.Inventory
	c   *power.Controller
}

// Console implements Consoler.
func (d *directPower) Console(ctx context.Context, m inventory.Machine, steal bool) (io.ReadWriteCloser, error) {
	t, err := d.target(ctx, m, "open the console")
	if err != nil {
		return nil, err
	}
	return d.c.Console(ctx, t, steal)
}

// target returns the power control of a machine, with its secrets.
func (d *directPower) target(ctx context.Context, m inventory.Machine, op string) (power.Target, error) {
	if m.Power.Type == "" {
		return power.Target{}, power.Errorf(power.Settings, op, "machine %s has no power type; set power_type and its parameters", m.FQDN)
	}
	params, err := d.inv.PowerParams(ctx, m.ID)
	return power.Target{Kind: m.Power.Type, Params: params, Name: m.FQDN}, err
}

func (d *directPower) Kinds() power.Registry { return d.c.Registry() }

func (d *directPower) Power(ctx context.Context, m inventory.Machine, action power.Action, o PowerOptions) (power.Result, error) {
	none := power.Result{Before: power.Unknown, State: power.Unknown}
	t, err := d.target(ctx, m, string(action))
	if err != nil {
		return none, err
	}
	if o.Via == ViaMedia || o.Via == ViaHTTP {
		return none, power.Errorf(power.Unsupported, string(action), "a boot medium is made by a rack, and this site has none; boot the machine via pxe")
	}
	var dialog *power.Transcript
	if o.Transcript {
		dialog = new(power.Transcript)
		ctx = power.WithTranscript(ctx, dialog)
	}
	result, err := d.c.Do(ctx, t, action, power.Options{Boot: cmp.Or(o.Boot, power.Network), BootAlways: o.BootAlways, BootIfPossible: true, Soft: directSoft, Media: o.Media})
	if dialog != nil {
		var text strings.Builder
		_, _ = dialog.WriteTo(&text) // a Builder takes all
		result.Transcript = text.String()
	}
	return result, err
}
