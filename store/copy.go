package store

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// CopyTo writes a copy of an SQLite database, as of one moment, to a new file that Open opens.
// Others may write to the database meanwhile. A copy that fails leaves no file behind. Databases of
// other engines have no file: Dump them.
func (db *DB) CopyTo(ctx context.Context, path string) error {
	if _, ok := db.engine.(sqliteEngine); !ok {
		return fmt.Errorf("store: %s: only an SQLite database can be copied as a file; dump it instead", db.name)
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("store: copy to %s: %w", path, os.ErrExist)
	}
	if err := db.vacuumInto(ctx, path); err != nil {
		return errors.Join(fmt.Errorf("store: copy %s to %s: %w", db.name, path, err), removeIfThere(path))
	}
	return nil
}

func (db *DB) vacuumInto(ctx context.Context, path string) error {
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// SQLite fills an empty file that exists. Made by SQLite, other users of the host could read it
	// until its mode is changed.
	empty, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := empty.Close(); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "VACUUM INTO ?", path); err != nil { // reads in one transaction
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
