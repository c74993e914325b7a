package sitedoc

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
)

func (a *applier) machines(docs *[]Machine) step {
	inv := a.inv
	return kind[Machine, powered]{
		applier: a, name: "machine", docs: docs, list: a.listMachines, id: func(m powered) int64 { return m.ID },
		doc: a.machineDoc, key: a.machineKey, fill: a.fillMachine,
		create: func(ctx context.Context, m powered) (made powered, err error) {
			// A machine that an administrator wrote down is accepted; one that booted by itself is
			// new.
			m.Status, made.secrets = inventory.StatusReady, m.secrets
			made.Machine, err = inv.Machines.Create(ctx, m.Machine)
			return made, err
		},
		update: func(ctx context.Context, m powered) error {
			_, err := inv.Machines.Update(ctx, m.Machine)
			return err
		},
		remove: a.removeMachine, after: a.fitInterfaces,
	}
}

// machineKey is the full name. Interfaces may move from one machine to another, so MACs are no key.
func (a *applier) machineKey(d Machine) string {
	domain := d.Domain
	if domain == "" {
		if first, err := a.domainByName(""); err == nil {
			domain = first.Name
		}
	}
	return strings.ToLower(d.Hostname + "." + domain)
}

func (a *applier) machineDoc(m powered) (Machine, error) {
	domain, err1 := a.inv.Domains.Get(a.ctx, m.DomainID)
	zone, err2 := a.inv.Zones.Get(a.ctx, m.ZoneID)
	pool, err3 := a.inv.Pools.Get(a.ctx, m.PoolID)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Machine{}, err
	}
	out := Machine{
		Hostname: m.Hostname, Domain: domain.Name, Description: m.Description, Zone: zone.Name, Pool: pool.Name, Architecture: m.Architecture,
		Power: powerDoc(m),
	}
	for _, i := range m.Interfaces {
		d, err := a.interfaceDoc(i, m.Interfaces)
		if err != nil {
			return out, err
		}
		out.Interfaces = append(out.Interfaces, d)
	}
	return out, nil
}

func (a *applier) fillMachine(d Machine, m *powered) error {
	domain, err := a.domainByName(d.Domain)
	if err != nil {
		return err
	}
	zones, err1 := a.inv.Zones.List(a.ctx)
	pools, err2 := a.inv.Pools.List(a.ctx)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	// The first of each list is the default one.
	zone, err1 := byName("zone", cmp.Or(d.Zone, zones[0].Name), zones, func(z inventory.AvailabilityZone) string { return z.Name })
	pool, err2 := byName("resource pool", cmp.Or(d.Pool, pools[0].Name), pools, func(p inventory.ResourcePool) string { return p.Name })
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	m.Hostname, m.Description, m.Architecture = strings.ToLower(d.Hostname), d.Description, d.Architecture
	m.DomainID, m.ZoneID, m.PoolID = domain.ID, zone.ID, pool.ID
	return a.fillPower(d.Power, m)
}

// removeMachine removes a machine that no user has.
func (a *applier) removeMachine(ctx context.Context, m powered) error {
	why := ""
	switch {
	case m.Owner != "":
		why = "it belongs to " + m.Owner + "; release it first"
	case m.Status != inventory.StatusReady && m.Status != inventory.StatusNew:
		why = "it is " + string(m.Status)
	}
	if why != "" {
		return &inventory.InUseError{Kind: kinds.Machine, Name: m.FQDN, Remedy: why}
	}
	return a.inv.Machines.Delete(ctx, m.ID)
}
