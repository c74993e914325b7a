package region

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// rackWait is the default of Config.RackWait.
const rackWait = 5 * time.Second

// softTime is how long a system may take to shut down by itself before its power is taken.
const softTime = 2 * time.Minute

// powerService switches machines through their racks: it is the API's Power, and who the monitor asks.
type powerService struct {
	region   *Region
	kinds    power.Registry
	rackWait time.Duration
}

func (p *powerService) Kinds() power.Registry { return p.kinds }

// Power executes an action and records its outcome as an event. A start of a deployment first
// assigns the machine's automatic addresses; without them the machine stays off.
func (p *powerService) Power(ctx context.Context, m inventory.Machine, action power.Action, transcript bool) (power.Result, error) {
	ctx, span := p.region.trace.Start(ctx, "power "+string(action))
	result, err := power.Result{State: power.Unknown}, error(nil)
	if assignsAddresses(m, action) {
		err = p.assignAddresses(ctx, m)
	}
	if err == nil {
		result, err = p.through(ctx, m, powerrpc.Request{Action: action, Boot: power.Network, Soft: softTime, Transcript: transcript}, p.rackWait)
	}
	tellPower(span, m, result, err)
	if action == power.ActionQuery || action == power.ActionSensors {
		return result, err
	}
	logged := context.WithoutCancel(ctx) // it happened, whether or not somebody waits for the answer
	if lerr := p.region.inv.Events.Add(logged, powerEvent(m.ID, action, result, err)); lerr != nil {
		p.region.log.Error("power event not recorded", "machine", m.FQDN, "err", lerr)
	}
	return result, err
}

// await waits a while for one of the racks when none of them is connected, and returns those that are.
func (p *powerService) await(ctx context.Context, racks []inventory.Rack, wait time.Duration) (connected []inventory.Rack) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	names := make([]string, len(racks))
	for i := range racks {
		names[i] = racks[i].Name
	}
	if len(names) > 0 {
		_ = p.region.rpc.Await(ctx, names...) // without one, the request says so
	}
	there := p.region.rpc.Racks()
	return slices.DeleteFunc(racks, func(r inventory.Rack) bool { return !slices.Contains(there, r.Name) })
}

// powerEvent is one line about a request.
func powerEvent(machine int64, action power.Action, result power.Result, err error) inventory.Event {
	e := inventory.Event{NodeID: machine, Kind: "power", Level: "info", Description: string(action)}
	if result.State != power.Unknown {
		e.Description += ": power is " + string(result.State)
	}
	var steps []string
	for _, s := range result.Steps {
		steps = append(steps, s.Op)
	}
	if len(steps) > 0 {
		e.Description += " after " + strings.Join(steps, ", ")
	}
	if err != nil {
		e.Level, e.Description = "error", fmt.Sprintf("%s failed: %v", action, err)
	}
	return e
}

// Query asks for the power of the machine whose system ID is the target's name. It makes the service a [power.Asker].
func (p *powerService) Query(ctx context.Context, t power.Target) (power.State, error) {
	m, err := p.region.inv.MachineBySystemID(ctx, t.Name)
	if err != nil {
		return power.Unknown, err
	}
	result, err := p.through(ctx, m, powerrpc.Request{Action: power.ActionQuery}, 0) // the monitor asks again
	return result.State, err
}

// maxRacks bounds how many racks try to reach one BMC for one request.
const maxRacks = 3

// through asks the racks that suit the machine best first. The next one is asked when a rack could not be reached, or could
// not reach the BMC and trying again does no harm. What a BMC refused, it refuses from everywhere. When none of them is
// connected it waits that long for the first.
func (p *powerService) through(ctx context.Context, m inventory.Machine, request powerrpc.Request, wait time.Duration) (power.Result, error) {
	none := power.Result{State: power.Unknown}
	if m.Power.Type == "" {
		return none, power.Errorf(power.Settings, string(request.Action), "machine %s has no power type; set power_type and its parameters", m.FQDN)
	}
	params, err := p.region.inv.PowerParams(ctx, m.ID)
	if err != nil {
		return none, err
	}
	racks, err := p.region.inv.Racks.List(ctx)
	if err != nil {
		return none, err
	}
	request.Target = power.Target{Kind: m.Power.Type, Params: params, Name: m.FQDN}
	result := none
	err = power.Errorf(power.Connection, string(request.Action), "no rack is connected: %w", rpc.ErrUnavailable)
	tried := 0
	for _, rack := range p.await(ctx, plan.RacksFor(&m, racks), wait) {
		result, err = powerrpc.Do(ctx, p.region.rack(rack.Name), request)
		if errors.Is(err, rpc.ErrUnavailable) && ctx.Err() == nil {
			continue
		}
		tried++
		again := err != nil && power.ClassOf(err) == power.Connection && request.Action != power.ActionCycle && request.Action != power.ActionReset
		if !again || ctx.Err() != nil || tried == maxRacks {
			break
		}
	}
	return result, err
}
