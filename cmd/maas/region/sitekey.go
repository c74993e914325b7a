package region

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// KeySize is the size of the key of secrets in bytes: AES-256 takes 32.
const KeySize = 32

// siteKey reads the key of the secrets in the database. The first region of a site creates it; a
// further region must be given a copy, since a second key would make the first region's secrets
// unreadable for it.
func siteKey(ctx context.Context, db *store.DB, path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) != KeySize:
		return nil, fmt.Errorf("%s: has %d bytes instead of %d; restore it from a backup, or copy that of another region", path, len(key), KeySize)
	case !errors.Is(err, fs.ErrNotExist):
		return key, err
	}
	// Without the file the site is either new, or has lost it.
	marked, err := inventory.KeyMarked(ctx, db)
	if err != nil {
		return nil, err
	}
	if marked {
		return nil, fmt.Errorf("%s: is missing, and the secrets in %s are sealed with it; %s", path, db.Name(), keyCure)
	}
	// Two regions that start a site at once make two keys; the second one to open the database is
	// refused with ErrOtherKey.
	key = make([]byte, KeySize)
	rand.Read(key)
	return key, os.WriteFile(path, key, 0o600)
}

const keyCure = "copy the file " + KeyFile + " of the data directory of another region, or of a backup, to that place, readable for the daemon alone; if there is none, maas rekey --lost gives up what is sealed"

// explainKey adds the cure to the error of another site's key.
func explainKey(err error, db *store.DB, path string) error {
	if !errors.Is(err, inventory.ErrOtherKey) {
		return err
	}
	return fmt.Errorf("%s: is not the key that the secrets in %s are sealed with; %s", path, db.Name(), keyCure)
}
