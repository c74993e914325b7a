package inventory

import (
	"context"

	"github.com/gomaas/maas/store"
)

// AvailabilityZone is a part of a site that fails on its own: a room, a row,
// a power feed. Every machine and every rack belongs to one.
type AvailabilityZone struct {
	ID          int64
	Version     int64  // counts changes; an update must carry the one that was read
	Name        string // unique
	Description string
}

// ResourcePool is a group of machines that are given out together. Every
// machine belongs to one.
type ResourcePool struct {
	ID          int64
	Version     int64  // counts changes; an update must carry the one that was read
	Name        string // unique
	Description string
}

var zones = table[AvailabilityZone]{
	kind: KindZone, name: "zone", cols: []string{"name", "description"},
	id: func(z *AvailabilityZone) *int64 { return &z.ID }, version: func(z *AvailabilityZone) *int64 { return &z.Version },
	label:  func(z *AvailabilityZone) string { return z.Name },
	fields: func(z *AvailabilityZone) []any { return []any{&z.Name, &z.Description} },
}

var resourcePools = table[ResourcePool]{
	kind: KindPool, name: "resource_pool", cols: []string{"name", "description"},
	id: func(p *ResourcePool) *int64 { return &p.ID }, version: func(p *ResourcePool) *int64 { return &p.Version },
	label:  func(p *ResourcePool) string { return p.Name },
	fields: func(p *ResourcePool) []any { return []any{&p.Name, &p.Description} },
}

// CreateZone adds an availability zone.
func (inv *Inventory) CreateZone(ctx context.Context, z AvailabilityZone) (AvailabilityZone, error) {
	return createNamed(ctx, inv, zones, z, z.Name)
}

// UpdateZone changes a zone's name and description.
func (inv *Inventory) UpdateZone(ctx context.Context, z AvailabilityZone) error {
	return updateNamed(ctx, inv, zones, z, z.Name)
}

// Zones lists the availability zones. The first is the default one.
func (inv *Inventory) Zones(ctx context.Context) ([]AvailabilityZone, error) {
	return listIn(ctx, inv, zones, "")
}

// Zone returns a zone.
func (inv *Inventory) Zone(ctx context.Context, id int64) (AvailabilityZone, error) {
	return getIn(ctx, inv, zones, id)
}

// DeleteZone deletes a zone; its machines and racks move to the default
// zone, which itself cannot be deleted.
func (inv *Inventory) DeleteZone(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		z, err := zones.get(ctx, tx, id)
		if err != nil {
			return err
		}
		first, err := firstID(ctx, tx, "zone")
		if err != nil {
			return err
		}
		if id == first {
			return &InUseError{Kind: KindZone, Name: z.Name, Remedy: "it is the default zone"}
		}
		if err := emptyZone(ctx, tx, id, first); err != nil {
			return err
		}
		return zones.delete(ctx, tx, id)
	})
}

// emptyZone moves the machines, devices and racks of a zone to another one.
func emptyZone(ctx context.Context, tx *store.Tx, id, to int64) error {
	ns, err := nodes.list(ctx, tx, "zone_id = ?", id)
	if err != nil {
		return err
	}
	for _, n := range ns {
		n.ZoneID = to
		if err := nodes.update(ctx, tx, &n); err != nil {
			return err
		}
		n.changed(tx, store.Updated)
	}
	rs, err := racks.list(ctx, tx, "zone_id = ?", id)
	if err != nil {
		return err
	}
	for _, r := range rs {
		r.ZoneID = to
		if err := racks.update(ctx, tx, &r); err != nil {
			return err
		}
	}
	return nil
}

// CreatePool adds a resource pool.
func (inv *Inventory) CreatePool(ctx context.Context, p ResourcePool) (ResourcePool, error) {
	return createNamed(ctx, inv, resourcePools, p, p.Name)
}

// UpdatePool changes a pool's name and description.
func (inv *Inventory) UpdatePool(ctx context.Context, p ResourcePool) error {
	return updateNamed(ctx, inv, resourcePools, p, p.Name)
}

// Pools lists the resource pools. The first is the default one.
func (inv *Inventory) Pools(ctx context.Context) ([]ResourcePool, error) {
	return listIn(ctx, inv, resourcePools, "")
}

// Pool returns a resource pool.
func (inv *Inventory) Pool(ctx context.Context, id int64) (ResourcePool, error) {
	return getIn(ctx, inv, resourcePools, id)
}

// DeletePool deletes a pool that has no machines and is not the default one.
func (inv *Inventory) DeletePool(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		p, err := resourcePools.get(ctx, tx, id)
		if err != nil {
			return err
		}
		first, err := firstID(ctx, tx, "resource_pool")
		if err != nil {
			return err
		}
		if id == first {
			return &InUseError{Kind: KindPool, Name: p.Name, Remedy: "it is the default pool"}
		}
		by, err := namesOf(ctx, tx, "machine ", "SELECT hostname FROM node WHERE pool_id = ? ORDER BY hostname", id)
		if err != nil {
			return err
		}
		if err := inUse(KindPool, p.Name, "move them to another pool first", by); err != nil {
			return err
		}
		return resourcePools.delete(ctx, tx, id)
	})
}
