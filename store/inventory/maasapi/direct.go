package maasapi

import (
	"context"
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

func (d *directPower) Kinds() power.Registry { return d.c.Registry() }

func (d *directPower) Power(ctx context.Context, m inventory.Machine, action power.Action, transcript bool) (power.Result, error) {
	none := power.Result{Before: power.Unknown, State: power.Unknown}
	if m.Power.Type == "" {
		return none, power.Errorf(power.Settings, string(action), "machine %s has no power type; set power_type and its parameters", m.FQDN)
	}
	params, err := d.inv.PowerParams(ctx, m.ID)
	if err != nil {
		return none, err
	}
	var dialog *power.Transcript
	if transcript {
		dialog = new(power.Transcript)
		ctx = power.WithTranscript(ctx, dialog)
	}
	t := power.Target{Kind: m.Power.Type, Params: params, Name: m.FQDN}
	result, err := d.c.Do(ctx, t, action, power.Options{Boot: power.Network, BootIfPossible: true, Soft: directSoft})
	if dialog != nil {
		var text strings.Builder
		_, _ = dialog.WriteTo(&text) // a Builder takes all
		result.Transcript = text.String()
	}
	return result, err
}
