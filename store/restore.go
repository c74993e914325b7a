package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// restoreInto fills the empty database that url names with a dump, all or nothing, and brings it up
// to date if the dump is of an older schema.
func restoreInto(ctx context.Context, url string, schema fs.FS, in *dumpReader, version int64) error {
	db, err := openAt(ctx, url, schema, version)
	if err != nil {
		return err
	}
	err = db.Update(ctx, func(ctx context.Context, tx *Tx) error { return tx.restoreEmpty(ctx, in) })
	if err != nil {
		return errors.Join(fmt.Errorf("store: restore into %s: %w", db.name, err), db.Close())
	}
	if err := db.migrate(ctx, 0); err != nil {
		return errors.Join(err, db.Close())
	}
	return db.Close()
}

// Restore replaces all data with a dump of this schema or an older one, in one transaction: readers
// see all of the old data or all of the new, and a damaged dump leaves the old data. Every Watch,
// in any process, then ends with ErrCompacted: its reader has to read everything again.
func (db *DB) Restore(ctx context.Context, r io.Reader) error {
	in, schema, err := openDump(r)
	if err != nil {
		return err
	}
	have, err := db.version(ctx)
	if err != nil {
		return fmt.Errorf("store: %s: restore: %w", db.name, err)
	}
	if schema < have {
		return db.restoreOlder(ctx, in, schema)
	}
	if schema > have {
		why := fmt.Sprintf("the dump is of schema version %d, this program knows up to %d", schema, have)
		return &OpenError{db.name, why, "restore it with the newer program that wrote it", ErrNewerSchema}
	}
	err = db.Update(ctx, func(ctx context.Context, tx *Tx) error { return tx.restoreOver(ctx, in) })
	if err != nil {
		return fmt.Errorf("store: restore into %s: %w", db.name, err)
	}
	db.broadcast()
	return nil
}

// restoreOlder brings a dump up to date in a database of its own first.
func (db *DB) restoreOlder(ctx context.Context, in *dumpReader, schema int64) (err error) {
	dir, err := os.MkdirTemp("", "maas-restore-")
	if err != nil {
		return fmt.Errorf("store: restore: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	url := "sqlite://" + filepath.Join(dir, "maas.db")
	if err := restoreInto(ctx, url, db.schema, in, schema); err != nil {
		return err
	}
	staged, err := Open(ctx, url, db.schema)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, staged.Close()) }()
	r, w := io.Pipe()
	defer r.Close() // ends the dump if its reader gave up
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(staged.Dump(ctx, w))
	}()
	err = db.Restore(ctx, r)
	r.Close()
	<-done
	return err
}

// openDump reads the head of a dump.
func openDump(r io.Reader) (in *dumpReader, schema int64, err error) {
	in = newDumpReader(r)
	var head dumpHead
	if err := in.next(&head); err != nil || head.Dump == "" {
		return nil, 0, errors.New("store: restore: this is not a dump; name a file that a backup wrote")
	}
	if head.Schema == nil || *head.Schema < 0 {
		return nil, 0, errors.New("store: restore: the dump does not tell its schema; it is damaged")
	}
	switch {
	case head.Dump == dumpFormat:
		return in, *head.Schema, nil
	case head.Dump == formerFormat && *head.Schema == formerSchema:
		return in, 1, nil
	case head.Dump == formerFormat:
		return nil, 0, fmt.Errorf("store: restore: the dump has schema version %d of the builds before the first release; restore it with the last of those, at version %d, and back it up again", *head.Schema, formerSchema)
	}
	return nil, 0, fmt.Errorf("store: restore: the dump is in format %s, this program knows %s; use a newer one", head.Dump, dumpFormat)
}

// Dumps of builds from before the first release have this format. The last of their schema versions
// has the tables of version 1 of today's.
const (
	formerFormat = "1"
	formerSchema = 17
)

// formerTables are the names that tables had before the first release, by which dumps of those
// builds still call them.
var formerTables = map[string]string{"duty": "leader_lease"}

// restoreEmpty loads a dump into a database that nothing was ever put into.
func (tx *Tx) restoreEmpty(ctx context.Context, in *dumpReader) error {
	var last int64
	if err := tx.Get(ctx, "SELECT last FROM revision WHERE one = 1", nil, &last); err != nil {
		return err
	}
	if last != 0 {
		return errors.New("the database is not empty; name a new one")
	}
	if _, err := tx.Exec(ctx, "DELETE FROM revision"); err != nil {
		return err
	}
	_, err := tx.load(ctx, in)
	return err
}

// restoreOver replaces all data. The change feed goes on above every revision that a reader may
// have seen.
func (tx *Tx) restoreOver(ctx context.Context, in *dumpReader) error {
	var last, generation int64
	if err := tx.Get(ctx, "SELECT last, generation FROM revision WHERE one = 1", nil, &last, &generation); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, tx.db.engine.dialect().deferChecks); err != nil {
		return err
	}
	tables, err := tx.tables(ctx)
	if err != nil {
		return err
	}
	for _, table := range slices.Backward(tables) {
		if _, err := tx.Exec(ctx, "DELETE FROM "+quoted(table)); err != nil {
			return err
		}
	}
	restored, err := tx.load(ctx, in)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM change"); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "UPDATE revision SET last = ?, generation = ?", max(last, restored)+1, generation+1); err != nil {
		return err
	}
	return tx.db.engine.notify(ctx, tx.tx)
}

// load inserts the rows of a dump and returns its last revision.
func (tx *Tx) load(ctx context.Context, in *dumpReader) (revision int64, err error) {
	if _, err := tx.Exec(ctx, tx.db.engine.dialect().deferChecks); err != nil {
		return 0, err
	}
	rows, err := tx.restoreTables(ctx, in)
	if err != nil {
		return 0, err
	}
	if rows != in.foot.Rows {
		return 0, fmt.Errorf("the dump is damaged: it should have %d rows and has %d", in.foot.Rows, rows)
	}
	if err := tx.Get(ctx, "SELECT last FROM revision WHERE one = 1", nil, &revision); err != nil {
		return 0, errors.New("the dump is damaged: it has no revision")
	}
	return revision, tx.raiseSequences(ctx)
}

// raiseSequences makes new IDs begin above those that were inserted.
func (tx *Tx) raiseSequences(ctx context.Context) error {
	query := tx.db.engine.dialect().sequences
	if query == "" {
		return nil
	}
	var statements []string
	err := tx.Query(ctx, query, nil, func(scan func(...any) error) error {
		var table, column string
		err := scan(&table, &column)
		t, c := quoted(table), quoted(column)
		statements = append(statements, fmt.Sprintf("SELECT setval(pg_get_serial_sequence('%s', '%s'), GREATEST((SELECT MAX(%s) FROM %s), 1))",
			strings.ReplaceAll(t, "'", "''"), strings.ReplaceAll(column, "'", "''"), c, t))
		return err
	})
	for _, statement := range statements {
		if err == nil {
			_, err = tx.Exec(ctx, statement)
		}
	}
	return err
}

func (tx *Tx) restoreTables(ctx context.Context, in *dumpReader) (rows int64, err error) {
	tables, err := tx.tables(ctx)
	if err != nil {
		return 0, err
	}
	insert := ""
	for {
		table, values, done, err := in.line()
		switch {
		case err != nil:
			return rows, fmt.Errorf("line %d: %w", in.lines, err)
		case done:
			return rows, nil
		case table != nil:
			if to, former := formerTables[table.Table]; former {
				table.Table = to
			}
			if insert, err = insertInto(*table, tables); err != nil {
				return rows, fmt.Errorf("line %d: %w", in.lines, err)
			}
		case insert == "":
			return rows, fmt.Errorf("line %d: a row before any table", in.lines)
		default:
			if _, err := tx.Exec(ctx, insert, values...); err != nil {
				return rows, fmt.Errorf("line %d: %w", in.lines, err)
			}
			rows++
		}
	}
}

// insertInto makes the statement for a table's rows. Names come from the dump: the table has to be
// one of the database's, and all names are quoted.
func insertInto(t dumpTable, tables []string) (string, error) {
	if !slices.Contains(tables, t.Table) || len(t.Columns) == 0 {
		return "", fmt.Errorf("table %q is not known", t.Table)
	}
	var columns []string
	for _, c := range t.Columns {
		if strings.Contains(c, "?") { // it would be taken for an argument
			return "", fmt.Errorf("column %q is not known", c)
		}
		columns = append(columns, quoted(c))
	}
	return "INSERT INTO " + quoted(t.Table) + " (" + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ")", nil
}
