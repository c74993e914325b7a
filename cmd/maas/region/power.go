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

// softTime is the time that a system has to shut down by itself before its power is cut.
const softTime = 2 * time.Minute

// powerService switches machines through their racks. It implements [maasapi.Power] for the API and
// [power.Asker] for the monitor.
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
	// Reads change nothing, and monitors repeat them by the minute.
	if action == power.ActionQuery || action == power.ActionSensors {
		return result, err
	}
	logged := context.WithoutCancel(ctx) // the BMC has acted, also if the client has gone
	if lerr := p.region.inv.Events.Add(logged, powerEvent(m.ID, action, result, err)); lerr != nil {
		p.region.log.Error("power event not recorded", "machine", m.FQDN, "err", lerr)
	}
	return result, err
}

// await returns the connected racks of a list. If none is connected, it waits for one: the racks of
// a region that has just started need a moment to connect.
func (p *powerService) await(ctx context.Context, racks []inventory.Rack, wait time.Duration) (connected []inventory.Rack) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	names := make([]string, len(racks))
	for i := range racks {
		names[i] = racks[i].Name
	}
	if len(names) > 0 {
		_ = p.region.rpc.Await(ctx, names...) // without a rack, the request has its own error
	}
	there := p.region.rpc.Racks()
	return slices.DeleteFunc(racks, func(r inventory.Rack) bool { return !slices.Contains(there, r.Name) })
}

// powerEvent returns one line about a request.
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

// Query returns the power state of the machine whose system ID is the target's name. It implements
// [power.Asker].
func (p *powerService) Query(ctx context.Context, t power.Target) (power.State, error) {
	m, err := p.region.inv.MachineBySystemID(ctx, t.Name)
	if err != nil {
		return power.Unknown, err
	}
	// 0 = no wait: the monitor asks again
	result, err := p.through(ctx, m, powerrpc.Request{Action: power.ActionQuery}, 0)
	return result.State, err
}

// maxRacks limits the racks that try to reach one BMC for one request: a BMC without power would
// otherwise cost a timeout for each rack of the site.
const maxRacks = 3

// through asks the most suitable racks in turn. The next rack is asked if one is not reachable, or
// if it does not reach the BMC and a repetition does no harm: a cycle or reset may have been
// executed before its answer was lost. A refusal by the BMC is final, since it refuses other racks
// too. Wait limits the wait for a first rack.
func (p *powerService) through(ctx context.Context, m inventory.Machine, request powerrpc.Request, wait time.Duration) (power.Result, error) {
	none := power.Result{State: power.Unknown}
	if m.Power.Type == "" {
		return none, power.Errorf(power.Settings, string(request.Action), "machine %s has no power type; set power_type and its parameters", m.FQDN)
	}
	params, err := p.region.inv.PowerParams(ctx, m.ID)
	if err != nil {
		return none, err
	}
	racks, err := p.racksFor(ctx, &m)
	if err != nil {
		return none, err
	}
	if len(racks) == 0 {
		return none, power.Errorf(power.Settings, string(request.Action),
			"no rack was given the network of the BMC of %s; maas rack assign RACK --bmc NETWORK gives it to one", m.FQDN)
	}
	// The name is for the rack's log; the parameters include secrets.
	request.Target = power.Target{Kind: m.Power.Type, Params: params, Name: m.FQDN}
	result := none
	err = power.Errorf(power.Connection, string(request.Action), "no rack is connected: %w", rpc.ErrUnavailable)
	tried := 0
	for _, rack := range p.await(ctx, racks, wait) {
		result, err = powerrpc.Do(ctx, p.region.rack(rack.Name), request)
		if errors.Is(err, rpc.ErrUnavailable) && ctx.Err() == nil {
			continue
		}
		tried++ // racks that were not reachable do not count
		again := err != nil && power.ClassOf(err) == power.Connection && request.Action != power.ActionCycle && request.Action != power.ActionReset
		if !again || ctx.Err() != nil || tried == maxRacks {
			break
		}
	}
	return result, err
}

// racksFor returns the racks that may be sent the password of a machine's BMC, best first.
func (p *powerService) racksFor(ctx context.Context, m *inventory.Machine) ([]inventory.Rack, error) {
	networks, err := p.region.networksNow(ctx)
	if err != nil {
		return nil, err
	}
	now := *networks
	if now.Racks, err = p.region.inv.Racks.List(ctx); err != nil { // with the times at which they were seen
		return nil, err
	}
	return plan.RacksFor(&now, m), nil
}

// networksNow returns the networks that were published last, or those of the database before the
// first publication.
func (r *Region) networksNow(ctx context.Context) (*inventory.Model, error) {
	if m := r.networks.Load(); m != nil {
		return m, nil
	}
	return r.inv.Model(ctx)
}
