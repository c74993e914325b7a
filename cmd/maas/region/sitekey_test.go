package region

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/pgtest"
)

// start opens a region in a directory and closes it.
func start(t *testing.T, dir, database string) error {
	t.Helper()
	r, err := Open(t.Context(), Config{Dir: dir, Database: database, Kinds: power.NewRegistry(power.Manual())})
	if err == nil {
		err = r.Close()
	}
	return err
}

// A database that is missing or empty beside its key is refused with the cure, and nothing is made in its place.
func TestALostDatabaseIsRefused(t *testing.T) {
	for name, lose := range map[string]func(db string) error{
		"missing": os.Remove, "empty": func(db string) error { return os.Truncate(db, 0) },
		"a directory's": func(db string) error { return errors.Join(os.Remove(db), os.Symlink(db+".none", db)) },
	} {
		dir := t.TempDir()
		ok(t, start(t, dir, ""))
		db := filepath.Join(dir, DatabaseFile)
		ok(t, lose(db))
		for range 2 { // the first refusal makes no database that the second start would take
			err := start(t, dir, "")
			if err == nil || !strings.Contains(err.Error(), "maas restore") || !strings.Contains(err.Error(), "remove "+filepath.Join(dir, KeyFile)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if st, err := os.Stat(db); err == nil && st.Size() > 0 {
			t.Errorf("%s: a database was made", name)
		}
		os.Remove(db)
		ok(t, os.Remove(filepath.Join(dir, KeyFile)))
		ok(t, start(t, dir, "")) // the second cure
	}
}

// Another database that was never written to is refused, too, beside the key of a site.
func TestANewDatabaseBesideAKeyIsRefused(t *testing.T) {
	for name, database := range map[string]func(t *testing.T) string{
		"file":     func(t *testing.T) string { return "sqlite://" + filepath.Join(t.TempDir(), "other.db") },
		"postgres": func(t *testing.T) string { return pgtest.Start(t).NewDatabase(t) },
	} {
		t.Run(name, func(t *testing.T) {
			url, first, other := database(t), t.TempDir(), t.TempDir()
			ok(t, start(t, first, ""))
			key, err := os.ReadFile(filepath.Join(first, KeyFile))
			ok(t, err)
			ok(t, os.WriteFile(filepath.Join(other, KeyFile), key, 0o600))
			for range 2 {
				if err := start(t, other, url); err == nil || !strings.Contains(err.Error(), "maas restore") {
					t.Errorf("%s: %v", name, err)
				}
			}
			ok(t, os.Remove(filepath.Join(other, KeyFile)))
			ok(t, start(t, other, url))
		})
	}
}

// A first start that ends at any moment is completed by the next one.
func TestAFirstStartThatWasInterrupted(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, KeyFile)
	// Before the database is marked, a key that is cut short, as a power failure leaves it, is made again.
	ok(t, os.WriteFile(key+".new", []byte("cut"), 0o600))
	ok(t, start(t, dir, ""))
	if _, err := os.Stat(key + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the new key is still beside its place")
	}
	// After it, the key has its name still to get.
	ok(t, os.Rename(key, key+".new"))
	r, err := Open(t.Context(), Config{Dir: dir, Kinds: power.NewRegistry(power.Manual())})
	ok(t, err)
	ok(t, r.Close())
	if _, err := os.Stat(key); err != nil {
		t.Error(err)
	}
	// The key of another site in its place is not taken.
	ok(t, os.Remove(key))
	ok(t, os.WriteFile(key+".new", make([]byte, KeySize), 0o600))
	if _, err := Open(t.Context(), Config{Dir: dir, Kinds: power.NewRegistry(power.Manual())}); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("another key: %v", err)
	}
}

// A key that other users can read is refused.
func TestAKeyThatOthersCanRead(t *testing.T) {
	dir := t.TempDir()
	ok(t, start(t, dir, ""))
	key := filepath.Join(dir, KeyFile)
	ok(t, os.Chmod(key, 0o644))
	if err := start(t, dir, ""); err == nil || !strings.Contains(err.Error(), "chmod 600 "+key) {
		t.Error(err)
	}
}
