package region

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/store/inventory"
)

// powerWatch runs a monitor while this region is the leader.
type powerWatch struct {
	cfg power.MonitorConfig

	mu      sync.Mutex // guards following
	targets []power.Target
	monitor *power.Monitor // nil = another region is the leader
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
	monitor, err := power.NewMonitor(w.cfg)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.monitor = monitor
	err = monitor.Update(w.targets)
	w.mu.Unlock()
	if err != nil {
		return err
	}
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.monitor = nil
	}()
	return monitor.Run(ctx)
}

// watched are the machines whose power can be asked for.
func (r *Region) watched(m *inventory.Model) []power.Target {
	var out []power.Target
	for i := range m.Machines {
		switch kind := m.Machines[i].Power.Type; kind {
		case "", "manual", "wol": // nobody to ask
		default:
			out = append(out, power.Target{Kind: kind, Name: m.Machines[i].SystemID})
		}
	}
	return out
}

// powerSeen records what the monitor has seen of a machine.
func (r *Region) powerSeen(ctx context.Context, o power.Observation) {
	if errors.Is(o.Err, rpc.ErrUnavailable) || ctx.Err() != nil {
		return // says nothing about the machine
	}
	m, err := r.inv.MachineBySystemID(ctx, o.Name)
	if err != nil {
		return // deleted meanwhile
	}
	state, event := seen(m, o)
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

// seen is the state to show, and a line about it.
func seen(m inventory.Machine, o power.Observation) (string, inventory.Event) {
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
