package inventory

import (
	"context"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

var fabrics = table[ipam.Fabric]{
	kind: KindFabric, name: "fabric", cols: []string{"name", "description", "class_type"},
	id: func(f *ipam.Fabric) *int64 { return &f.ID }, version: func(f *ipam.Fabric) *int64 { return &f.Version },
	label:  func(f *ipam.Fabric) string { return f.Name },
	fields: func(f *ipam.Fabric) []any { return []any{&f.Name, &f.Description, &f.ClassType} },
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
