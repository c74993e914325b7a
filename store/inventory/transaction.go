package inventory

import (
	"context"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/leader"
)

// Atomically runs f so that all calls it makes on the Inventory with the ctx it is given happen in
// one transaction: together, or not at all if f returns an error. f may be run again if the
// database asks for it.
func (inv *Inventory) Atomically(ctx context.Context, f func(ctx context.Context) error) error {
	return inv.update(ctx, func(ctx context.Context, _ *store.Tx) error { return f(ctx) })
}

// Consistently runs f so that all it reads with the ctx it is given is of one moment.
func (inv *Inventory) Consistently(ctx context.Context, f func(ctx context.Context) error) error {
	return inv.db.View(ctx, func(ctx context.Context, _ *store.Tx) error { return f(ctx) })
}

func (inv *Inventory) update(ctx context.Context, f func(ctx context.Context, tx *store.Tx) error) error {
	a := actorOf(ctx)
	return inv.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := leader.Fence(ctx, tx); err != nil {
			return err
		}
		if a == nil {
			return f(ctx, tx)
		}
		ctx, done := recording(ctx)
		tx.BeforeCommit(func(ctx context.Context, changes []store.Change) error {
			if err := inv.checkServed(ctx, tx, changes); err != nil {
				return err
			}
			if err := confirmTouched(ctx, tx, changes); err != nil {
				return err
			}
			return inv.audit(ctx, tx, a, changes, done)
		})
		return f(ctx, tx)
	})
}

func (inv *Inventory) view(ctx context.Context, f func(ctx context.Context, tx *store.Tx) error) error {
	return inv.db.View(ctx, f)
}

// Revision returns the revision of the last change.
func (inv *Inventory) Revision(ctx context.Context) (int64, error) { return inv.db.Revision(ctx) }
