package inventory

import (
	"context"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

var spaces = table[ipam.Space]{
	kind: KindSpace, name: "space", cols: []string{"name", "description"},
	id: func(s *ipam.Space) *int64 { return &s.ID }, version: func(s *ipam.Space) *int64 { return &s.Version },
	label:  func(s *ipam.Space) string { return s.Name },
	fields: func(s *ipam.Space) []any { return []any{&s.Name, &s.Description} },
}

// spaceRules: the VLANs of a space that is deleted are in none.
func (inv *Inventory) spaceRules() rules[ipam.Space] {
	return rules[ipam.Space]{
		check:  func(_ context.Context, _ *store.Tx, s, _ *ipam.Space) error { return s.Validate() },
		name:   func(s *ipam.Space) *string { return &s.Name },
		unique: func(s *ipam.Space) string { return "name " + s.Name },
		find: func(ctx context.Context, _ *store.Tx, spec string) (ipam.Space, error) {
			return oneBy(ctx, inv, spec, (*ipam.Networks).FindSpaces, spaces)
		},
	}
}
