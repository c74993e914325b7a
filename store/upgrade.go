package store

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Upgrade is a change of the schema's version. The zero value is none.
type Upgrade struct {
	From, To int64 // From is 0 if the database was new
	// Copy is the file with the database as it was before, which the program of that time opens. It
	// is "" for a new database, and for engines other than SQLite.
	Copy string
}

// Upgraded returns what Open did to the schema.
func (db *DB) Upgraded() Upgrade { return db.upgrade }

// FormerSuffix is the ending of the file beside an SQLite database that keeps its state from before
// the last change of its schema.
const FormerSuffix = ".before-upgrade"

// keepFormer copies an SQLite database before its schema is changed from a version, and returns the
// path: schemas never go back, so only a copy leads back to the former program.
func (db *DB) keepFormer(ctx context.Context, from int64) (string, error) {
	if _, ok := db.engine.(sqliteEngine); !ok || from == 0 || db.read == db.write {
		return "", nil // of another engine, new, or in memory
	}
	st, err := os.Stat(db.name)
	if err != nil {
		return "", fmt.Errorf("store: %s: %w", db.name, err)
	}
	path := db.name + FormerSuffix
	// The former copy is replaced only by a complete one.
	unfinished := path + ".part"
	err = removeIfThere(unfinished)
	if err == nil {
		err = db.vacuumInto(ctx, unfinished)
	}
	if err == nil {
		err = os.Chmod(unfinished, st.Mode().Perm())
	}
	if err == nil {
		err = os.Rename(unfinished, path)
	}
	if err != nil {
		why := fmt.Sprintf("a copy before the change of its schema cannot be written to %s: %v", path, err)
		return "", errors.Join(&OpenError{db.name, why, "make room on the disk, or correct the rights of the directory; nothing was changed", err}, removeIfThere(unfinished))
	}
	return path, nil
}
