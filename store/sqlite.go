package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

type sqliteEngine struct{}

// begin does nothing: a transaction of the writing connection begins IMMEDIATE (see pragmas) and
// holds SQLite's write lock from its first statement on.
func (sqliteEngine) begin(context.Context, *sql.Tx) error  { return nil }
func (sqliteEngine) notify(context.Context, *sql.Tx) error { return nil }

// listen does nothing: commits of other processes are found by polling.
func (sqliteEngine) listen(context.Context, *sql.DB, func()) {}

func (sqliteEngine) snapshot(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	return db.BeginTx(ctx, nil)
}

// sqliteDialect is made once, since each statement asks for it.
var sqliteDialect = dialect{
	local:       true,
	now:         "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
	words:       strings.NewReplacer("{{id}}", "INTEGER PRIMARY KEY AUTOINCREMENT", "{{blob}}", "BLOB"),
	deferChecks: "PRAGMA defer_foreign_keys = 1",
	hasTable:    "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?)",
	tables:      `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`,
	references:  `SELECT m.name, f."table" FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`,
}

func (sqliteEngine) dialect() dialect { return sqliteDialect }

// pragmas make a commit durable (synchronous FULL on a write-ahead log) and let readers and the one
// writer not wait for each other.
const pragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"

func openSQLite(ctx context.Context, path string, schema fs.FS, version int64) (*DB, error) {
	if path == "" {
		return nil, fmt.Errorf("store: sqlite: no file named; write sqlite:///path")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	if err := checkFile(path, version == asItIs); err != nil {
		return nil, err
	}
	// The path is escaped: a question mark in it would begin the pragmas.
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + pragmas
	write, err := sql.Open("sqlite", dsn+"&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	// SQLite has one writer. With one connection, writers wait in the program, in order, and none
	// is refused with SQLITE_BUSY by another of this process.
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn+"&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %s: %w", path, err), write.Close())
	}
	// Readers see the state of their start while a write runs, as the log is write-ahead.
	read.SetMaxOpenConns(max(2, runtime.GOMAXPROCS(0)))
	db := newDB(path, schema, sqliteEngine{}, write, read)
	if err := db.prepareSQLite(ctx, version); err != nil {
		return nil, errors.Join(explain(path, err), db.Close())
	}
	return db, nil
}

func openMemory(ctx context.Context, schema fs.FS, version int64) (*DB, error) {
	conn, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		return nil, fmt.Errorf("store: memory: %w", err)
	}
	conn.SetMaxOpenConns(1) // each connection would be a database of its own
	db := newDB("memory", schema, sqliteEngine{}, conn, conn)
	if err := db.migrate(ctx, version); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// prepareSQLite finds damage before anything is written, then migrates.
func (db *DB) prepareSQLite(ctx context.Context, version int64) error {
	var verdict string
	if err := db.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("store: %s: check: %w", db.name, err)
	}
	if verdict != "ok" { // one line for each thing that is wrong
		return &OpenError{db.name, "the database is damaged (" + strings.Join(strings.Fields(verdict), " ") + ")", cureDamage, nil}
	}
	return db.migrate(ctx, version)
}

const (
	cureDamage = "restore the file from a backup, or move it away to start empty"
	cureAccess = "give the user that runs the program read and write access to the file and its directory"
)

// checkFile finds what SQLite would report as "unable to open database file".
func checkFile(path string, mustExist bool) error {
	dir := filepath.Dir(path)
	if st, err := os.Stat(dir); err != nil {
		return &OpenError{path, "the directory " + dir + " cannot be used: " + cause(err), "make it, or name another file", err}
	} else if !st.IsDir() {
		return &OpenError{path, dir + " is not a directory", "name another file", nil}
	}
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && mustExist:
		return &OpenError{path, "is not there", "name the database of a site", err}
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return &OpenError{path, "cannot be read: " + cause(err), cureAccess, err}
	case st.IsDir():
		return &OpenError{path, "is a directory", "name a file in it, such as " + filepath.Join(path, "maas.db"), nil}
	}
	// The file holds hashes and sealed secrets, so other users of the host must not read it. SQLite
	// gives the files of its log the same mode.
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

// explain turns an SQLite error that is about the file into one line with a cure; others pass as
// they are.
func explain(path string, err error) error {
	var known *OpenError
	var lite *sqlite.Error
	if err == nil || errors.As(err, &known) || !errors.As(err, &lite) {
		return err
	}
	if e, ok := fileErrors[lite.Code()&0xff]; ok {
		return &OpenError{path, e.why, e.cure, err}
	}
	return err
}

var fileErrors = map[int]struct{ why, cure string }{
	sqlite3.SQLITE_NOTADB:   {"is not an SQLite database", cureDamage},
	sqlite3.SQLITE_CORRUPT:  {"the database is damaged", cureDamage},
	sqlite3.SQLITE_READONLY: {"cannot be written", cureAccess},
	sqlite3.SQLITE_PERM:     {"cannot be written", cureAccess},
	sqlite3.SQLITE_CANTOPEN: {"cannot be opened", cureAccess},
	sqlite3.SQLITE_FULL:     {"the disk is full", "make room on it"},
	sqlite3.SQLITE_IOERR:    {"cannot be read or written: the disk is full or fails", "make room, look at the system's log, and restore a backup if the file is damaged"},
	sqlite3.SQLITE_BUSY:     {"is locked by another program", "stop the other program"},
	sqlite3.SQLITE_LOCKED:   {"is locked by another program", "stop the other program"},
}

// lost is false: a file does not move.
func (sqliteEngine) lost(error) bool { return false }

// retryable reports whether the same transaction may succeed when it is run again.
func retryable(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		code := lite.Code() & 0xff // the upper bytes hold the extended code
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
	}
	return pgRetryable(err)
}
