package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gomaas/maas/cmd/maas/internal/secretfile"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/schema"
)

// restoreCmd is `maas restore`.
type restoreCmd struct {
	stored
	destructive
	File string `arg:"" help:"Output of maas backup: an archive, or a copy of a database." type:"existingfile"`
}

// Run runs the command. A daemon that runs on the data continues with the restored data.
func (c restoreCmd) Run(ctx context.Context, io stdio) (err error) {
	b, err := openBackup(ctx, c.File)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return c.asOwner(func() error { return c.replace(ctx, io, b) })
}

// replace replaces the data and its key with those of a backup.
func (c restoreCmd) replace(ctx context.Context, io stdio, b *backupFile) error {
	url, err := c.url()
	if err != nil {
		return err
	}
	if path, there := databaseFile(url); there {
		if err := c.confirm(io, fmt.Sprintf("Replace all data of %s with what is in %s?", cmp.Or(path, "the database"), c.File)); err != nil {
			return err
		}
	}
	served := c.served(ctx)
	keepKey, undoKey, err := c.placeKey(b.Key, served)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	name, err := c.restore(ctx, b, url)
	if err != nil {
		return fmt.Errorf("restore %s: %w", c.File, errors.Join(err, undoKey()))
	}
	if err := keepKey(); err != nil {
		return fmt.Errorf("restore: the data is restored, its key is not in its place: %w", err)
	}
	fmt.Fprintf(io.out, "%s is as it was when %s was written\n", name, c.File)
	if served {
		fmt.Fprintln(io.out, "the daemon goes on with it")
	}
	return nil
}

// restore replaces the data, or creates the database.
func (c restoreCmd) restore(ctx context.Context, b *backupFile, url string) (name string, err error) {
	open, undo := store.OpenExisting, func() error { return nil }
	switch path, there := databaseFile(url); {
	case path == "": // an empty database has no schema yet
		open = store.Open
	case !there:
		open, undo = store.Open, func() error { return errors.Join(os.Remove(path), removeLeftovers(path)) }
	}
	db, err := open(ctx, url, schema.FS)
	if err != nil {
		return "", err
	}
	err = errors.Join(db.Restore(ctx, b.Site), db.Close())
	if err != nil {
		return "", errors.Join(err, undo())
	}
	return db.Name(), nil
}

// removeLeftovers removes the journal files that SQLite keeps beside a database, which belong to
// the old data.
func removeLeftovers(path string) error {
	var errs []error
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// placeKey writes the backup's key beside the key of the data. keep replaces the old key, which
// stays under another name; undo removes the new one.
func (c restoreCmd) placeKey(key []byte, served bool) (keep, undo func() error, err error) {
	nothing := func() error { return nil }
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, nil, err
	}
	have, err := readKey(c.keyFile())
	switch {
	case err != nil:
		return nil, nil, err
	case key == nil || bytes.Equal(key, have):
		return nothing, nothing, nil
	case served:
		return nil, nil, errors.New("the backup is of another site: its power passwords are sealed with another key, which a running daemon cannot take up; stop the daemon, restore, and start it again")
	}
	fresh := c.keyFile() + ".restored"
	if err := secretfile.Write(fresh, key); err != nil {
		return nil, nil, err
	}
	keep = func() error {
		if have != nil {
			if err := os.Rename(c.keyFile(), c.keyFile()+".before-restore"); err != nil {
				return err
			}
		}
		return os.Rename(fresh, c.keyFile())
	}
	return keep, func() error { return os.Remove(fresh) }, nil
}
