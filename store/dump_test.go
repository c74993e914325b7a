package store_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/store"
)

// seed puts rows of every kind of column, and forward references, into db.
func seed(t *testing.T, db *store.DB) {
	t.Helper()
	err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for _, q := range []string{
			`INSERT INTO zone (name, description) VALUES ('z', 'a "b" ü')`,
			"INSERT INTO node (zone_id, external, updated) VALUES (1, true, 5), (1, false, 9007199254740993)",
			"UPDATE node SET parent_id = 2 WHERE id = 1", // a row that comes before the one it refers to
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "INSERT INTO a_secret (node_id, sealed) VALUES (?, ?)", 1, []byte{0, 1, 255})
		tx.Changed("machine", 1, store.Created)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func dump(t *testing.T, db *store.DB) string {
	t.Helper()
	var b bytes.Buffer
	if err := db.Dump(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A site moves from engine to engine and back without a difference, and new
// rows get new IDs there.
func TestDumpMovesBetweenEngines(t *testing.T) {
	server := server.Postgres(t)
	sqlite := func() string { return "sqlite://" + filepath.Join(t.TempDir(), "maas.db") }
	first := open(t, sqlite())
	seed(t, first)
	text := dump(t, first)
	want := rows(text)
	for _, url := range []string{server.NewDatabase(t), sqlite(), server.NewDatabase(t)} {
		db := open(t, url)
		ok(t, db.Restore(t.Context(), strings.NewReader(text)))
		if text = dump(t, db); rows(text) != want {
			t.Errorf("%s: the dump differs:\n%s\nwant\n%s", db.Name(), rows(text), want)
		}
		err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			id, err := tx.Insert(ctx, "INSERT INTO zone (name, description) VALUES ('new', '') RETURNING id")
			if id != 2 {
				t.Errorf("%s: new row has ID %d, want 2", db.Name(), id)
			}
			if err == nil {
				_, err = tx.Exec(ctx, "DELETE FROM zone WHERE id = ?", id)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// Tables that an embedder makes beside the schema are in a dump, whatever they are called and whatever
// they refer to, and a restore fills them again.
func TestDumpHasTablesOfAnEmbedder(t *testing.T) {
	onBoth(t, func(t *testing.T, url string) {
		make := func(db *store.DB) {
			ok(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				for _, q := range []string{
					`CREATE TABLE "Rack Unit" (zone_id BIGINT NOT NULL REFERENCES zone (id), "order" DOUBLE PRECISION, note TEXT)`,
					"CREATE TABLE a_cable (id BIGINT PRIMARY KEY, node_id BIGINT NOT NULL REFERENCES node (id))",
				} {
					if _, err := tx.Exec(ctx, q); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		db := open(t, url)
		seed(t, db)
		make(db)
		ok(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO "Rack Unit" VALUES (1, 1.5, NULL), (1, 2, 'top')`)
			if err == nil {
				_, err = tx.Exec(ctx, "INSERT INTO a_cable VALUES (7, 2)")
			}
			return err
		}))
		want := dump(t, db)
		for _, line := range []string{`{"table":"Rack Unit","columns":["zone_id","order","note"]}`, `[1,1.5,null]`, `[7,2]`} {
			if !strings.Contains(want, line+"\n") {
				t.Errorf("the dump lacks %s:\n%s", line, want)
			}
		}
		other := open(t, "sqlite://"+filepath.Join(t.TempDir(), "other.db"))
		if err := other.Restore(t.Context(), strings.NewReader(want)); err == nil || !strings.Contains(err.Error(), `table "Rack Unit" is not known`) {
			t.Errorf("restored without the table: %v", err)
		}
		make(other)
		ok(t, other.Restore(t.Context(), strings.NewReader(want)))
		if got := dump(t, other); rows(got) != rows(want) {
			t.Errorf("restored:\n%s\nwant\n%s", got, want)
		}
	})
}

// A database without a schema has the change feed and is dumped, too.
func TestNoSchema(t *testing.T) {
	db, err := store.Open(t.Context(), "memory:", nil)
	ok(t, err)
	defer db.Close()
	ok(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, "CREATE TABLE thing (name TEXT NOT NULL)")
		tx.Changed("thing", 1, store.Created)
		return err
	}))
	text := dump(t, db)
	if !strings.HasPrefix(text, `{"maas_dump":"2","schema":0}`) || !strings.Contains(text, `"thing"`) {
		t.Errorf("dump:\n%s", text)
	}
	ok(t, db.Restore(t.Context(), strings.NewReader(text)))
}

func TestRestoreRefusesDamage(t *testing.T) {
	db := open(t, "memory:")
	seed(t, db)
	whole := dump(t, db)
	lines := strings.SplitAfter(strings.TrimSuffix(whole, "\n"), "\n")
	for name, text := range map[string]string{
		"empty":        "",
		"other file":   "hello\n",
		"other format": strings.Replace(whole, `"maas_dump":"2"`, `"maas_dump":"3"`, 1),
		"cut short":    strings.Join(lines[:len(lines)-1], ""),
		"row lost":     strings.Join(append(append([]string{}, lines[:len(lines)-3]...), `{"rows":99}`), ""),
		"odd table":    strings.Replace(whole, `"table":"zone"`, `"table":"zone; DROP TABLE node"`, 1),
		"odd column":   strings.Replace(whole, `"name","description"`, `"name","1=1"`, 1),
		"newer schema": strings.Replace(whole, `"schema":`, `"schema":7777`, 1),
		"no schema":    strings.Replace(whole, `,"schema":2`, "", 1),
		"unreleased":   strings.Replace(whole, `"maas_dump":"2","schema":2`, `"maas_dump":"1","schema":16`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, "memory:")
			if err := db.Restore(t.Context(), strings.NewReader(text)); err == nil {
				t.Fatal("restored")
			}
			if rev, err := db.Revision(t.Context()); rev != 0 || err != nil {
				t.Errorf("left behind revision %d, %v", rev, err)
			}
		})
	}
}

func FuzzRestore(f *testing.F) {
	f.Add("{\"maas_dump\":\"2\",\"schema\":2}\n{\"table\":\"zone\",\"columns\":[\"id\",\"name\",\"description\"]}\n[1,\"a\",\"\"]\n{\"rows\":1}\n")
	f.Add("{\"maas_dump\":\"2\",\"schema\":1}\n[{\"b\":\"AA==\"}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		_ = open(t, "memory:").Restore(t.Context(), strings.NewReader(text)) // must not panic
	})
}
