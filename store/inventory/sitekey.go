package inventory

import (
	"context"
	"errors"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/internal/secret"
)

// ErrOtherKey is Open's error when the site's secrets are sealed with another key than that of its Config.
var ErrOtherKey = errors.New("inventory: the site's secrets are sealed with another key")

// KeyMarked reports whether a key was ever used for the secrets in the database: all that open it must have that one.
func KeyMarked(ctx context.Context, db *store.DB) (marked bool, err error) {
	err = db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		var n int64
		err := tx.Get(ctx, "SELECT COUNT(*) FROM site_key", nil, &n)
		marked = n > 0
		return err
	})
	return marked, err
}

// Digest is the same for the same data, and different for other data. Whoever
// has it but not the site's key cannot try out what the data was, so it may be
// kept of data with secrets.
func (inv *Inventory) Digest(data []byte) string {
	return secret.Digest(inv.digestKey, data)
}

// FitsKey reports whether the secrets in a database are sealed with a key.
func FitsKey(ctx context.Context, db *store.DB, key []byte) (fits bool, err error) {
	err = db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		var mark []byte
		err := tx.Get(ctx, "SELECT mark FROM site_key WHERE one = 1", nil, &mark)
		fits = err == nil && secret.Marked(mark, key)
		if notFound(err) {
			return nil
		}
		return err
	})
	return fits, err
}

// checkKey compares the key with the one that the site began with. The first one is that.
func (inv *Inventory) checkKey(ctx context.Context, key []byte) error {
	return inv.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		var mark []byte
		err := tx.Get(ctx, "SELECT mark FROM site_key WHERE one = 1", nil, &mark)
		switch {
		case notFound(err):
			_, err = tx.Exec(ctx, "INSERT INTO site_key (one, mark) VALUES (1, ?)", secret.Mark(key))
			return err
		case err != nil:
			return err
		case !secret.Marked(mark, key):
			return ErrOtherKey
		}
		return nil
	})
}
