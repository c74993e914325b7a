package inventory

import (
	"context"

	"github.com/gomaas/maas/store"
)

// NewFacts returns how many of the facts with these numbers, of one rack's
// outbox, were taken before and are to be skipped, and records that all are
// taken once the transaction of ctx commits.
func (inv *Inventory) NewFacts(ctx context.Context, rack, outbox string, seqs []uint64) (skip int, err error) {
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		skip = 0
		var name string
		var last int64
		err := tx.Get(ctx, "SELECT outbox, seq FROM fact WHERE rack = ?", []any{rack}, &name, &last)
		if err != nil && !notFound(err) {
			return err
		}
		if name == outbox {
			for skip < len(seqs) && seqs[skip] <= uint64(last) {
				skip++
			}
		}
		if skip == len(seqs) {
			return nil
		}
		const query = `INSERT INTO fact (rack, seq, outbox) VALUES (?, ?, ?)
			ON CONFLICT (rack) DO UPDATE SET seq = excluded.seq, outbox = excluded.outbox`
		_, err = tx.Exec(ctx, query, rack, int64(seqs[len(seqs)-1]), outbox)
		return err
	})
	return skip, err
}
