package inventory

import (
	"context"
	"errors"
	"io/fs"

	"github.com/gomaas/maas/store"
)

// siteOwner is what secrets of the site itself are sealed for.
const siteOwner = "0"

// SiteCA returns the certificate and the key of the site's certificate
// authority. The first call for a site calls newCA and keeps what that
// returns, the key sealed; all regions get the same.
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
