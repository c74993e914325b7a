package cli

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/schema"
)

// An archive is a ZIP file with these entries.
const (
	siteEntry = "site.jsonl" // output of store.DB.Dump
	keyEntry  = "secret.key" // key of the secrets in it
)

// maxKey bounds what is read of an archive's key.
const maxKey = 4096

// writeArchive writes a dump of db and the key, if there is one.
func writeArchive(ctx context.Context, f io.Writer, db *store.DB, key []byte) error {
	z := zip.NewWriter(f)
	if key != nil {
		w, err := z.Create(keyEntry)
		if err != nil {
			return err
		}
		if _, err := w.Write(key); err != nil {
			return err
		}
	}
	w, err := z.Create(siteEntry)
	if err != nil {
		return err
	}
	if err := db.Dump(ctx, w); err != nil {
		return err
	}
	return z.Close()
}

// backupFile is an open backup.
type backupFile struct {
	Key   []byte    // nil if the backup has none
	Site  io.Reader // input of store.DB.Restore
	Close func() error
}

// openBackup opens a backup: an archive, a copy of an SQLite database, or a bare dump.
func openBackup(ctx context.Context, path string) (*backupFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	magic := make([]byte, 16)
	n, err := f.ReadAt(magic, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, f.Close())
	}
	var b *backupFile
	err = nil
	switch magic = magic[:n]; {
	case bytes.HasPrefix(magic, []byte("PK\x03\x04")):
		b, err = openArchive(f)
	case bytes.Equal(magic, []byte("SQLite format 3\x00")):
		b, err = openCopy(ctx, f)
	default:
		b = &backupFile{Site: f, Close: f.Close}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, f.Close()))
	}
	return b, nil
}

// openArchive opens the entries of an archive. The dump is read as a stream, since it can be large.
func openArchive(f *os.File) (*backupFile, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	z, err := zip.NewReader(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("the archive is damaged: %w", err)
	}
	b := new(backupFile)
	if b.Key, err = archivedKey(z); err != nil {
		return nil, fmt.Errorf("the archive is damaged: %s: %w", keyEntry, err)
	}
	site, err := z.Open(siteEntry)
	if err != nil {
		return nil, fmt.Errorf("the archive has no %s; it is not a backup of a site", siteEntry)
	}
	b.Site, b.Close = site, func() error { return errors.Join(site.Close(), f.Close()) }
	return b, nil
}

// archivedKey returns the key in an archive, or nil.
func archivedKey(z *zip.Reader) (key []byte, err error) {
	r, err := z.Open(keyEntry)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return io.ReadAll(io.LimitReader(r, maxKey))
}

// openCopy dumps a copy of a database. It works on another copy, since the schema may need an
// update before the dump.
func openCopy(ctx context.Context, f *os.File) (b *backupFile, err error) {
	dir, err := os.MkdirTemp("", "maas-restore-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "maas.db")
	dump, err := dumpCopy(ctx, f, path)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &backupFile{Site: dump, Close: func() error { return errors.Join(dump.Close(), f.Close(), os.RemoveAll(dir)) }}, nil
}

// dumpCopy dumps a database file that nothing else has open.
func dumpCopy(ctx context.Context, f *os.File, path string) (_ *os.File, err error) {
	own, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(own, f); err != nil {
		return nil, errors.Join(err, own.Close())
	}
	if err := own.Close(); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, "sqlite://"+path, schema.FS)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	dump, err := os.OpenFile(path+".dump", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := db.Dump(ctx, dump); err != nil {
		return nil, errors.Join(err, dump.Close())
	}
	if _, err := dump.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, dump.Close())
	}
	return dump, nil
}
