package maastest

import (
	"context"
	"sync"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// memory switches machines in memory. The zero value has all of them off.
type memory struct {
	mu sync.Mutex
	on map[int64]bool // by machine
}

func (*memory) Kinds() power.Registry { return kinds.All() }

func (p *memory) Power(_ context.Context, m inventory.Machine, action power.Action, _ maasapi.PowerOptions) (power.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on == nil {
		p.on = make(map[int64]bool)
	}
	result := power.Result{Name: m.FQDN, Kind: m.Power.Type, Before: p.state(m.ID)}
	switch action {
	case power.ActionOn, power.ActionCycle:
		p.on[m.ID] = true
	case power.ActionOff, power.ActionSoftOff:
		p.on[m.ID] = false
	}
	result.State = p.state(m.ID)
	return result, nil
}

func (p *memory) state(machine int64) power.State {
	if p.on[machine] {
		return power.On
	}
	return power.Off
}
