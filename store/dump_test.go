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
			"INSERT INTO zone (name, description) VALUES ('z', 'a \"b\" ü')",
			"INSERT INTO resource_pool (name, description) VALUES ('p', '')",
			"INSERT INTO domain (name, external, ttl) VALUES ('d', true, 0)",
			"INSERT INTO fabric (name, description, class_type) VALUES ('f', '', '')",
			"INSERT INTO vlan (fabric_id, vid, name, description, mtu, dhcp, primary_rack, secondary_rack) VALUES (1, 0, '', '', 1500, false, '', ''), (1, 7, '', '', 1500, true, '', '')",
			"UPDATE vlan SET relay_vlan_id = 2 WHERE id = 1",
			`INSERT INTO node (kind, system_id, version, hostname, domain_id, description, owner, zone_id, pool_id, status, architecture, firmware, uuid,
				power_type, power_params, power_state, profile, created, updated)
				VALUES ('machine', 'abc', 1, 'n', 1, '', '', 1, 1, '', '', '', '', '', '{}', '', 'null', 5, 9007199254740993)`,
		} {
			if _, err := tx.Exec(ctx, q); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, "INSERT INTO node_secret (node_id, sealed) VALUES (?, ?)", 1, []byte{0, 1, 255})
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
	want := dump(t, first)
	text := want
	for _, url := range []string{server.NewDatabase(t), sqlite(), server.NewDatabase(t)} {
		if err := store.Restore(t.Context(), url, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		db := open(t, url)
		if text = dump(t, db); text != want {
			t.Errorf("%s: the dump differs:\n%s\nwant\n%s", db.Name(), text, want)
		}
		err := db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			id, err := tx.Insert(ctx, "INSERT INTO zone (name, description) VALUES ('new', '') RETURNING id")
			if id != 2 {
				t.Errorf("%s: new row has ID %d, want 2", db.Name(), id)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
		if err := store.Restore(t.Context(), url, strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "is not empty") {
			t.Errorf("restore over data: %v", err)
		}
	}
}

func TestRestoreRefusesDamage(t *testing.T) {
	db := open(t, "memory:")
	seed(t, db)
	whole := dump(t, db)
	lines := strings.SplitAfter(strings.TrimSuffix(whole, "\n"), "\n")
	for name, text := range map[string]string{
		"empty":        "",
		"other file":   "hello\n",
		"other format": strings.Replace(whole, `"maas_dump":"1"`, `"maas_dump":"2"`, 1),
		"cut short":    strings.Join(lines[:len(lines)-1], ""),
		"row lost":     strings.Join(append(append([]string{}, lines[:len(lines)-3]...), `{"rows":99}`), ""),
		"odd table":    strings.Replace(whole, `"table":"zone"`, `"table":"zone; DROP TABLE node"`, 1),
		"odd column":   strings.Replace(whole, `"name","description"`, `"name","1=1"`, 1),
		"newer schema": strings.Replace(whole, `"schema":`, `"schema":7777`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			url := "sqlite://" + filepath.Join(t.TempDir(), "maas.db")
			if err := store.Restore(t.Context(), url, strings.NewReader(text)); err == nil {
				t.Fatal("restored")
			}
			if rev, err := open(t, url).Revision(t.Context()); rev != 0 || err != nil {
				t.Errorf("left behind revision %d, %v", rev, err)
			}
		})
	}
}

// A dump of an older schema is restored into that and then brought up to date.
func TestRestoreOfOlderSchema(t *testing.T) {
	const old = `{"maas_dump":"1","schema":1}
{"table":"revision","columns":["one","last"]}
[1,7]
{"table":"domain","columns":["id","name","external","ttl"]}
[1,"maas",false,30]
{"rows":2}
`
	url := "sqlite://" + filepath.Join(t.TempDir(), "maas.db")
	if err := store.Restore(t.Context(), url, strings.NewReader(old)); err != nil {
		t.Fatal(err)
	}
	text := dump(t, open(t, url))
	if !strings.Contains(text, `[1,"maas",false,30,"[]",1,false,`) || strings.Contains(text, `"schema":1}`) {
		t.Errorf("restored:\n%s", text)
	}
}

func FuzzRestore(f *testing.F) {
	f.Add("{\"maas_dump\":\"1\",\"schema\":1}\n{\"table\":\"zone\",\"columns\":[\"id\",\"name\",\"description\"]}\n[1,\"a\",\"\"]\n{\"rows\":1}\n")
	f.Add("{\"maas_dump\":\"1\",\"schema\":1}\n[{\"b\":\"AA==\"}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		_ = store.Restore(t.Context(), "memory:", strings.NewReader(text)) // must not panic
	})
}
