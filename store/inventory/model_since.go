package inventory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/gomaas/maas/store"
)

// maxNodesSince is how many changed machines and devices are worth reading one
// by one.
const maxNodesSince = 500

// ModelSince is Model for a caller who has an older one: only machines and
// devices that changed since are read again, which at thousands of them takes
// a hundredth of the time. The result shares parts with old, and both must not
// be changed. What the change feed does not tell of, the ends of leases that
// were renewed and when racks were last seen, may be that of old. A nil old
// means Model.
func (inv *Inventory) ModelSince(ctx context.Context, old *Model) (m *Model, err error) {
	if old == nil {
		return inv.Model(ctx)
	}
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		changes, complete, err := inv.changedSince(ctx, tx, old)
		if err != nil {
			return err
		}
		if !complete || len(changes.nodes) > maxNodesSince {
			m, err = inv.Model(ctx)
			return err
		}
		m = new(Model)
		*m = *old
		if m.Revision, err = inv.Revision(ctx); err != nil {
			return err
		}
		if changes.others {
			if err := m.readNetworks(ctx, tx); err != nil {
				return err
			}
		}
		if changes.strays {
			if m.Strays, err = strays(ctx, tx); err != nil {
				return err
			}
		}
		return m.replaceNodes(ctx, tx, changes.nodes)
	})
	return m, err
}

// changed is what became different since a model was read.
type changed struct {
	nodes  map[int64]bool // machines and devices, also those that are gone
	strays bool           // addresses of no node
	others bool           // anything else
}

// changedSince reads the change feed; false = it does not reach back that far,
// or names of all nodes may have changed.
func (inv *Inventory) changedSince(ctx context.Context, tx *store.Tx, old *Model) (c changed, complete bool, err error) {
	c.nodes = make(map[int64]bool)
	parts := map[string]map[int64]bool{KindAllocation: {}, KindInterface: {}}
	complete = true
	count := 0
	const query = "SELECT kind, object FROM change WHERE rev > ? ORDER BY rev LIMIT ?"
	err = tx.Query(ctx, query, []any{old.Revision, 4*maxNodesSince + 1}, func(scan func(...any) error) error {
		var kind string
		var id int64
		if err := scan(&kind, &id); err != nil {
			return err
		}
		count++
		switch kind {
		case KindMachine, KindDevice:
			c.nodes[id] = true
		case KindAllocation, KindInterface:
			parts[kind][id], c.strays = true, true
		case KindDomain:
			complete = false // the names of all its machines
		case nodes.kind, KindObservation:
		default:
			c.others = true
		}
		return nil
	})
	if err != nil || !complete {
		return c, false, err
	}
	last, err := inv.Revision(ctx)
	if err != nil || int64(count) != last-old.Revision { // compacted, restored, or more than is worth it
		return c, false, err
	}
	old.nodesWith(parts, c.nodes)
	return c, true, nodesOf(ctx, tx, parts, c.nodes)
}

// nodesWith adds the nodes that had one of the interfaces or allocations.
func (m *Model) nodesWith(parts map[string]map[int64]bool, into map[int64]bool) {
	if len(parts[KindAllocation])+len(parts[KindInterface]) == 0 {
		return
	}
	look := func(node int64, ifaces []Interface) {
		for _, i := range ifaces {
			if parts[KindInterface][i.ID] {
				into[node] = true
			}
			for _, l := range i.Links {
				if parts[KindAllocation][l.ID] {
					into[node] = true
				}
			}
		}
	}
	for i := range m.Machines {
		look(m.Machines[i].ID, m.Machines[i].Interfaces)
	}
	for i := range m.Devices {
		look(m.Devices[i].ID, m.Devices[i].Interfaces)
	}
}

// nodesOf adds the nodes that have one of the interfaces or allocations now.
func nodesOf(ctx context.Context, tx *store.Tx, parts map[string]map[int64]bool, into map[int64]bool) error {
	for kind, query := range map[string]string{
		KindAllocation: "SELECT i.node_id FROM interface i JOIN allocation a ON a.interface_id = i.id WHERE i.node_id IS NOT NULL AND a.id IN ",
		KindInterface:  "SELECT node_id FROM interface WHERE node_id IS NOT NULL AND id IN ",
	} {
		list, args := inList(parts[kind])
		if len(args) == 0 {
			continue
		}
		err := tx.Query(ctx, query+list, args, func(scan func(...any) error) error {
			var id int64
			err := scan(&id)
			into[id] = true
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// inList is "(?, ?)" with its arguments.
func inList(ids map[int64]bool) (string, []any) {
	args := make([]any, 0, len(ids))
	for id := range ids {
		args = append(args, id)
	}
	return "(" + strings.TrimSuffix(strings.Repeat("?, ", len(args)), ", ") + ")", args
}

// replaceNodes reads some machines and devices again.
func (m *Model) replaceNodes(ctx context.Context, tx *store.Tx, changed map[int64]bool) error {
	if len(changed) == 0 {
		return nil
	}
	list, args := inList(changed)
	machines, err := nodesWhere(ctx, tx, KindMachine, "n.id IN "+list, args...)
	if err != nil {
		return err
	}
	devices, err := nodesWhere(ctx, tx, KindDevice, "n.id IN "+list, args...)
	if err != nil {
		return err
	}
	m.Machines = replaced(m.Machines, machines, changed, func(n node) Machine { return n.Machine }, func(v *Machine) [2]int64 { return [2]int64{v.DomainID, v.ID} })
	m.Devices = replaced(m.Devices, devices, changed, node.device, func(v *Device) [2]int64 { return [2]int64{v.DomainID, v.ID} })
	return nil
}

// replaced returns old without those that changed and with fresh, in order of
// domain and ID, which key returns.
func replaced[T any](old []T, fresh []node, changed map[int64]bool, of func(node) T, key func(*T) [2]int64) []T {
	out := make([]T, 0, len(old)+len(fresh))
	for i := range old {
		if !changed[key(&old[i])[1]] {
			out = append(out, old[i])
		}
	}
	for _, n := range fresh {
		v := of(n)
		at, _ := slices.BinarySearchFunc(out, key(&v), func(a T, k [2]int64) int {
			have := key(&a)
			return cmp.Or(cmp.Compare(have[0], k[0]), cmp.Compare(have[1], k[1]))
		})
		out = slices.Insert(out, at, v)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
