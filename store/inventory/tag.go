package inventory

import (
	"context"
	"fmt"
	"regexp"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Tag marks machines, devices and subnets.
type Tag struct {
	ID      int64
	Version int64  // counts changes; an update must carry the one that was read
	Name    string // unique
	Comment string
	// KernelOpts end the kernel command line of machines with the tag; "" = none.
	KernelOpts string
}

var tags = table[Tag]{
	kind: kinds.Tag, name: "tag", cols: []string{"name", "comment", "kernel_opts"},
	id: func(t *Tag) *int64 { return &t.ID }, version: func(t *Tag) *int64 { return &t.Version },
	label:  func(t *Tag) string { return t.Name },
	fields: func(t *Tag) []any { return []any{&t.Name, &t.Comment, &t.KernelOpts} },
}

var tagName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

func (t Tag) check() error {
	if !tagName.MatchString(t.Name) {
		return invalid(kinds.Tag, t.Name, "name", "must be 1 to 256 letters, digits, _ and -")
	}
	if err := checkKernelOpts(t.KernelOpts); err != nil {
		return invalid(kinds.Tag, t.Name, "kernel_opts", err.Error())
	}
	return nil
}

func checkKernelOpts(text string) error {
	if text == "" {
		return nil
	}
	return pxe.Profile{Name: "options", Kernel: "kernel", Cmdline: text}.Validate()
}

// taggedChanged reports all nodes with a tag to the change feed.
func taggedChanged(ctx context.Context, tx *store.Tx, tag int64) error {
	const query = "SELECT n.id, n.kind FROM node n JOIN node_tag t ON t.node_id = n.id WHERE t.tag_id = ? ORDER BY n.id"
	return tx.Query(ctx, query, []any{tag}, func(scan func(...any) error) error {
		var id int64
		var kind string
		err := scan(&id, &kind)
		tx.Changed(kind, id, store.Updated)
		return err
	})
}

// Tags holds tags and what they mark.
type Tags struct{ *Collection[Tag] }

// MarkNodes adds a tag to machines and devices and removes it from others, by ID, and returns how
// many changed.
func (ts Tags) MarkNodes(ctx context.Context, tag int64, add, remove []int64) (added, removed int64, err error) {
	return ts.inv.retag(ctx, tag, "node", add, remove, func(ctx context.Context, tx *store.Tx, id int64) (changed func(), err error) {
		n, err := nodes.get(ctx, tx, id)
		return func() { n.changed(tx, store.Updated) }, err
	})
}

// MarkSubnets gives a tag to subnets and takes it from others, as Tags.MarkNodes does with
// machines. What boots there boots by the tag's profile, see BootProfile.
func (ts Tags) MarkSubnets(ctx context.Context, tag int64, add, remove []int64) (added, removed int64, err error) {
	return ts.inv.retag(ctx, tag, "subnet", add, remove, func(ctx context.Context, tx *store.Tx, id int64) (changed func(), err error) {
		_, err = subnets.get(ctx, tx, id)
		return func() { tx.Changed(kinds.Subnet, id, store.Updated) }, err
	})
}

// retag adds a tag to objects of a kind and removes it from others. Find checks that an object
// exists and returns the function that reports it to the change feed.
func (inv *Inventory) retag(ctx context.Context, tag int64, kind string, add, remove []int64, find func(context.Context, *store.Tx, int64) (func(), error)) (added, removed int64, err error) {
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		added, removed = 0, 0
		if _, err := tags.get(ctx, tx, tag); err != nil {
			return err
		}
		run := func(ids []int64, query string, count *int64) error {
			for _, id := range ids {
				changed, err := find(ctx, tx, id)
				if err != nil {
					return err
				}
				n, err := tx.Exec(ctx, query, id, tag)
				if err != nil {
					return err
				}
				if *count += n; n > 0 {
					changed()
				}
			}
			return nil
		}
		if err := run(add, fmt.Sprintf("INSERT INTO %[1]s_tag (%[1]s_id, tag_id) VALUES (?, ?) ON CONFLICT DO NOTHING", kind), &added); err != nil {
			return err
		}
		return run(remove, fmt.Sprintf("DELETE FROM %[1]s_tag WHERE %[1]s_id = ? AND tag_id = ?", kind), &removed)
	})
	return added, removed, err
}

// addMarks reads the tags and default gateways of nodes; which selects them.
func addMarks(ctx context.Context, tx *store.Tx, all []node, which string, args []any) error {
	at := make(map[int64]*node, len(all))
	for i := range all {
		at[all[i].ID] = &all[i]
	}
	const marks = "SELECT node_id, name FROM node_tag m JOIN tag t ON t.id = m.tag_id WHERE %s ORDER BY name"
	err := tx.Query(ctx, fmt.Sprintf(marks, which), args, func(scan func(...any) error) error {
		var id int64
		var name string
		err := scan(&id, &name)
		if n := at[id]; n != nil {
			n.Tags = append(n.Tags, name)
		}
		return err
	})
	if err != nil {
		return err
	}
	const gateways = "SELECT node_id, family, allocation_id FROM default_gateway WHERE %s"
	return tx.Query(ctx, fmt.Sprintf(gateways, which), args, func(scan func(...any) error) error {
		var id, family, link int64
		err := scan(&id, &family, &link)
		switch n := at[id]; {
		case n == nil:
		case family == 4:
			n.Gateway4 = link
		default:
			n.Gateway6 = link
		}
		return err
	})
}

// Machines lists the machines that have a tag.
func (ts Tags) Machines(ctx context.Context, name string) ([]Machine, error) {
	return ts.inv.Machines.where(ctx, tagged, name)
}

// Devices lists the devices that have a tag.
func (ts Tags) Devices(ctx context.Context, name string) ([]Device, error) {
	return ts.inv.Devices.where(ctx, tagged, name)
}

// tagged selects the nodes that have a tag.
const tagged = "n.id IN (SELECT m.node_id FROM node_tag m JOIN tag t ON t.id = m.tag_id WHERE t.name = ?)"

// OfSubnets returns the names of the tags of subnets, the one that was made first before the
// others, by ID of the subnet.
func (ts Tags) OfSubnets(ctx context.Context) (all map[int64][]string, err error) {
	err = ts.inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = subnetTags(ctx, tx)
		return err
	})
	return all, err
}

func subnetTags(ctx context.Context, tx *store.Tx) (map[int64][]string, error) {
	all := make(map[int64][]string)
	const query = "SELECT m.subnet_id, t.name FROM subnet_tag m JOIN tag t ON t.id = m.tag_id ORDER BY t.id"
	return all, tx.Query(ctx, query, nil, func(scan func(...any) error) error {
		var subnet int64
		var tag string
		err := scan(&subnet, &tag)
		all[subnet] = append(all[subnet], tag)
		return err
	})
}

// tagRules: a change of a tag is one of all machines that have it, whose kernel options and
// profiles may follow from it.
var tagRules = rules[Tag]{
	check:  func(_ context.Context, _ *store.Tx, t, _ *Tag) error { return t.check() },
	unique: func(t *Tag) string { return "name " + t.Name },
	key:    "name",
	after: func(ctx context.Context, tx *store.Tx, t, old *Tag) error {
		if t == nil || old == nil {
			return nil
		}
		return taggedChanged(ctx, tx, t.ID)
	},
	keep: func(ctx context.Context, tx *store.Tx, t *Tag) error { return taggedChanged(ctx, tx, t.ID) },
}

// OfSubnet lists the names of a subnet's tags.
func (ts Tags) OfSubnet(ctx context.Context, subnet int64) (names []string, err error) {
	err = ts.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		names = nil // the view may be tried again
		const query = "SELECT t.name FROM subnet_tag m JOIN tag t ON t.id = m.tag_id WHERE m.subnet_id = ? ORDER BY t.id"
		return tx.Query(ctx, query, []any{subnet}, func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			names = append(names, name)
			return err
		})
	})
	return names, err
}
