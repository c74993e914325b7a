package inventory

import (
	"context"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

var ranges = table[ipam.Range]{
	kind: KindRange, name: "ip_range", cols: []string{"subnet_id", "type", "first_addr", "last_addr", "owner", "comment"},
	id: func(r *ipam.Range) *int64 { return &r.ID }, version: func(r *ipam.Range) *int64 { return &r.Version },
	label: func(r *ipam.Range) string { return r.String() },
	fields: func(r *ipam.Range) []any {
		return []any{&r.SubnetID, asInt[ipam.RangeType]{&r.Type}, asText{&r.Start}, asText{&r.End}, &r.Owner, &r.Comment}
	},
}

// CreateRange adds a range. SubnetID 0 stands for the subnet its start is in.
func (inv *Inventory) CreateRange(ctx context.Context, r ipam.Range) (ipam.Range, error) {
	r.ID = 0
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if r.SubnetID == 0 {
			s, err := subnetFor(ctx, tx, r.Start)
			if err != nil {
				return err
			}
			r.SubnetID = s.ID
		}
		if err := checkRange(ctx, tx, r); err != nil {
			return err
		}
		if err := ranges.insert(ctx, tx, &r); err != nil {
			return err
		}
		return inv.touchSubnet(ctx, tx, r.SubnetID)
	})
	return r, err
}

// UpdateRange changes a range. A dynamic one may be resized although
// addresses inside it are held.
func (inv *Inventory) UpdateRange(ctx context.Context, r ipam.Range) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := ranges.current(ctx, tx, &r)
		if err != nil {
			return err
		}
		r.SubnetID = old.SubnetID
		if err := checkRange(ctx, tx, r); err != nil {
			return err
		}
		if err := ranges.update(ctx, tx, &r); err != nil {
			return err
		}
		return inv.touchSubnet(ctx, tx, r.SubnetID)
	})
}

func checkRange(ctx context.Context, tx *store.Tx, r ipam.Range) error {
	u, err := usageOf(ctx, tx, r.SubnetID)
	if err != nil {
		return err
	}
	return u.CheckRange(r)
}

// DeleteRange deletes a range. The leases of a dynamic one run out.
func (inv *Inventory) DeleteRange(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := ranges.get(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := ranges.delete(ctx, tx, id); err != nil {
			return err
		}
		return inv.touchSubnet(ctx, tx, r.SubnetID)
	})
}

// Ranges lists the ranges of all subnets.
func (inv *Inventory) Ranges(ctx context.Context) ([]ipam.Range, error) {
	return listIn(ctx, inv, ranges, "")
}

// Range returns a range.
func (inv *Inventory) Range(ctx context.Context, id int64) (ipam.Range, error) {
	return getIn(ctx, inv, ranges, id)
}
