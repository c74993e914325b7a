package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// PostgreSQL numbers the arguments of a query, SQLite takes the question marks.
func TestArgumentsAreNumbered(t *testing.T) {
	pg, lite := new(pgEngine).dialect(), sqliteEngine{}.dialect()
	for query, want := range map[string]string{
		"SELECT 1":                           "SELECT 1",
		"SELECT ? ":                          "SELECT $1 ",
		"INSERT INTO t VALUES (?, ?, ?)":     "INSERT INTO t VALUES ($1, $2, $3)",
		strings.Repeat("?", 11):              "$1$2$3$4$5$6$7$8$9$10$11",
		"UPDATE t SET a = ? WHERE a = ? -- ": "UPDATE t SET a = $1 WHERE a = $2 -- ",
	} {
		if got := pg.bind(query); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
		if got := lite.bind(query); got != query {
			t.Errorf("SQLite: %q became %q", query, got)
		}
	}
}

// A dump is loaded in an order in which what a row refers to exists.
func TestTablesAfterThoseTheyReferTo(t *testing.T) {
	for name, test := range map[string]struct {
		names  []string
		refers map[string][]string
		want   []string
	}{
		"none":       {},
		"unrelated":  {[]string{"a", "b"}, nil, []string{"a", "b"}},
		"a chain":    {[]string{"a", "b", "c"}, map[string][]string{"a": {"b"}, "b": {"c"}}, []string{"c", "b", "a"}},
		"a diamond":  {[]string{"a", "b", "c", "d"}, map[string][]string{"a": {"c", "b"}, "b": {"d"}, "c": {"d"}}, []string{"d", "b", "c", "a"}},
		"itself":     {[]string{"a", "b"}, map[string][]string{"a": {"a"}}, []string{"a", "b"}},
		"a circle":   {[]string{"a", "b"}, map[string][]string{"a": {"b"}, "b": {"a"}}, []string{"b", "a"}},
		"elsewhere":  {[]string{"a"}, map[string][]string{"a": {"pg_catalog"}}, []string{"a"}},
		"in a shade": {[]string{"z", "y"}, map[string][]string{"z": {"y"}}, []string{"y", "z"}},
	} {
		if got := referredFirst(test.names, test.refers); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// Names of tables and columns come from the dump, so they cannot be statements.
func TestNamesOfADumpAreQuoted(t *testing.T) {
	known := []string{"user", `odd"name`}
	for _, test := range []struct {
		table dumpTable
		want  string // "" = refused
	}{
		{dumpTable{Table: "user", Columns: []string{"id", "order"}}, `INSERT INTO "user" ("id", "order") VALUES (?, ?)`},
		{dumpTable{Table: `odd"name`, Columns: []string{`a"; DROP TABLE "user`}}, `INSERT INTO "odd""name" ("a""; DROP TABLE ""user") VALUES (?)`},
		{dumpTable{Table: "user; DROP TABLE user", Columns: []string{"id"}}, ""},
		{dumpTable{Table: "user"}, ""},
		{dumpTable{Table: "user", Columns: []string{"a?"}}, ""},
	} {
		got, err := insertInto(test.table, known)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%+v: %q, %v, want %q", test.table, got, err, test.want)
		}
	}
}

func TestPasswordsAreNotNames(t *testing.T) {
	for dsn, want := range map[string]string{
		"postgres://maas:hunter2@db.example/maas":                 "postgres://maas@db.example/maas",
		"postgres://maas@db.example/maas?password=hunter2":        "postgres://maas@db.example/maas",
		"postgres:///maas?host=/run/postgresql&sslmode=disable":   "postgres:///maas?host=%2Frun%2Fpostgresql&sslmode=disable",
		"postgres://maas:%zz@db.example/hunter2":                  "postgres database",
		"postgres://maas:hunter2@db.example:5432,other:5432/maas": "postgres database",
	} {
		if got := redact(dsn); strings.Contains(got, "hunter2") || got != want && want != "postgres database" {
			t.Errorf("%s: %s, want %s", dsn, got, want)
		}
	}
}

// Errors of both engines become one kind each; a conflict of transactions is tried again.
func TestErrorsOfPostgres(t *testing.T) {
	for code, test := range map[string]struct {
		kind  ConstraintKind
		again bool
	}{
		"23505": {Unique, false}, "23503": {ForeignKey, false}, "23001": {ForeignKey, false}, "23514": {Check, false}, "23502": {Check, false},
		"40001": {0, true}, "40P01": {0, true}, "42601": {0, false},
	} {
		err := fmt.Errorf("insert: %w", &pgconn.PgError{Code: code, ConstraintName: "zone_name"})
		var broken *ConstraintError
		if errors.As(translate(err), &broken) != (test.kind != 0) || broken != nil && (broken.Kind != test.kind || broken.Detail != "zone_name") {
			t.Errorf("%s: %+v", code, broken)
		}
		if broken != nil && (errors.Is(broken, fs.ErrExist) != (test.kind == Unique) || !errors.Is(broken, err)) {
			t.Errorf("%s: %v is not what it wraps", code, broken)
		}
		if retryable(err) != test.again {
			t.Errorf("%s: tried again: %v", code, !test.again)
		}
	}
	if err := translate(sql.ErrNoRows); err != sql.ErrNoRows || retryable(err) {
		t.Errorf("another error became %v", err)
	}
}

func TestConstraintsInWords(t *testing.T) {
	for kind, want := range map[ConstraintKind]string{
		Unique: "store: exists already (zone.name)", ForeignKey: "store: refers to an object that is not there, or is still referred to (zone.name)", Check: "store: value not allowed (zone.name)",
	} {
		if got := (&ConstraintError{Kind: kind, Detail: "zone.name"}).Error(); got != want {
			t.Errorf("%d: %q, want %q", kind, got, want)
		}
	}
}

// The record of a transaction's changes has one line for each object.
func TestChangesMerge(t *testing.T) {
	type step struct {
		id int64
		op Op
	}
	for name, test := range map[string]struct {
		steps []step
		want  string
	}{
		"updated twice":            {[]step{{1, Updated}, {1, Updated}}, "[1 update]"},
		"created, then updated":    {[]step{{1, Created}, {1, Updated}}, "[1 create]"},
		"updated, then deleted":    {[]step{{1, Updated}, {1, Deleted}}, "[1 delete]"},
		"created, then deleted":    {[]step{{1, Created}, {2, Updated}, {1, Deleted}}, "[2 update]"},
		"in order of first change": {[]step{{2, Updated}, {1, Created}, {2, Deleted}}, "[2 delete 1 create]"},
	} {
		tx := new(Tx)
		for _, s := range test.steps {
			tx.Changed("zone", s.id, s.op)
		}
		tx.Changed("rack", 1, Updated) // another kind with the same ID
		var got []string
		for _, c := range tx.changes[:len(tx.changes)-1] {
			got = append(got, fmt.Sprint(c.ID, " ", c.Op))
		}
		if fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
}

// Dumps of unreleased builds have a table under its former name.
func TestFormerNamesOfTables(t *testing.T) {
	db, err := Open(t.Context(), "memory:", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(t.Context(), func(ctx context.Context, tx *Tx) error {
		_, err := tx.Exec(ctx, "CREATE TABLE leader_lease (id INTEGER PRIMARY KEY, name TEXT)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var dump strings.Builder
	if err := db.Dump(t.Context(), &dump); err != nil {
		t.Fatal(err)
	}
	former := strings.Replace(dump.String(), `"leader_lease"`, `"duty"`, 1)
	if former == dump.String() {
		t.Fatalf("the table is not in the dump:\n%s", former)
	}
	for name, text := range map[string]string{"former": former, "present": dump.String()} {
		if err := db.Restore(t.Context(), strings.NewReader(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	unknown := strings.Replace(dump.String(), `"leader_lease"`, `"nobodys"`, 1)
	if err := db.Restore(t.Context(), strings.NewReader(unknown)); err == nil || !strings.Contains(err.Error(), `table "nobodys" is not known`) {
		t.Errorf("an unknown table: %v", err)
	}
}
