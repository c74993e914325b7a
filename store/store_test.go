package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/internal/storetest"
	"github.com/gomaas/maas/store/pgtest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(t testing.TB) string { return "memory:" })
}

// SQLite's own name of a database in memory makes no file.
func TestMemoryBySQLitesName(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, url := range []string{"sqlite::memory:", "sqlite://:memory:"} {
		if name := open(t, url).Name(); name != "memory" {
			t.Errorf("%s opened %s", url, name)
		}
	}
	if _, err := os.Stat(":memory:"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file :memory: (%v)", err)
	}
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t testing.TB) string { return "sqlite://" + filepath.Join(t.TempDir(), "maas.db") })
}

func TestPostgres(t *testing.T) {
	server := pgtest.Start(t)
	storetest.Run(t, server.NewDatabase)
}

func open(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url, storetest.Schema())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("text.db", strings.Repeat("this is no database. ", 100))
	write("plain", "")
	damage(t, path("damaged.db"))
	for _, tt := range []struct{ name, url, want string }{
		{"no scheme", "maas.db", `store: "maas.db" is not a database; write sqlite:///path or postgres://user@host/name`},
		{"scheme", "mysql://x", `store: scheme "mysql" is not known; write sqlite:///path or postgres://user@host/name`},
		{"no directory", "sqlite://" + path("none/maas.db"), "store: " + path("none/maas.db") + ": the directory " + path("none") + " cannot be used: no such file or directory; make it, or name another file"},
		{"file as directory", "sqlite://" + path("plain/maas.db"), "store: " + path("plain/maas.db") + ": " + path("plain") + " is not a directory; name another file"},
		{"directory", "sqlite://" + dir, "store: " + dir + ": is a directory; name a file in it, such as " + path("maas.db")},
		{"not a database", "sqlite://" + path("text.db"), "store: " + path("text.db") + ": is not an SQLite database; restore the file from a backup, or move it away to start empty"},
		{"damaged", "sqlite://" + path("damaged.db"), "store: " + path("damaged.db") + ": the database is damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			db, err := store.Open(t.Context(), tt.url, storetest.Schema())
			if err == nil {
				db.Close()
				t.Fatal("opened")
			}
			if !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
		})
	}
}

// damage writes a database and spoils the middle of it.
func damage(t *testing.T, path string) {
	t.Helper()
	db, err := store.Open(t.Context(), "sqlite://"+path, storetest.Schema())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(data); i += 512 {
		copy(data[i:], strings.Repeat("x", 64))
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	url := "sqlite://" + filepath.Join(t.TempDir(), "maas.db")
	db := open(t, url)
	err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO schema_version (version_id, is_applied) VALUES (99999, 1)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	_, err = store.Open(t.Context(), url, storetest.Schema())
	if !errors.Is(err, store.ErrNewerSchema) || !strings.Contains(err.Error(), "its schema is version 99999") {
		t.Errorf("err = %v, want ErrNewerSchema", err)
	}
}

// Another process is played by a second DB of the same file: its commits
// reach a Watch of the first, without a gap and in order.
func TestWatchSeesOtherProcesses(t *testing.T) {
	url := "sqlite://" + filepath.Join(t.TempDir(), "maas.db")
	watcher, writer := open(t, url), open(t, url)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		for i := range 5 {
			_ = writer.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
				tx.Changed("thing", int64(i+1), store.Created)
				return nil
			})
		}
	}()
	var next int64 = 1
	for c, err := range watcher.Watch(ctx, 0) {
		if err != nil || c.Rev != next || c.ID != next {
			t.Fatalf("got %+v, %v; want revision %d", c, err, next)
		}
		if next++; next > 5 {
			return
		}
	}
	t.Fatalf("the Watch ended at revision %d", next)
}

func TestClosedDatabase(t *testing.T) {
	db := open(t, "memory:")
	db.Close()
	if err := db.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	for range db.Watch(t.Context(), 0) {
		t.Error("a closed database yields changes")
	}
	if _, err := db.Revision(t.Context()); err == nil {
		t.Error("a closed database answers")
	}
}

// A Watch whose connection the server cuts hears of everything all the same.
func TestWatchSurvivesLostConnections(t *testing.T) {
	url := pgtest.Start(t).NewDatabase(t)
	watcher, writer := open(t, url), open(t, url)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	const n = 40
	go func() {
		for i := range n {
			_ = writer.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
				tx.Changed("thing", int64(i+1), store.Created)
				return nil
			})
			if i%10 == 5 {
				_ = writer.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
					_, err := tx.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
					return err
				})
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	next := int64(1)
	for c, err := range watcher.Watch(ctx, 0) {
		if err != nil {
			continue // told of, and gone over
		}
		if c.Rev != next {
			t.Fatalf("revision %d, want %d", c.Rev, next)
		}
		if next++; next > n {
			return
		}
	}
	t.Fatalf("the Watch ended at revision %d", next)
}
