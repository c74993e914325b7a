package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

type sqliteEngine struct{}

// A transaction of the writing connection begins IMMEDIATE (see pragmas), so
// that it holds SQLite's write lock from its first statement on.
func (sqliteEngine) begin(context.Context, *sql.Tx) error  { return nil }
func (sqliteEngine) notify(context.Context, *sql.Tx) error { return nil }

// listen does nothing: commits of other processes are found by polling.
func (sqliteEngine) listen(context.Context, *sql.DB, func()) {}

func (sqliteEngine) snapshot(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	return db.BeginTx(ctx, nil)
}

func (sqliteEngine) dialect() dialect {
	return dialect{words: strings.NewReplacer("{{id}}", "INTEGER PRIMARY KEY AUTOINCREMENT", "{{blob}}", "BLOB")}
}

// pragmas make a commit durable (synchronous FULL on a write-ahead log) and
// let readers and the one writer not wait for each other.
const pragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"

func openSQLite(ctx context.Context, path string) (*DB, error) {
	if path == "" {
		return nil, fmt.Errorf("store: sqlite: no file named; write sqlite:///path")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	if err := checkFile(path); err != nil {
		return nil, err
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + pragmas
	write, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %s: %w", path, err), write.Close())
	}
	read.SetMaxOpenConns(max(2, runtime.GOMAXPROCS(0)))
	db := newDB(path, sqliteEngine{}, write, read)
	if err := db.prepareSQLite(ctx); err != nil {
		return nil, errors.Join(explain(path, err), db.Close())
	}
	return db, nil
}

func openMemory(ctx context.Context) (*DB, error) {
	conn, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		return nil, fmt.Errorf("store: memory: %w", err)
	}
	conn.SetMaxOpenConns(1) // each connection would be a database of its own
	db := newDB("memory", sqliteEngine{}, conn, conn)
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// prepareSQLite finds damage before anything is written, then migrates.
func (db *DB) prepareSQLite(ctx context.Context) error {
	var verdict string
	if err := db.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return &OpenError{db.name, "the database is damaged (" + verdict + ")", cureDamage, nil}
	}
	return db.migrate(ctx)
}

const (
	cureDamage = "restore the file from a backup, or move it away to start empty"
	cureAccess = "give the user that runs the program read and write access to the file and its directory"
)

// checkFile finds what SQLite would report as "unable to open database file".
func checkFile(path string) error {
	dir := filepath.Dir(path)
	if st, err := os.Stat(dir); err != nil {
		return &OpenError{path, "the directory " + dir + " cannot be used: " + cause(err), "make it, or name another file", err}
	} else if !st.IsDir() {
		return &OpenError{path, dir + " is not a directory", "name another file", nil}
	}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return &OpenError{path, "cannot be read: " + cause(err), cureAccess, err}
	case st.IsDir():
		return &OpenError{path, "is a directory", "name a file in it, such as " + filepath.Join(path, "maas.db"), nil}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return &OpenError{path, "cannot be opened for writing: " + cause(err), cureAccess, err}
	}
	return f.Close()
}

// cause is the reason without the path, which the message has already.
func cause(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// explain turns an SQLite error at opening into one line with a cure.
func explain(path string, err error) error {
	var open *OpenError
	var lite *sqlite.Error
	if errors.As(err, &open) || !errors.As(err, &lite) {
		return err
	}
	switch lite.Code() & 0xff {
	case sqlite3.SQLITE_NOTADB:
		return &OpenError{path, "is not an SQLite database", cureDamage, err}
	case sqlite3.SQLITE_CORRUPT:
		return &OpenError{path, "the database is damaged", cureDamage, err}
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH:
		return &OpenError{path, "cannot be written", cureAccess, err}
	case sqlite3.SQLITE_FULL:
		return &OpenError{path, "the disk is full", "make room on it", err}
	case sqlite3.SQLITE_IOERR:
		return &OpenError{path, "the disk reports an error", "look at the system's log, and restore the file from a backup if it is damaged", err}
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return &OpenError{path, "is locked by another program", "stop the other program", err}
	}
	return fmt.Errorf("store: %s: %w", path, err)
}

// retryable tells whether the same transaction may succeed when run again.
func retryable(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		code := lite.Code() & 0xff
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
	}
	return pgRetryable(err)
}
