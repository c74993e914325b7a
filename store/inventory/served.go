package inventory

import (
	"context"
	"slices"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// What a rack's DHCP service consists of: networks, and reservations.
var (
	networkKinds     = []string{kinds.VLAN, kinds.Subnet, kinds.Range, kinds.Route, kinds.Rack, kinds.Setting, kinds.Snippet, kinds.Class, kinds.Domain}
	reservationKinds = []string{kinds.Machine, kinds.Device, kinds.Interface, kinds.Allocation, kinds.ReservedIP}
	// placingKinds decide which reservations a rack has, and what they hold: any may be wrong then.
	placingKinds = []string{kinds.VLAN, kinds.Subnet, kinds.Rack, kinds.Snippet}
)

// checkServed has Config.Check look at the networks and reservations that a transaction leads to.
func (inv *Inventory) checkServed(ctx context.Context, tx *store.Tx, changes []store.Change) error {
	of := func(kinds []string) bool {
		return slices.ContainsFunc(changes, func(c store.Change) bool { return slices.Contains(kinds, c.Kind) })
	}
	if inv.check == nil || !of(networkKinds) && !of(reservationKinds) {
		return nil
	}
	m := new(Model)
	if err := m.readNetworks(ctx, tx); err != nil {
		return err
	}
	var err error
	if of(placingKinds) {
		err = m.readNodes(ctx, tx, "")
	} else if of(reservationKinds) {
		err = m.readChanged(ctx, tx, changes)
	}
	if err != nil {
		return err
	}
	return inv.check(m)
}

// readNodes reads the machines and devices of a condition on the node n.
func (m *Model) readNodes(ctx context.Context, tx *store.Tx, where string, args ...any) error {
	machines, err := nodesWhere(ctx, tx, kinds.Machine, where, args...)
	if err != nil {
		return err
	}
	devices, err := nodesWhere(ctx, tx, kinds.Device, where, args...)
	m.Machines, m.Devices = each(machines, func(n node) Machine { return n.Machine }), each(devices, node.device)
	return err
}

// readChanged reads the machines and devices that a transaction changed, and those that share link
// addresses with these. No other reservation can be in their way: an address has one holder.
func (m *Model) readChanged(ctx context.Context, tx *store.Tx, changes []store.Change) error {
	ids := make(map[int64]bool)
	parts := map[string]map[int64]bool{kinds.Allocation: {}, kinds.Interface: {}}
	macs := make(map[string]bool)
	for _, c := range changes {
		switch c.Kind {
		case kinds.Machine, kinds.Device:
			ids[c.ID] = true
		case kinds.Allocation, kinds.Interface:
			parts[c.Kind][c.ID] = true
		case kinds.ReservedIP:
			for _, r := range m.Reserved {
				if r.ID == c.ID {
					macs[r.MAC.String()] = true
				}
			}
		}
	}
	if err := nodesOf(ctx, tx, parts, ids); err != nil {
		return err
	}
	// A node that shares a link address with a changed one may share others with further nodes.
	for known := -1; known < len(ids)+len(macs); {
		known = len(ids) + len(macs)
		if err := sharing(ctx, tx, ids, macs); err != nil {
			return err
		}
	}
	list, args := inList(ids)
	if len(args) == 0 {
		return nil
	}
	return m.readNodes(ctx, tx, "n.id IN "+list, args...)
}

// sharing adds the link addresses of the nodes, and the nodes of the link addresses.
func sharing(ctx context.Context, tx *store.Tx, ids map[int64]bool, macs map[string]bool) error {
	if list, args := inList(ids); len(args) > 0 {
		err := tx.Query(ctx, "SELECT mac FROM interface WHERE mac <> '' AND node_id IN "+list, args, func(scan func(...any) error) error {
			var mac string
			err := scan(&mac)
			macs[mac] = true
			return err
		})
		if err != nil {
			return err
		}
	}
	list, args := inList(macs)
	if len(args) == 0 {
		return nil
	}
	return tx.Query(ctx, "SELECT node_id FROM interface WHERE node_id IS NOT NULL AND mac IN "+list, args, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		ids[id] = true
		return err
	})
}
