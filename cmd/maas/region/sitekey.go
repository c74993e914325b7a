package region

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/secretfile"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// KeySize is the size of the key of secrets in bytes: AES-256 takes 32.
const KeySize = 32

// lostCure is the cure for a database that has disappeared. Beginning anew without being asked
// would show an empty site, and its machines would be strangers.
const lostCure = "restore a backup with maas restore FILE, or remove %s to begin a new site"

// CheckData returns an error if dir has the key of a site whose database, a file, is missing or
// empty. For other databases, Open looks at what is in them.
func CheckData(dir, database string) error {
	key := filepath.Join(dir, KeyFile)
	if _, err := os.Lstat(key); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	path, isFile := strings.CutPrefix(databaseURL(dir, database), "sqlite://")
	if !isFile {
		return nil
	}
	path, _, _ = strings.Cut(path, "?")
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: is missing, and its key %s is not; "+lostCure, path, key, key)
	case err == nil && st.Size() == 0:
		return fmt.Errorf("%s: is empty, and its key %s is not; "+lostCure, path, key, key)
	}
	return nil
}

// databaseURL returns the URL of the database in dir, unless another one is configured.
func databaseURL(dir, configured string) string {
	if configured != "" {
		return configured
	}
	if whole, err := filepath.Abs(dir); err == nil {
		dir = whole
	}
	return "sqlite://" + filepath.Join(dir, DatabaseFile)
}

// siteKey reads the key of the secrets in the database. The first region of a site creates it; a
// further region must be given a copy, since a second key would make the first region's secrets
// unreadable for it. The caller calls keep once the database is marked with the key.
func siteKey(ctx context.Context, db *store.DB, path string) (key []byte, keep func() error, err error) {
	kept := func() error { return nil }
	marked, err := inventory.KeyMarked(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	key, err = secretfile.Read(path)
	switch {
	case err == nil && len(key) != KeySize:
		return nil, nil, fmt.Errorf("%s: has %d bytes instead of %d; restore it from a backup, or copy that of another region", path, len(key), KeySize)
	case err == nil && !marked:
		return key, kept, refuseEmpty(ctx, db, path)
	case !errors.Is(err, fs.ErrNotExist):
		return key, kept, err
	}
	// Without the file the site is new, or has lost it, or its first start ended before keep.
	fresh := path + ".new"
	keep = func() error { return os.Rename(fresh, path) }
	if marked {
		if key, err := secretfile.Read(fresh); err == nil {
			if fits, err := inventory.FitsKey(ctx, db, key); err != nil || fits {
				return key, keep, err
			}
		}
		return nil, nil, fmt.Errorf("%s: is missing, and the secrets in %s are sealed with it; %s", path, db.Name(), keyCure)
	}
	// The key has its name only once the database is marked with it: a key beside a database
	// without a mark means that the data is lost. Two regions that start a site at once make two
	// keys; the second one to open the database is refused with ErrOtherKey.
	key = make([]byte, KeySize)
	rand.Read(key)
	return key, keep, secretfile.Write(fresh, key)
}

// refuseEmpty returns an error for a database that was never written to, since its key exists.
func refuseEmpty(ctx context.Context, db *store.DB, path string) error {
	revision, err := db.Revision(ctx)
	if err != nil || revision > 0 {
		return err // data without secrets, such as a dump of a site without a key
	}
	return fmt.Errorf("%s: is empty, and the key %s of its site exists; "+lostCure, db.Name(), path, path)
}

const keyCure = "copy the file " + KeyFile + " of the data directory of another region, or of a backup, to that place, readable for the daemon alone; if there is none, maas rekey --lost gives up what is sealed"

// explainKey adds the cure to the error of another site's key.
func explainKey(err error, db *store.DB, path string) error {
	if !errors.Is(err, inventory.ErrOtherKey) {
		return err
	}
	return fmt.Errorf("%s: is not the key that the secrets in %s are sealed with; %s", path, db.Name(), keyCure)
}
