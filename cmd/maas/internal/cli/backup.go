package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/daemon"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/schema"
)

// stored holds the flags of commands that use a site's database directly, whether or not a daemon
// runs on it.
type stored struct {
	Data     string `help:"Data directory of the site (default ${default})." default:"${default_data}" placeholder:"DIR"`
	Database string `help:"Database, if it is not the file in the data directory: postgres://user@host/name or sqlite:///path." placeholder:"URL"`
}

// url returns the database URL for store.Open.
func (c stored) url() (string, error) {
	if c.Database != "" {
		return c.Database, nil
	}
	path, err := filepath.Abs(filepath.Join(c.Data, region.DatabaseFile))
	return "sqlite://" + path, err
}

// open opens an existing database and returns its URL too.
func (c stored) open(ctx context.Context) (db *store.DB, url string, err error) {
	if url, err = c.url(); err != nil {
		return nil, "", err
	}
	if path, there := databaseFile(url); path != "" && !there {
		return nil, url, fmt.Errorf("there is no site in %s: it has no %s; name the data directory of one with --data", filepath.Dir(path), filepath.Base(path))
	}
	db, err = store.OpenExisting(ctx, url, schema.FS)
	return db, url, err
}

// databaseFile returns the file of a database URL and whether it exists. The path is empty for a
// database that is not a file.
func databaseFile(url string) (path string, there bool) {
	path, ok := strings.CutPrefix(url, "sqlite://")
	if !ok {
		return "", true
	}
	_, err := os.Stat(path)
	return path, !errors.Is(err, fs.ErrNotExist)
}

func (c stored) keyFile() string { return filepath.Join(c.Data, region.KeyFile) }

// served reports whether a daemon runs on the data directory.
func (c stored) served(ctx context.Context) bool {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "unix", daemon.SocketPath(c.Data))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// backupCmd is `maas backup`, which reads the database itself so that it works without a daemon.
type backupCmd struct {
	stored
	File   string `arg:"" help:"File to write. An existing file is replaced when the backup is complete." type:"path"`
	SQLite bool   `name:"sqlite" help:"Write a copy of the SQLite database instead of the portable archive."`
}

// Run runs the command. The daemon may run meanwhile: a backup reads one snapshot.
func (c backupCmd) Run(ctx context.Context, std stdio) error {
	// The caller may write where the owner of the data may not, and the other way around.
	out, err := beside(c.File)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer out.discard()
	var name string
	var key []byte
	err = c.asOwner(func() (err error) {
		name, key, err = c.write(ctx, out.File)
		return err
	})
	if err != nil {
		return err
	}
	size, err := out.keep()
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	fmt.Fprintf(std.out, "%s: %d bytes, all of %s\n", c.File, size, name)
	if c.SQLite && key != nil {
		fmt.Fprintf(std.err, "maas: a copy of the database has no key; keep %s with it, or power passwords cannot be read\n", c.keyFile())
	}
	return nil
}

// write writes the backup.
func (c backupCmd) write(ctx context.Context, out *os.File) (name string, key []byte, err error) {
	db, _, err := c.open(ctx)
	if err != nil {
		return "", nil, err
	}
	defer db.Close()
	if key, err = readKey(c.keyFile()); err != nil {
		return "", nil, err
	}
	if c.SQLite {
		err = c.copyTo(ctx, db, out)
	} else {
		err = writeArchive(ctx, out, db, key)
	}
	if err != nil {
		err = fmt.Errorf("backup: %w", err)
	}
	return db.Name(), key, err
}

// copyTo writes a copy of the SQLite database. The engine makes it by name, and so in a directory
// of the owner of the data.
func (c backupCmd) copyTo(ctx context.Context, db *store.DB, out *os.File) (err error) {
	dir, err := os.MkdirTemp(c.Data, ".maas-backup-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "file")
	if err := db.CopyTo(ctx, path); err != nil {
		return err
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(out, in)
	return err
}

// readKey reads the key of the secrets. It returns nil if there is none.
func readKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return key, err
}

// aside is a new file that takes the place of another one when it is complete.
type aside struct {
	*os.File
	path string
}

// beside opens a new file in the directory of path, that only its owner can read.
func beside(path string) (*aside, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".maas-backup-")
	if err != nil {
		return nil, err
	}
	return &aside{f, path}, nil
}

// keep gives the file its path, so that path is either complete or unchanged.
func (a *aside) keep() (size int64, err error) {
	st, err := a.Stat()
	if err != nil {
		return 0, err
	}
	if err := errors.Join(a.Sync(), a.Close()); err != nil {
		return 0, err
	}
	if err := os.Rename(a.Name(), a.path); err != nil {
		return 0, err
	}
	d, err := os.Open(filepath.Dir(a.path))
	if err != nil {
		return 0, err
	}
	return st.Size(), errors.Join(d.Sync(), d.Close())
}

// discard removes the file, unless it was kept.
func (a *aside) discard() {
	_ = a.Close()
	_ = os.Remove(a.Name())
}
