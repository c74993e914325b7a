package inventory

import (
	"context"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// AvailabilityZone is a part of a site that fails on its own: a room, a row, a power feed. Every
// machine and every rack belongs to one.
type AvailabilityZone struct {
	ID          int64
	Version     int64  // counts changes; an update must carry the one that was read
	Name        string // unique
	Description string
}

// ResourcePool is a group of machines that are given out together. Every machine belongs to one.
type ResourcePool struct {
	ID          int64
	Version     int64  // counts changes; an update must carry the one that was read
	Name        string // unique
	Description string
}

var zones = table[AvailabilityZone]{
	kind: kinds.Zone, name: "zone", cols: []string{"name", "description"},
	id: func(z *AvailabilityZone) *int64 { return &z.ID }, version: func(z *AvailabilityZone) *int64 { return &z.Version },
	label:  func(z *AvailabilityZone) string { return z.Name },
	fields: func(z *AvailabilityZone) []any { return []any{&z.Name, &z.Description} },
}

var resourcePools = table[ResourcePool]{
	kind: kinds.Pool, name: "resource_pool", cols: []string{"name", "description"},
	id: func(p *ResourcePool) *int64 { return &p.ID }, version: func(p *ResourcePool) *int64 { return &p.Version },
	label:  func(p *ResourcePool) string { return p.Name },
	fields: func(p *ResourcePool) []any { return []any{&p.Name, &p.Description} },
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

var zoneRules = rules[AvailabilityZone]{
	check: func(_ context.Context, _ *store.Tx, z, _ *AvailabilityZone) error {
		return needName(kinds.Zone, z.Name)
	},
	unique: func(z *AvailabilityZone) string { return "name " + z.Name },
	key:    "name",
	// The machines and racks of a zone that is deleted move to the default one.
	keep: func(ctx context.Context, tx *store.Tx, z *AvailabilityZone) error {
		first, err := zones.keepFirst(ctx, tx, z, "it is the default zone")
		if err != nil {
			return err
		}
		return emptyZone(ctx, tx, z.ID, first)
	},
}

var poolRules = rules[ResourcePool]{
	check:  func(_ context.Context, _ *store.Tx, p, _ *ResourcePool) error { return needName(kinds.Pool, p.Name) },
	unique: func(p *ResourcePool) string { return "name " + p.Name },
	key:    "name",
	keep: func(ctx context.Context, tx *store.Tx, p *ResourcePool) error {
		if _, err := resourcePools.keepFirst(ctx, tx, p, "it is the default pool"); err != nil {
			return err
		}
		by, err := namesOf(ctx, tx, "machine ", "SELECT hostname FROM node WHERE pool_id = ? ORDER BY hostname", p.ID)
		if err != nil {
			return err
		}
		return inUse(kinds.Pool, p.Name, "move them to another pool first", by)
	},
}
