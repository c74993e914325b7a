package inventory

import (
	"context"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

var reservedIPs = table[ipam.ReservedIP]{
	kind: KindReservedIP, name: "reserved_ip", cols: []string{"subnet_id", "ip", "mac", "comment"},
	id: func(r *ipam.ReservedIP) *int64 { return &r.ID }, version: func(r *ipam.ReservedIP) *int64 { return &r.Version },
	label: func(r *ipam.ReservedIP) string { return r.String() },
	fields: func(r *ipam.ReservedIP) []any {
		return []any{&r.SubnetID, asText{&r.Addr}, asMAC{&r.MAC}, &r.Comment}
	},
}

// CreateReservedIP keeps an address for a link address. SubnetID 0 stands for
// the subnet the address is in.
func (inv *Inventory) CreateReservedIP(ctx context.Context, r ipam.ReservedIP) (ipam.ReservedIP, error) {
	r.ID = 0
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if r.SubnetID == 0 {
			s, err := subnetFor(ctx, tx, r.Addr)
			if err != nil {
				return err
			}
			r.SubnetID = s.ID
		}
		u, err := usageOf(ctx, tx, r.SubnetID)
		if err != nil {
			return err
		}
		own, err := interfaceIDs(ctx, tx, r.MAC)
		if err != nil {
			return err
		}
		if err := u.CheckReservedIP(r, func(a ipam.Allocation) bool { return own[a.InterfaceID] }); err != nil {
			return err
		}
		if err := reservedIPs.insert(ctx, tx, &r); err != nil {
			return taken(err, KindReservedIP, "address "+r.Addr.String()+" or MAC "+r.MAC.String())
		}
		return inv.touchSubnet(ctx, tx, r.SubnetID)
	})
	return r, err
}

// SetReservedIPComment changes the only thing of a reserved IP that can be.
func (inv *Inventory) SetReservedIPComment(ctx context.Context, id int64, comment string) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := reservedIPs.get(ctx, tx, id)
		if err != nil {
			return err
		}
		r.Comment = comment
		return reservedIPs.update(ctx, tx, &r)
	})
}

// DeleteReservedIP gives up a reserved IP.
func (inv *Inventory) DeleteReservedIP(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := reservedIPs.get(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := reservedIPs.delete(ctx, tx, id); err != nil {
			return err
		}
		return inv.touchSubnet(ctx, tx, r.SubnetID)
	})
}

// ReservedIPs lists the reserved IPs.
func (inv *Inventory) ReservedIPs(ctx context.Context) ([]ipam.ReservedIP, error) {
	return listIn(ctx, inv, reservedIPs, "")
}

// ReservedIP returns a reserved IP.
func (inv *Inventory) ReservedIP(ctx context.Context, id int64) (ipam.ReservedIP, error) {
	return getIn(ctx, inv, reservedIPs, id)
}
