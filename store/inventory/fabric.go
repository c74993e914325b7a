package inventory

import (
	"context"
	"fmt"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

var fabrics = table[ipam.Fabric]{
	kind: KindFabric, name: "fabric", cols: []string{"name", "description", "class_type"},
	id: func(f *ipam.Fabric) *int64 { return &f.ID }, version: func(f *ipam.Fabric) *int64 { return &f.Version },
	label:  func(f *ipam.Fabric) string { return f.Name },
	fields: func(f *ipam.Fabric) []any { return []any{&f.Name, &f.Description, &f.ClassType} },
}

var spaces = table[ipam.Space]{
	kind: KindSpace, name: "space", cols: []string{"name", "description"},
	id: func(s *ipam.Space) *int64 { return &s.ID }, version: func(s *ipam.Space) *int64 { return &s.Version },
	label:  func(s *ipam.Space) string { return s.Name },
	fields: func(s *ipam.Space) []any { return []any{&s.Name, &s.Description} },
}

// CreateFabric adds a fabric and its default VLAN, which is untagged. Without
// a name it is called fabric-<id>.
func (inv *Inventory) CreateFabric(ctx context.Context, f ipam.Fabric) (ipam.Fabric, error) {
	f.ID = 0
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := f.Validate(); err != nil {
			return err
		}
		if err := insertNamed(ctx, tx, fabrics, &f, &f.Name); err != nil {
			return err
		}
		return vlans.insert(ctx, tx, &ipam.VLAN{FabricID: f.ID, Name: ipam.UntaggedName, MTU: ipam.DefaultMTU})
	})
	return f, err
}

// insertNamed inserts v; if *name is "" it becomes <kind>-<id>.
func insertNamed[T any](ctx context.Context, tx *store.Tx, t table[T], v *T, name *string) error {
	generated := strings.TrimSpace(*name) == ""
	if generated {
		*name = "new " + t.kind // until the ID is known
	}
	if err := t.insert(ctx, tx, v); err != nil {
		return taken(err, t.kind, "name "+*name)
	}
	if !generated {
		return nil
	}
	*name = fmt.Sprintf("%s-%d", t.kind, *t.id(v))
	return t.update(ctx, tx, v)
}

// UpdateFabric changes a fabric.
func (inv *Inventory) UpdateFabric(ctx context.Context, f ipam.Fabric) error {
	if err := f.Validate(); err != nil {
		return err
	}
	return updateNamed(ctx, inv, fabrics, f, f.Name)
}

// Fabrics lists the fabrics. The first is the default one.
func (inv *Inventory) Fabrics(ctx context.Context) ([]ipam.Fabric, error) {
	return listIn(ctx, inv, fabrics, "")
}

// Fabric returns a fabric.
func (inv *Inventory) Fabric(ctx context.Context, id int64) (ipam.Fabric, error) {
	return getIn(ctx, inv, fabrics, id)
}

// DeleteFabric deletes a fabric with its VLANs, unless it is the default one,
// or has subnets or connected interfaces.
func (inv *Inventory) DeleteFabric(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		f, err := fabrics.get(ctx, tx, id)
		if err != nil {
			return err
		}
		first, err := firstID(ctx, tx, "fabric")
		if err != nil {
			return err
		}
		if id == first {
			return &InUseError{Kind: KindFabric, Name: f.Name, Remedy: "it is the default fabric"}
		}
		by, err := namesOf(ctx, tx, "subnet ", "SELECT prefix FROM subnet WHERE vlan_id IN (SELECT id FROM vlan WHERE fabric_id = ?) ORDER BY prefix", id)
		if err != nil {
			return err
		}
		connected, err := namesOf(ctx, tx, "interface ", `SELECT i.name || ' of ' || n.hostname FROM interface i JOIN node n ON n.id = i.node_id
			WHERE i.vlan_id IN (SELECT id FROM vlan WHERE fabric_id = ?) ORDER BY n.hostname, i.name`, id)
		if err != nil {
			return err
		}
		if err := inUse(KindFabric, f.Name, "", append(by, connected...)); err != nil {
			return err
		}
		if err := vlans.deleteWhere(ctx, tx, "fabric_id = ?", id); err != nil {
			return err
		}
		return fabrics.delete(ctx, tx, id)
	})
}

// CreateSpace adds a space. Without a name it is called space-<id>.
func (inv *Inventory) CreateSpace(ctx context.Context, s ipam.Space) (ipam.Space, error) {
	s.ID = 0
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := s.Validate(); err != nil {
			return err
		}
		return insertNamed(ctx, tx, spaces, &s, &s.Name)
	})
	return s, err
}

// UpdateSpace changes a space.
func (inv *Inventory) UpdateSpace(ctx context.Context, s ipam.Space) error {
	if err := s.Validate(); err != nil {
		return err
	}
	return updateNamed(ctx, inv, spaces, s, s.Name)
}

// Spaces lists the spaces.
func (inv *Inventory) Spaces(ctx context.Context) ([]ipam.Space, error) {
	return listIn(ctx, inv, spaces, "")
}

// Space returns a space.
func (inv *Inventory) Space(ctx context.Context, id int64) (ipam.Space, error) {
	return getIn(ctx, inv, spaces, id)
}

// DeleteSpace deletes a space; its VLANs are in none then.
func (inv *Inventory) DeleteSpace(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error { return spaces.delete(ctx, tx, id) })
}
