package inventory

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/gomaas/maas/store"
)

// Region holds the addresses at which racks reach one region of the site.
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

// RegisterRegion says that a region lives, and where. Regions that did not say so for the time of
// forget are removed.
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
		case slices.Equal(old.Addresses, r.Addresses): // no plan depends on the time
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

// siteOwner is the owner that the site's own secrets are sealed for.
const siteOwner = "0"

// SiteCA returns the certificate and the key of the site's certificate authority. The first call
// for a site calls newCA and keeps what that returns, the key sealed; all regions get the same.
func (inv *Inventory) SiteCA(ctx context.Context, newCA func() (cert, key []byte, err error)) (cert, key []byte, err error) {
	read := func(ctx context.Context, tx *store.Tx) error {
		var sealed []byte
		err := tx.Get(ctx, "SELECT cert, sealed FROM site_ca WHERE one = 1", nil, &cert, &sealed)
		if err != nil {
			return err
		}
		key, err = inv.seal.Open(sealed, siteOwner)
		return err
	}
	err = inv.view(ctx, read)
	if !errors.Is(err, fs.ErrNotExist) {
		return cert, key, err
	}
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := read(ctx, tx); !errors.Is(err, fs.ErrNotExist) {
			return err // another region was first, or it cannot be read
		}
		var err error
		if cert, key, err = newCA(); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO site_ca (one, cert, sealed) VALUES (1, ?, ?)", cert, inv.seal.Close(key, siteOwner))
		return err
	})
	return cert, key, err
}
