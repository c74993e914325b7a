package inventory

import (
	"context"
	"fmt"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

// SetDefaultGateway makes the gateway of a link's subnet the one through which its machine reaches the rest of the world; the
// link is an allocation of one of the machine's interfaces. 0 takes the choice back, for both families.
func (inv *Inventory) SetDefaultGateway(ctx context.Context, machine, link int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := nodeOf(ctx, tx, KindMachine, machine)
		if err != nil {
			return err
		}
		n.changed(tx, store.Updated)
		if link == 0 {
			_, err := tx.Exec(ctx, "DELETE FROM default_gateway WHERE node_id = ?", machine)
			return err
		}
		a, err := allocations.get(ctx, tx, link)
		if err != nil {
			return err
		}
		family, err := gatewayFamily(ctx, tx, n, a.Allocation)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM default_gateway WHERE node_id = ? AND family = ?", machine, family); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO default_gateway (node_id, family, allocation_id) VALUES (?, ?, ?)", machine, family, link)
		return err
	})
}

// gatewayFamily is 4 or 6; the error says why the link has no gateway for the machine.
func gatewayFamily(ctx context.Context, tx *store.Tx, n node, a ipam.Allocation) (int64, error) {
	var owner int64
	if err := tx.Get(ctx, "SELECT COALESCE(node_id, 0) FROM interface WHERE id = ?", []any{a.InterfaceID}, &owner); err != nil && !notFound(err) {
		return 0, err
	}
	if owner != n.ID || a.SubnetID == 0 {
		return 0, invalid(KindMachine, n.Hostname, "link_id", "is not a link of the machine to a subnet")
	}
	s, err := subnets.get(ctx, tx, a.SubnetID)
	if err != nil {
		return 0, err
	}
	if !s.Gateway.IsValid() {
		return 0, invalid(KindMachine, n.Hostname, "link_id", fmt.Sprintf("is on subnet %s, which has no gateway", s.Prefix))
	}
	if s.Prefix.Addr().Is6() {
		return 6, nil
	}
	return 4, nil
}
