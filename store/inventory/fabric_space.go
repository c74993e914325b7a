package inventory

import (
	"context"
	"regexp"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netspec"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

var fabrics = table[ipam.Fabric]{
	kind: kinds.Fabric, name: "fabric", cols: []string{"name", "description", "class_type"},
	id: func(f *ipam.Fabric) *int64 { return &f.ID }, version: func(f *ipam.Fabric) *int64 { return &f.Version },
	label:  func(f *ipam.Fabric) string { return f.Name },
	fields: func(f *ipam.Fabric) []any { return []any{&f.Name, &f.Description, &f.ClassType} },
}

// fabricRules: a fabric has a default VLAN from the start, which is untagged. A fabric with subnets
// or connected interfaces stays.
func (inv *Inventory) fabricRules() rules[ipam.Fabric] {
	return rules[ipam.Fabric]{
		check: func(ctx context.Context, _ *store.Tx, f, old *ipam.Fabric) error {
			if c := *f; keepsName(ctx, f.Name, old != nil && old.Name == f.Name) {
				c.Name = ""
				return c.Validate()
			}
			return f.Validate()
		},
		name:   func(f *ipam.Fabric) *string { return &f.Name },
		unique: func(f *ipam.Fabric) string { return "name " + f.Name },
		after: func(ctx context.Context, tx *store.Tx, f, old *ipam.Fabric) error {
			if old != nil {
				return nil
			}
			return vlans.insert(ctx, tx, &ipam.VLAN{FabricID: f.ID, Name: ipam.UntaggedName, MTU: ipam.DefaultMTU})
		},
		keep: keepFabric,
		find: func(ctx context.Context, _ *store.Tx, spec string) (ipam.Fabric, error) {
			return oneBy(ctx, inv, spec, (*netspec.Networks).FindFabrics, fabrics)
		},
	}
}

type keepNames struct{}

// KeepNames returns a context in which fabrics and spaces may have the names that were generated
// for them on another site, such as fabric-3 for one whose ID is 2 here.
func KeepNames(ctx context.Context) context.Context { return context.WithValue(ctx, keepNames{}, true) }

var generatedName = regexp.MustCompile(`^(fabric|space)-[0-9]+$`)

// keepsName reports whether a generated name is let through: on behalf of a document, or because
// the object has it already.
func keepsName(ctx context.Context, name string, unchanged bool) bool {
	return generatedName.MatchString(name) && (unchanged || ctx.Value(keepNames{}) != nil)
}

func keepFabric(ctx context.Context, tx *store.Tx, f *ipam.Fabric) error {
	if _, err := fabrics.keepFirst(ctx, tx, f, "it is the default fabric"); err != nil {
		return err
	}
	by, err := namesOf(ctx, tx, "subnet ", "SELECT prefix FROM subnet WHERE vlan_id IN (SELECT id FROM vlan WHERE fabric_id = ?) ORDER BY prefix", f.ID)
	if err != nil {
		return err
	}
	connected, err := namesOf(ctx, tx, "interface ", `SELECT i.name || ' of ' || n.hostname FROM interface i JOIN node n ON n.id = i.node_id
		WHERE i.vlan_id IN (SELECT id FROM vlan WHERE fabric_id = ?) ORDER BY n.hostname, i.name`, f.ID)
	if err != nil {
		return err
	}
	if err := inUse(kinds.Fabric, f.Name, "", append(by, connected...)); err != nil {
		return err
	}
	return vlans.deleteWhere(ctx, tx, "fabric_id = ?", f.ID)
}

var spaces = table[ipam.Space]{
	kind: kinds.Space, name: "space", cols: []string{"name", "description"},
	id: func(s *ipam.Space) *int64 { return &s.ID }, version: func(s *ipam.Space) *int64 { return &s.Version },
	label:  func(s *ipam.Space) string { return s.Name },
	fields: func(s *ipam.Space) []any { return []any{&s.Name, &s.Description} },
}

// spaceRules: the VLANs of a space that is deleted are in none.
func (inv *Inventory) spaceRules() rules[ipam.Space] {
	return rules[ipam.Space]{
		check: func(ctx context.Context, _ *store.Tx, s, old *ipam.Space) error {
			if c := *s; keepsName(ctx, s.Name, old != nil && old.Name == s.Name) {
				c.Name = ""
				return c.Validate()
			}
			return s.Validate()
		},
		name:   func(s *ipam.Space) *string { return &s.Name },
		unique: func(s *ipam.Space) string { return "name " + s.Name },
		find: func(ctx context.Context, _ *store.Tx, spec string) (ipam.Space, error) {
			return oneBy(ctx, inv, spec, (*netspec.Networks).FindSpaces, spaces)
		},
	}
}
