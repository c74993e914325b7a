package inventory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// minSince and maxSince bound the changes that are read one by one: with more, reading the whole
// model is faster. Between them a quarter of the model counts. The upper one is a part of the
// values that a statement may have, 32,766 on SQLite.
const (
	minSince = 500
	maxSince = 5000
)

// worth returns how many objects are read one by one.
func (m *Model) worth() int {
	return min(max(minSince, (len(m.Machines)+len(m.Devices)+len(m.Orphans))/4), maxSince)
}

// Changes is the difference between two states of a model: the objects that were removed or
// changed, and the objects in their place. Nil means that anything may differ.
type Changes struct {
	Before, After Part
	// Networks: anything else that is in no Part may differ, too.
	Networks bool
}

// Part is a part of a model.
type Part struct {
	Machines []Machine
	Devices  []Device
	Orphans  []Orphan
	Records  []DNSRecord
}

// Follow brings a model up to date and reads only what changed, which at thousands of machines
// takes a hundredth of the time of a full read. It returns nil changes after a full read, which the
// zero Model needs. What is not in the change feed may be out of date: the ends of renewed leases,
// and the times at which racks were last seen. After an error the model is as it was.
func (inv *Inventory) Follow(ctx context.Context, m *Model) (c *Changes, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		f, complete, err := inv.changedSince(ctx, tx, m)
		if err != nil {
			return err
		}
		if m.Revision == 0 || !complete || len(f.nodes)+len(f.orphans)+len(f.records) > m.worth() {
			whole, err := inv.Model(ctx)
			if err == nil {
				*m = *whole
			}
			return err
		}
		next := *m
		if next.Revision, err = inv.Revision(ctx); err != nil {
			return err
		}
		if f.others {
			if err := next.readNetworks(ctx, tx); err != nil {
				return err
			}
		}
		after, err := f.read(ctx, tx)
		if err != nil {
			return err
		}
		*m = next // and nothing fails from here
		c = &Changes{m.replace(f, after), after, f.others}
		return nil
	})
	return c, err
}

// followed collects the objects of the changes in the feed.
type followed struct {
	nodes, orphans, records map[int64]bool // IDs, also of what is gone
	others                  bool           // anything else changed
}

// changedSince reads the change feed; false = it does not reach back that far, or names of all
// nodes may have changed.
func (inv *Inventory) changedSince(ctx context.Context, tx *store.Tx, old *Model) (f followed, complete bool, err error) {
	f = followed{nodes: make(map[int64]bool), orphans: make(map[int64]bool), records: make(map[int64]bool)}
	parts := map[string]map[int64]bool{kinds.Allocation: f.orphans, kinds.Interface: {}}
	complete = true
	count := 0
	const query = "SELECT kind, object FROM change WHERE rev > ? ORDER BY rev LIMIT ?"
	err = tx.Query(ctx, query, []any{old.Revision, 4*old.worth() + 1}, func(scan func(...any) error) error {
		var kind string
		var id int64
		if err := scan(&kind, &id); err != nil {
			return err
		}
		count++
		switch kind {
		case kinds.Machine, kinds.Device:
			f.nodes[id] = true
		case kinds.Allocation, kinds.Interface:
			parts[kind][id] = true
		case kinds.Record:
			f.records[id] = true
		case kinds.Domain, kinds.Tag:
			complete = false // names that many machines have
		case nodes.kind, kinds.Observation:
		default:
			f.others = true
		}
		return nil
	})
	if err != nil || !complete {
		return f, false, err
	}
	last, err := inv.Revision(ctx)
	if err != nil || int64(count) != last-old.Revision { // compacted, restored, or more than is worth it
		return f, false, err
	}
	old.nodesWith(parts, f.nodes)
	if err := nodesOf(ctx, tx, parts, f.nodes); err != nil {
		return f, false, err
	}
	return f, true, old.orphansOf(ctx, tx, parts[kinds.Interface], f.orphans)
}

// orphansOf adds the addresses that the interfaces had, and have now.
func (m *Model) orphansOf(ctx context.Context, tx *store.Tx, interfaces, into map[int64]bool) error {
	if len(interfaces) == 0 {
		return nil
	}
	for i := range m.Orphans {
		if interfaces[m.Orphans[i].InterfaceID] {
			into[m.Orphans[i].ID] = true
		}
	}
	list, args := inList(interfaces)
	return tx.Query(ctx, "SELECT id FROM allocation WHERE interface_id IN "+list, args, func(scan func(...any) error) error {
		var id int64
		err := scan(&id)
		into[id] = true
		return err
	})
}

// nodesWith adds the nodes that had one of the interfaces or allocations.
func (m *Model) nodesWith(parts map[string]map[int64]bool, into map[int64]bool) {
	if len(parts[kinds.Allocation])+len(parts[kinds.Interface]) == 0 {
		return
	}
	look := func(node int64, ifaces []Interface) {
		for _, i := range ifaces {
			if parts[kinds.Interface][i.ID] {
				into[node] = true
			}
			for _, l := range i.Links {
				if parts[kinds.Allocation][l.ID] {
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
		kinds.Allocation: "SELECT i.node_id FROM interface i JOIN allocation a ON a.interface_id = i.id WHERE i.node_id IS NOT NULL AND a.id IN ",
		kinds.Interface:  "SELECT node_id FROM interface WHERE node_id IS NOT NULL AND id IN ",
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
func inList[K comparable](ids map[K]bool) (string, []any) {
	args := make([]any, 0, len(ids))
	for id := range ids {
		args = append(args, id)
	}
	return "(" + strings.TrimSuffix(strings.Repeat("?, ", len(args)), ", ") + ")", args
}

// read reads what changed as it is now.
func (f *followed) read(ctx context.Context, tx *store.Tx) (p Part, err error) {
	if list, args := inList(f.nodes); len(args) > 0 {
		machines, err := nodesWhere(ctx, tx, kinds.Machine, "n.id IN "+list, args...)
		if err != nil {
			return p, err
		}
		devices, err := nodesWhere(ctx, tx, kinds.Device, "n.id IN "+list, args...)
		if err != nil {
			return p, err
		}
		p.Machines, p.Devices = each(machines, func(n node) Machine { return n.Machine }), each(devices, node.device)
	}
	if list, args := inList(f.orphans); len(args) > 0 {
		if p.Orphans, err = orphansWhere(ctx, tx, " AND id IN "+list, args...); err != nil {
			return p, err
		}
	}
	if list, args := inList(f.records); len(args) > 0 {
		p.Records, err = records.list(ctx, tx, "id IN "+list, args...)
	}
	return p, err
}

// replace puts what was read in the place of what changed, and returns that.
func (m *Model) replace(f followed, after Part) (before Part) {
	before.Machines = replace(&m.Machines, after.Machines, f.nodes, func(v *Machine) [2]int64 { return [2]int64{v.DomainID, v.ID} })
	before.Devices = replace(&m.Devices, after.Devices, f.nodes, func(v *Device) [2]int64 { return [2]int64{v.DomainID, v.ID} })
	before.Orphans = replace(&m.Orphans, after.Orphans, f.orphans, func(v *Orphan) [2]int64 { return [2]int64{0, v.ID} })
	before.Records = replace(&m.Records, after.Records, f.records, func(v *DNSRecord) [2]int64 { return [2]int64{0, v.ID} })
	return before
}

func each[T, U any](in []T, f func(T) U) []U {
	if len(in) == 0 {
		return nil
	}
	out := make([]U, 0, len(in))
	for _, v := range in {
		out = append(out, f(v))
	}
	return out
}

// replace takes what changed out of a list that is in order of domain and ID, which key returns,
// and puts fresh in. It returns what it took.
func replace[T any](list *[]T, fresh []T, changed map[int64]bool, key func(*T) [2]int64) (taken []T) {
	if len(changed) == 0 {
		return nil
	}
	kept := 0
	for i := range *list {
		v := &(*list)[i]
		if changed[key(v)[1]] {
			taken = append(taken, *v)
			continue
		}
		if kept != i {
			(*list)[kept] = *v
		}
		kept++
	}
	clear((*list)[kept:])
	*list = (*list)[:kept]
	for _, v := range fresh {
		at, _ := slices.BinarySearchFunc(*list, key(&v), func(a T, k [2]int64) int {
			have := key(&a)
			return cmp.Or(cmp.Compare(have[0], k[0]), cmp.Compare(have[1], k[1]))
		})
		*list = slices.Insert(*list, at, v)
	}
	if len(*list) == 0 {
		*list = nil
	}
	return taken
}
