package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gomaas/maas/store"
)

func steps(n int) fstest.MapFS {
	all := fstest.MapFS{}
	for i, sql := range []string{"CREATE TABLE thing (name TEXT)", "ALTER TABLE thing ADD COLUMN colour TEXT", "ALTER TABLE thing ADD COLUMN size TEXT"}[:n] {
		all["000"+string(rune('1'+i))+"_step.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\n\n" + sql + ";\n")}
	}
	return all
}

// Before a step of the schema a copy is made, which the former program opens; one is kept.
func TestCopyBeforeUpgrade(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "a site?.db")
	former := path + store.FormerSuffix
	open := func(path string, n int, want store.Upgrade) *store.DB {
		t.Helper()
		db, err := store.Open(ctx, "sqlite://"+path, steps(n))
		ok(t, err)
		if got := db.Upgraded(); got != want {
			t.Errorf("upgrade %+v, want %+v", got, want)
		}
		return db
	}
	name := func(db *store.DB) (name string) {
		t.Helper()
		ok(t, db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			return tx.Get(ctx, "SELECT name FROM thing", nil, &name)
		}))
		return name
	}
	set := func(db *store.DB, sql string) {
		t.Helper()
		ok(t, db.Update(ctx, func(ctx context.Context, tx *store.Tx) error { _, err := tx.Exec(ctx, sql); return err }))
	}
	db := open(path, 1, store.Upgrade{To: 1})
	set(db, "INSERT INTO thing (name) VALUES ('first')")
	ok(t, db.Close())
	ok(t, os.Chmod(path, 0o640))
	ok(t, os.WriteFile(former+".part", []byte("of a start that was cut off"), 0o600))

	db = open(path, 2, store.Upgrade{From: 1, To: 2, Copy: former})
	set(db, "UPDATE thing SET name = 'second'")
	ok(t, db.Close())
	if st, err := os.Stat(former); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("copy: %v, %v", st, err)
	}
	db = open(path, 2, store.Upgrade{})
	ok(t, db.Close())
	db = open(former, 1, store.Upgrade{})
	if got := name(db); got != "first" {
		t.Errorf("the copy has %q", got)
	}
	ok(t, db.Close())

	ok(t, open(path, 3, store.Upgrade{From: 2, To: 3, Copy: former}).Close())
	db = open(former, 2, store.Upgrade{})
	if got := name(db); got != "second" {
		t.Errorf("the later copy has %q", got)
	}
	ok(t, db.Close())
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*upgrade*"))
	if ok(t, err); len(left) != 1 {
		t.Errorf("files: %q", left)
	}
}

// If no copy can be made, the schema stays.
func TestNoUpgradeWithoutCopy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "site.db")
	db, err := store.Open(t.Context(), "sqlite://"+path, steps(1))
	ok(t, err)
	ok(t, db.Close())
	ok(t, os.MkdirAll(filepath.Join(path+store.FormerSuffix, "in the way"), 0o700))
	var refused *store.OpenError
	if _, err := store.Open(t.Context(), "sqlite://"+path, steps(2)); !errors.As(err, &refused) || !strings.Contains(err.Error(), "nothing was changed") {
		t.Fatalf("err = %v", err)
	}
	db, err = store.Open(t.Context(), "sqlite://"+path, steps(1))
	ok(t, err)
	ok(t, db.Close())
}
