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
