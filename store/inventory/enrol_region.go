package inventory

import (
	"context"
	"slices"
	"time"

	"github.com/gomaas/maas/store"
)

// Region is where racks reach one region of the site.
type Region struct {
	ID        int64
	Name      string   // unique
	Addresses []string // host:port
	LastSeen  time.Time
}

var regions = table[Region]{
	kind: KindRegion, name: "region", cols: []string{"name", "addresses", "last_seen"},
	id:     func(r *Region) *int64 { return &r.ID },
	fields: func(r *Region) []any { return []any{&r.Name, asJSON{&r.Addresses}, asTime{&r.LastSeen}} },
}

// RegisterRegion says that a region lives, and where. Regions that did not say
// so for the time of forget are removed.
func (inv *Inventory) RegisterRegion(ctx context.Context, r Region, forget time.Duration) error {
	r.LastSeen = time.Now()
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := regions.deleteWhere(ctx, tx, "last_seen < ? AND name <> ?", r.LastSeen.Add(-forget).UnixMicro(), r.Name); err != nil {
			return err
		}
		old, err := regions.one(ctx, tx, r.Name, "name = ?", r.Name)
		switch {
		case notFound(err):
			return regions.insert(ctx, tx, &r)
		case err != nil:
			return err
		case slices.Equal(old.Addresses, r.Addresses): // no change that anybody plans for
			_, err = tx.Exec(ctx, "UPDATE region SET last_seen = ? WHERE id = ?", asTime{&r.LastSeen}, old.ID)
			return err
		}
		r.ID = old.ID
		return regions.update(ctx, tx, &r)
	})
}

// Regions lists the regions of the site.
func (inv *Inventory) Regions(ctx context.Context) ([]Region, error) {
	return listIn(ctx, inv, regions, "")
}

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
