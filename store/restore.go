package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Restore fills the empty database that url names with what Dump wrote, all
// or nothing, and brings it up to date if the dump is of an older schema.
// Revisions go on where the dump ends.
func Restore(ctx context.Context, url string, r io.Reader) error {
	in, schema, err := openDump(r)
	if err != nil {
		return err
	}
	return restoreInto(ctx, url, in, schema)
}

func restoreInto(ctx context.Context, url string, in *dumpReader, schema int64) error {
	db, err := openAt(ctx, url, schema)
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

// Restore puts what Dump wrote, of this schema or an older one, in the place
// of all data, in one transaction: others see all of the old or all of the
// new, and if anything is wrong with the dump the old data stays. Every Watch,
// in whichever process, then ends with ErrCompacted, which tells its reader
// to read all anew.
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
	if err := restoreInto(ctx, url, in, schema); err != nil {
		return err
	}
	staged, err := Open(ctx, url)
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
	if head.Dump != dumpFormat {
		return nil, 0, fmt.Errorf("store: restore: the dump is in format %s, this program knows %s; use a newer one", head.Dump, dumpFormat)
	}
	if head.Schema < 1 {
		return nil, 0, errors.New("store: restore: the dump does not tell its schema; it is damaged")
	}
	return in, head.Schema, nil
}

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

// restoreOver replaces all data. The change feed begins anew, above every
// revision that anybody has seen.
func (tx *Tx) restoreOver(ctx context.Context, in *dumpReader) error {
	var last, generation int64
	if err := tx.Get(ctx, "SELECT last, generation FROM revision WHERE one = 1", nil, &last, &generation); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, tx.db.engine.dialect().deferChecks); err != nil {
		return err
	}
	for _, table := range slices.Backward(dumped) {
		if _, err := tx.Exec(ctx, "DELETE FROM "+table); err != nil {
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
	for _, statement := range tx.db.engine.dialect().afterLoad(dumped) {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return 0, err
		}
	}
	return revision, nil
}

func (tx *Tx) restoreTables(ctx context.Context, in *dumpReader) (rows int64, err error) {
	insert := ""
	for {
		table, values, done, err := in.line()
		switch {
		case err != nil:
			return rows, fmt.Errorf("line %d: %w", in.lines, err)
		case done:
			return rows, nil
		case table != nil:
			if insert, err = insertInto(*table); err != nil {
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

// insertInto makes the statement for a table's rows. Names come from the
// dump, so nothing but known tables and plain column names is accepted.
func insertInto(t dumpTable) (string, error) {
	if !slices.Contains(dumped, t.Table) || len(t.Columns) == 0 {
		return "", fmt.Errorf("table %q is not known", t.Table)
	}
	for _, c := range t.Columns {
		if c == "" || strings.Trim(c, "abcdefghijklmnopqrstuvwxyz_") != "" {
			return "", fmt.Errorf("column %q is not known", c)
		}
	}
	return "INSERT INTO " + t.Table + " (" + strings.Join(t.Columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(t.Columns)-1) + ")", nil
}
