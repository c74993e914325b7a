package inventory

import (
	"cmp"
	"context"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

var reservedIPs = table[ipam.ReservedIP]{
	kind: kinds.ReservedIP, name: "reserved_ip", cols: []string{"subnet_id", "ip", "mac", "comment"},
	id: func(r *ipam.ReservedIP) *int64 { return &r.ID }, version: func(r *ipam.ReservedIP) *int64 { return &r.Version },
	label: func(r *ipam.ReservedIP) string { return r.String() },
	fields: func(r *ipam.ReservedIP) []any {
		return []any{&r.SubnetID, asText{&r.Addr}, asMAC{&r.MAC}, &r.Comment}
	},
}

// reservedIPRules puts a reserved IP without a subnet into the subnet of its address. Only the
// comment can be changed: leases may depend on the rest.
var reservedIPRules = rules[ipam.ReservedIP]{
	check: func(ctx context.Context, tx *store.Tx, r, old *ipam.ReservedIP) error {
		if old != nil {
			if r.Addr != old.Addr || r.MAC.String() != old.MAC.String() || r.SubnetID != old.SubnetID {
				return invalid(kinds.ReservedIP, old.String(), "comment", "alone can be changed; delete it and make another one")
			}
			return nil
		}
		if err := orSubnetOf(ctx, tx, &r.SubnetID, r.Addr); err != nil {
			return err
		}
		u, err := usageOf(ctx, tx, r.SubnetID)
		if err != nil {
			return err
		}
		own, err := interfaceIDs(ctx, tx, r.MAC)
		if err != nil {
			return err
		}
		return u.CheckReservedIP(*r, func(a ipam.Allocation) bool { return own[a.InterfaceID] })
	},
	unique: func(r *ipam.ReservedIP) string { return "address " + r.Addr.String() + " or MAC " + r.MAC.String() },
	after: func(ctx context.Context, tx *store.Tx, r, old *ipam.ReservedIP) error {
		if r != nil && old != nil { // the comment
			return nil
		}
		return touchSubnet(ctx, tx, cmp.Or(r, old).SubnetID)
	},
}
