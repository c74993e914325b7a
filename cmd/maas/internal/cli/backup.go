package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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

// hand gives a file to the owner of the data directory: the daemon may run as another user than the
// caller.
func (c stored) hand(path string) error {
	st, err := os.Stat(c.Data)
	if err != nil {
		return err
	}
	owner, known := st.Sys().(*syscall.Stat_t)
	if !known || os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, int(owner.Uid), int(owner.Gid))
}

// handDatabase is hand for the database, if it is a file of the data directory.
func (c stored) handDatabase() error {
	if c.Database != "" {
		return nil
	}
	return c.hand(filepath.Join(c.Data, region.DatabaseFile))
}

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
func (c backupCmd) Run(ctx context.Context, io stdio) error {
	db, _, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	key, err := readKey(c.keyFile())
	if err != nil {
		return err
	}
	err = writeAside(c.File, func(temp string) error {
		if c.SQLite {
			return db.CopyTo(ctx, temp)
		}
		return writeArchive(ctx, temp, db, key)
	})
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	st, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "%s: %d bytes, all of %s\n", c.File, st.Size(), db.Name())
	if c.SQLite && key != nil {
		fmt.Fprintf(io.err, "maas: a copy of the database has no key; keep %s with it, or power passwords cannot be read\n", c.keyFile())
	}
	return nil
}

// readKey reads the key of the secrets. It returns nil if there is none.
func readKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return key, err
}

// writeAside calls write with a file beside path and renames that file to path, so that path is
// either complete or unchanged.
func writeAside(path string, write func(temp string) error) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".maas-backup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	temp := filepath.Join(dir, "file")
	if err := write(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
