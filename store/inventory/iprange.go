package inventory

import (
	"cmp"
	"context"
	"net/netip"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

var ranges = table[ipam.Range]{
	kind: kinds.Range, name: "ip_range", cols: []string{"subnet_id", "type", "first_addr", "last_addr", "owner", "comment", "class_id"},
	id: func(r *ipam.Range) *int64 { return &r.ID }, version: func(r *ipam.Range) *int64 { return &r.Version },
	label: func(r *ipam.Range) string { return r.String() },
	fields: func(r *ipam.Range) []any {
		return []any{&r.SubnetID, asInt[ipam.RangeType]{&r.Type}, asText{&r.Start}, asText{&r.End}, &r.Owner, &r.Comment, asRef{&r.ClassID}}
	},
}

// rangeRules puts a range without a subnet into the subnet of its start. A range stays in its
// subnet. A dynamic one may be resized although addresses inside it are held; after its deletion,
// its leases run out.
var rangeRules = rules[ipam.Range]{
	check: func(ctx context.Context, tx *store.Tx, r, old *ipam.Range) error {
		if old != nil {
			r.SubnetID = old.SubnetID
		}
		if err := orSubnetOf(ctx, tx, &r.SubnetID, r.Start); err != nil {
			return err
		}
		if err := checkRangeClass(ctx, tx, r); err != nil {
			return err
		}
		u, err := usageOf(ctx, tx, r.SubnetID)
		if err != nil {
			return err
		}
		return u.CheckRange(*r)
	},
	after: func(ctx context.Context, tx *store.Tx, r, old *ipam.Range) error {
		return touchSubnet(ctx, tx, cmp.Or(r, old).SubnetID)
	},
}

// orSubnetOf sets an ID of 0 to the ID of the subnet that contains an address.
func orSubnetOf(ctx context.Context, tx *store.Tx, id *int64, a netip.Addr) error {
	if *id != 0 {
		return nil
	}
	s, err := subnetFor(ctx, tx, a)
	*id = s.ID
	return err
}

// RangesOf lists the ranges of a subnet.
func (inv *Inventory) RangesOf(ctx context.Context, subnet int64) ([]ipam.Range, error) {
	return listIn(ctx, inv, ranges, "subnet_id = ?", subnet)
}
