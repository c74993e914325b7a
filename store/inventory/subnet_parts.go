package inventory

import (
	"context"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

// RangesOf lists the ranges of a subnet.
func (inv *Inventory) RangesOf(ctx context.Context, subnet int64) ([]ipam.Range, error) {
	return listIn(ctx, inv, ranges, "subnet_id = ?", subnet)
}

// TagsOf lists the names of a subnet's tags.
func (inv *Inventory) TagsOf(ctx context.Context, subnet int64) (names []string, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
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
