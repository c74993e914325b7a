package region

import (
	"cmp"
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
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/plan"
)

// rackWait is the default of Config.RackWait.
const rackWait = 5 * time.Second

// softTime is the time that a system has to shut down by itself before its power is cut.
const softTime = 2 * time.Minute

// powerService switches machines through their racks. It implements [maasapi.Power] for the API and
// [monitor.Asker] for the monitor.
type powerService struct {
	region   *Region
	kinds    power.Registry
	rackWait time.Duration
	tails    consoleTails
}

func (p *powerService) Kinds() power.Registry { return p.kinds }

// Power executes an action and records its outcome as an event. A start of a deployment first
// assigns the machine's automatic addresses; without them the machine stays off.
func (p *powerService) Power(ctx context.Context, m inventory.Machine, action power.Action, o maasapi.PowerOptions) (power.Result, error) {
	ctx, span := p.region.trace.Start(ctx, "power "+string(action))
	result, err := power.Result{State: power.Unknown}, error(nil)
	if assignsAddresses(m, action) {
		err = p.assignAddresses(ctx, m)
	}
	switch {
	case err != nil:
	case o.Via == maasapi.ViaMedia || o.Via == maasapi.ViaHTTP:
		result, err = p.bootVia(ctx, m, o)
	default:
		result, err = p.through(ctx, m, powerrpc.Request{
			Action: action, Boot: cmp.Or(o.Boot, power.Network), BootAlways: o.BootAlways, Soft: softTime, Media: o.Media, Transcript: o.Transcript,
		}, p.rackWait)
	}
	tellPower(span, m, result, err)
	// Reads change nothing, and monitors repeat them by the minute.
	if action == power.ActionQuery || action == power.ActionSensors || action == power.ActionMedia {
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
	if result.Media != "" {
		e.Description += ": " + result.Media
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
// [monitor.Asker].
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
	result := power.Result{State: power.Unknown}
	err := p.byRacks(ctx, m, string(request.Action), wait, func(rack rpc.Caller, t power.Target) (again bool, err error) {
		request.Target = t
		result, err = powerrpc.Do(ctx, rack, request)
		return request.Action != power.ActionCycle && request.Action != power.ActionReset, err
	})
	return result, err
}

// byRacks calls ask with the most suitable racks in turn, until one reaches the BMC, or ask reports
// that it must not be repeated.
func (p *powerService) byRacks(
	ctx context.Context, m inventory.Machine, op string, wait time.Duration, ask func(rpc.Caller, power.Target) (again bool, err error),
) error {
	if m.Power.Type == "" {
		return power.Errorf(power.Settings, op, "machine %s has no power type; set power_type and its parameters", m.FQDN)
	}
	params, err := p.region.inv.PowerParams(ctx, m.ID)
	if err != nil {
		return err
	}
	racks, err := p.racksFor(ctx, &m)
	if err != nil {
		return err
	}
	if len(racks) == 0 {
		return power.Errorf(power.Settings, op,
			"no rack was given the network of the BMC of %s; maas rack assign RACK --bmc NETWORK gives it to one", m.FQDN)
	}
	// The name is for the rack's log; the parameters include secrets.
	target := power.Target{Kind: m.Power.Type, Params: params, Name: m.FQDN}
	err = power.Errorf(power.Connection, op, "no rack is connected: %w", rpc.ErrUnavailable)
	tried := 0
	for _, rack := range p.await(ctx, racks, wait) {
		var again bool
		again, err = ask(p.region.rack(rack.Name), target)
		if errors.Is(err, rpc.ErrUnavailable) && ctx.Err() == nil {
			continue
		}
		tried++ // racks that were not reachable do not count
		if power.ClassOf(err) != power.Connection || !again || ctx.Err() != nil || tried == maxRacks {
			break
		}
	}
	return err
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
