package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/internal/storetest"
)

// onBoth runs a test on an empty database of each engine.
func onBoth(t *testing.T, run func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { run(t, "sqlite://"+filepath.Join(t.TempDir(), "maas.db")) })
	t.Run("postgres", func(t *testing.T) { run(t, server.Postgres(t).NewDatabase(t)) })
}

func addZone(ctx context.Context, db *store.DB, name string) error {
	return db.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		id, err := tx.Insert(ctx, "INSERT INTO zone (name, description) VALUES (?, '') RETURNING id", name)
		tx.Changed("zone", id, store.Created)
		return err
	})
}

// rows is the part of a dump that a restore keeps whatever the revision.
func rows(text string) string {
	var keep []string
	skip := false
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, `{"table"`) {
			skip = strings.HasPrefix(line, `{"table":"revision"`) || strings.HasPrefix(line, `{"table":"change"`)
		}
		if !skip && !strings.HasPrefix(line, `{"rows"`) {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep, "\n")
}

// A restore replaces the data while others write and watch: they go on, and learn of it.
func TestRestoreWhileRunning(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		seed(t, db)
		backup := dump(t, db)
		for i := range 20 {
			ok(t, addZone(t.Context(), db, fmt.Sprint("later-", i)))
		}
		from, err := db.Revision(t.Context())
		ok(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { // another process, as it were
			other := open(t, url)
			for c, err := range other.Watch(ctx, from) {
				if !errors.Is(err, store.ErrCompacted) {
					t.Errorf("watched %+v, %v; want ErrCompacted", c, err)
				}
			}
			if ctx.Err() != nil {
				t.Error("the watch did not hear of the restore")
			}
		})
		ok(t, open(t, url).Restore(t.Context(), strings.NewReader(backup)))
		wg.Wait()
		if got := dump(t, db); rows(got) != rows(backup) {
			t.Errorf("restored:\n%s\nwant\n%s", got, backup)
		}
		after, err := db.Revision(t.Context())
		ok(t, err)
		if after <= from {
			t.Errorf("revision went from %d to %d", from, after)
		}
		ok(t, addZone(t.Context(), db, "new"))
		for c, err := range db.Watch(t.Context(), after) {
			if err != nil || c.Rev != after+1 {
				t.Errorf("next change %+v, %v; want revision %d", c, err, after+1)
			}
			break
		}
	})
}

// A dump that is damaged anywhere, or too new, leaves the data as it is.
func TestRestoreKeepsDataOnFailure(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		seed(t, db)
		backup := dump(t, db)
		ok(t, addZone(t.Context(), db, "mine"))
		before := dump(t, db)
		lines := strings.SplitAfter(strings.TrimSuffix(backup, "\n"), "\n")
		for cut := range lines {
			err := db.Restore(t.Context(), strings.NewReader(strings.Join(lines[:cut], "")))
			if err == nil {
				t.Errorf("a dump of %d lines of %d was restored", cut, len(lines))
			}
		}
		err := db.Restore(t.Context(), strings.NewReader(strings.Replace(backup, `"schema":`, `"schema":9`, 1)))
		if !errors.Is(err, store.ErrNewerSchema) {
			t.Errorf("newer schema: %v", err)
		}
		if err := db.Restore(t.Context(), strings.NewReader(strings.ReplaceAll(backup, `"a \"b\" ü"`, `null`))); err == nil {
			t.Error("a row without a description was restored")
		}
		if got := dump(t, db); got != before {
			t.Errorf("the data was changed:\n%s\nwas\n%s", got, before)
		}
	})
}

// A dump of an older schema is brought up to date before it takes the place of the data.
func TestRestoreOlderWhileRunning(t *testing.T) {
	const old = `{"maas_dump":"2","schema":1}
{"table":"revision","columns":["one","last"]}
[1,7]
{"table":"zone","columns":["id","name","description"]}
[5,"old","from before"]
{"rows":2}
`
	onBoth(t, func(t *testing.T, url string) {
		db := open(t, url)
		seed(t, db)
		ok(t, db.Restore(t.Context(), strings.NewReader(old)))
		if text := dump(t, db); !strings.Contains(text, `[5,"old","from before","[]"]`) || strings.Contains(text, `[1,"z"`) {
			t.Errorf("restored:\n%s", text)
		}
		if err := db.Restore(t.Context(), strings.NewReader(strings.Replace(old, `"rows":2`, `"rows":3`, 1))); err == nil {
			t.Error("a damaged dump of an older schema was restored")
		}
	})
}

// OpenExisting neither makes a database nor brings one up to date.
func TestOpenExisting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "maas.db")
	if _, err := store.OpenExisting(t.Context(), "sqlite://"+path, storetest.Schema()); err == nil || !strings.Contains(err.Error(), path+": is not there; name the database of a site") {
		t.Errorf("err = %v", err)
	}
	ok(t, store.OpenVersion(t.Context(), "sqlite://"+path, storetest.Schema(), 1))
	if _, err := store.OpenExisting(t.Context(), "sqlite://"+path, storetest.Schema()); !errors.Is(err, store.ErrOlderSchema) {
		t.Errorf("err = %v, want ErrOlderSchema", err)
	}
	open(t, "sqlite://"+path).Close()
	db, err := store.OpenExisting(t.Context(), "sqlite://"+path, storetest.Schema())
	ok(t, err)
	ok(t, db.Close())
}

// A copy made while others write is a database of its own, complete and sound.
func TestCopyTo(t *testing.T) {
	dir := t.TempDir()
	db := open(t, "sqlite://"+filepath.Join(dir, "maas.db"))
	seed(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if err := addZone(ctx, db, fmt.Sprint(i)); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	copied := filepath.Join(dir, "copy.db")
	ok(t, open(t, "sqlite://"+filepath.Join(dir, "maas.db")).CopyTo(t.Context(), copied))
	cancel()
	wg.Wait()
	c, err := store.OpenExisting(t.Context(), "sqlite://"+copied, storetest.Schema())
	ok(t, err)
	defer c.Close()
	if text := dump(t, c); !strings.Contains(text, `9007199254740993`) {
		t.Errorf("copied:\n%s", text)
	}
	if err := db.CopyTo(t.Context(), copied); err == nil {
		t.Error("an existing file was written over")
	}
	if err := db.CopyTo(t.Context(), filepath.Join(dir, "none", "copy.db")); err == nil {
		t.Error("copied into a directory that is not there")
	}
	if err := open(t, "memory:").Restore(t.Context(), strings.NewReader("")); err == nil {
		t.Error("nothing was restored")
	}
}

// A database of a build from before the first release is left alone: its tables have the same names.
func TestRefusesFormerDatabase(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		db, err := store.Open(t.Context(), url, nil)
		ok(t, err)
		ok(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, "CREATE TABLE goose_db_version (version_id BIGINT NOT NULL)")
			return err
		}))
		ok(t, db.Close())
		for _, open := range []func(context.Context, string, fs.FS) (*store.DB, error){store.Open, store.OpenExisting} {
			_, err := open(t.Context(), url, storetest.Schema())
			const want = "it was made by a build from before the first release, whose schema is another; make an archive of it with the program that runs with it, and restore that into a new database with this one"
			if !errors.Is(err, store.ErrFormerSchema) || !strings.HasSuffix(err.Error(), ": "+want) {
				t.Errorf("err = %v", err)
			}
		}
	})
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
