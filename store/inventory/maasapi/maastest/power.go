package maastest

import (
	"context"
	"sync"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/apc"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/openbmc"
	"github.com/gomaas/maas/power/qmp"
	"github.com/gomaas/maas/power/redfish"
	"github.com/gomaas/maas/power/virsh"
	"github.com/gomaas/maas/power/webhook"
	"github.com/gomaas/maas/power/wol"
	"github.com/gomaas/maas/store/inventory"
)

// memory switches machines in memory. The zero value has all of them off.
type memory struct {
	mu sync.Mutex
	on map[int64]bool // by machine
}

func (*memory) Kinds() power.Registry {
	return power.NewRegistry(ipmi.Kind(), redfish.Kind(), webhook.Kind(), openbmc.Kind(), virsh.Kind(), qmp.Kind(), apc.Kind(), wol.Kind(), power.Manual())
}

func (p *memory) Power(_ context.Context, m inventory.Machine, action power.Action, _ bool) (power.Result, error) {
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
