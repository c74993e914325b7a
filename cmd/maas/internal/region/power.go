package region

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/store/inventory"
)

// softTime is how long a system may take to shut down by itself before its power is taken.
const softTime = 2 * time.Minute

// powerService switches machines through their racks: it is the API's Power.
type powerService struct {
	region *Region
	kinds  power.Registry
}

func (p *powerService) Kinds() power.Registry { return p.kinds }

// Power asks the racks that suit the machine best first. The next one is asked only when a rack could not be reached:
// what a BMC refused, it refuses from everywhere.
func (p *powerService) Power(ctx context.Context, m inventory.Machine, action power.Action) (power.State, error) {
	if m.Power.Type == "" {
		return power.Unknown, power.Errorf(power.Settings, string(action), "machine %s has no power type; set power_type and its parameters", m.FQDN)
	}
	params, err := p.region.inv.PowerParams(ctx, m.ID)
	if err != nil {
		return power.Unknown, err
	}
	racks, err := p.region.inv.Racks(ctx)
	if err != nil {
		return power.Unknown, err
	}
	request := powerrpc.Request{
		Target: power.Target{Kind: m.Power.Type, Params: params, Name: m.FQDN},
		Action: action, Boot: power.Network, Soft: softTime,
	}
	connected := p.region.rpc.Racks()
	var state power.State
	err = power.Errorf(power.Connection, string(action), "no rack is connected: %w", rpc.ErrUnavailable)
	for _, rack := range inventory.RacksFor(&m, racks) {
		if !slices.Contains(connected, rack.Name) {
			continue
		}
		state, err = powerrpc.Do(ctx, p.region.rpc.Rack(rack.Name), request)
		if err == nil || !errors.Is(err, rpc.ErrUnavailable) {
			return state, err
		}
	}
	return power.Unknown, err
}
