package region

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/monitor"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

// powerWatch runs a monitor of power states while this region is the leader. It keeps the targets
// meanwhile, to start with them once it becomes the leader.
type powerWatch struct {
	cfg monitor.Config

	mu      sync.Mutex // guards the fields below
	targets []power.Target
	monitor *monitor.Monitor // nil = another region is the leader
}

// update replaces the machines to watch.
func (w *powerWatch) update(targets []power.Target) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.targets = targets
	if w.monitor == nil {
		return nil
	}
	return w.monitor.Update(targets)
}

// run watches until ctx ends.
func (w *powerWatch) run(ctx context.Context) error {
	m, err := monitor.New(w.cfg)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.monitor = m
	err = m.Update(w.targets)
	w.mu.Unlock()
	if err != nil {
		return err
	}
	// Without a monitor, update keeps the targets for the next time that this region is the leader.
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.monitor = nil
	}()
	return m.Run(ctx)
}

// watched returns the machines whose BMC reports a state.
func watched(machines []inventory.Machine) []power.Target {
	var out []power.Target
	for i := range machines {
		switch kind := machines[i].Power.Type; kind {
		case "", "manual", "wol": // no BMC, or one that only listens
		default:
			// Without parameters: Query reads the present ones, and no secrets stay in memory.
			out = append(out, power.Target{Kind: kind, Name: machines[i].SystemID})
		}
	}
	return out
}

// sameBMC reports whether two targets of watched are equal.
func sameBMC(a, b power.Target) bool { return a.Kind == b.Kind && a.Name == b.Name }

// powerSeen records an observation of the monitor, if it differs from the last.
func (r *Region) powerSeen(ctx context.Context, o monitor.Observation) {
	if errors.Is(o.Err, rpc.ErrUnavailable) || ctx.Err() != nil {
		return // the rack is away, which is no fact about the machine
	}
	m, err := r.inv.MachineBySystemID(ctx, o.Name)
	if err != nil {
		return // the machine was deleted since
	}
	state, event := seen(m, o)
	// Most observations repeat the last one, and a write for each would fill the database. Failures
	// are logged each time, with the time of the next try.
	if state == m.Power.State && event.Level == "info" {
		return
	}
	err = r.inv.Atomically(ctx, func(ctx context.Context) error {
		if err := r.inv.SetPowerState(ctx, m.ID, state); err != nil {
			return err
		}
		return r.inv.Events.Add(ctx, event)
	})
	if err != nil && ctx.Err() == nil {
		r.log.Error("power state not recorded", "machine", m.FQDN, "err", err)
	}
}

// seen returns the state to show, and its event.
func seen(m inventory.Machine, o monitor.Observation) (string, inventory.Event) {
	e := inventory.Event{NodeID: m.ID, Kind: "power", Level: "info", Time: o.Time}
	if o.Err != nil {
		e.Level = "warning"
		e.Description = fmt.Sprintf("the BMC does not tell the power state: %v; it is asked again at %s", o.Err, o.Next.Format("15:04:05"))
		return string(power.Failing), e
	}
	e.Description = "power is " + string(o.State)
	if old := m.Power.State; old != "" && old != string(power.Failing) {
		e.Description += ", was " + old
	}
	return string(o.State), e
}
