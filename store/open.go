package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	name   string // without secrets, for messages
	schema fs.FS  // nil = none
	engine engine
	write  *sql.DB       // one connection on SQLite
	read   *sql.DB       // may be write
	turn   chan struct{} // holds one for the write transaction that runs

	upgrade  Upgrade               // of the schema, by Open
	writeErr atomic.Pointer[error] // of the last transaction that writes; nil = it was committed

	mu      sync.Mutex
	wake    chan struct{} // closed and replaced at every commit
	closed  chan struct{}
	looked  looked // of the last look for changes
	stop    func() // ends the listener; nil = none runs
	started bool
}

// engine covers the differences between SQLite and PostgreSQL.
type engine interface {
	// begin is run first in every write transaction.
	begin(ctx context.Context, tx *sql.Tx) error
	// notify is run last in a write transaction that changed something.
	notify(ctx context.Context, tx *sql.Tx) error
	// listen calls wake when another process may have committed, until ctx ends.
	listen(ctx context.Context, db *sql.DB, wake func())
	// snapshot opens a read transaction that sees one state.
	snapshot(ctx context.Context, db *sql.DB) (*sql.Tx, error)
	// lost reports whether an error means that the server behind the connections is gone or may not
	// be written. No transaction that begins later uses a connection to it.
	lost(err error) bool
	dialect() dialect
}

// Open opens the database that url names and brings its schema up to date:
//
//	sqlite:///path/to/file   a file, made if it does not exist
//	postgres://...           as PostgreSQL's own tools write it
//	memory:                  in memory, for tests and trials
//
// The files NUMBER_NAME.sql at the root of schema are migrations as goose takes them ("-- +goose
// Up" before the statements); {{id}} in them stands for the engine's spelling of a growing primary
// key and {{blob}} for its type of bytes. If schema is nil, the database has the tables of the
// change feed and those that its user makes.
//
// The schema is only ever changed forward. If a newer version has changed it, Open refuses with
// ErrNewerSchema and leaves it alone.
func Open(ctx context.Context, url string, schema fs.FS) (*DB, error) {
	return openAt(ctx, url, schema, 0)
}

// OpenExisting opens a database that exists, as it is: it makes nothing and changes no schema, so
// that a tool may look at the database of a program that runs. It refuses a schema other than the
// one this program knows.
func OpenExisting(ctx context.Context, url string, schema fs.FS) (*DB, error) {
	return openAt(ctx, url, schema, asItIs)
}

// asItIs in the place of a version means not to migrate.
const asItIs = -1

// openAt opens a database and migrates it no further than to a version; 0 = the newest.
func openAt(ctx context.Context, url string, schema fs.FS, version int64) (*DB, error) {
	scheme, rest, ok := strings.Cut(url, ":")
	if !ok {
		return nil, fmt.Errorf("store: %q is not a database; write sqlite:///path or postgres://user@host/name", url)
	}
	switch scheme {
	case "sqlite":
		// Three slashes name an absolute path, two a path relative to the working directory.
		if path := strings.TrimPrefix(rest, "//"); path != inMemory {
			return openSQLite(ctx, path, schema, version)
		}
		return openMemory(ctx, schema, version)
	case "memory":
		return openMemory(ctx, schema, version)
	case "postgres", "postgresql":
		return openPostgres(ctx, url, schema, version)
	}
	return nil, fmt.Errorf("store: scheme %q is not known; write sqlite:///path or postgres://user@host/name", scheme)
}

// inMemory is SQLite's own name of a database in memory. Taken as a path it would be a file that is
// called so.
const inMemory = ":memory:"

func newDB(name string, schema fs.FS, e engine, write, read *sql.DB) *DB {
	return &DB{name: name, schema: schema, engine: e, write: write, read: read, turn: make(chan struct{}, 1), wake: make(chan struct{}), closed: make(chan struct{})}
}

// Name names the database for people, without its password.
func (db *DB) Name() string { return db.name }

// Close ends all Watches and closes the database. Transactions that run are waited for.
func (db *DB) Close() error {
	db.mu.Lock()
	select {
	case <-db.closed:
		db.mu.Unlock()
		return nil
	default:
	}
	// Watches end by this channel, before the connections that they read from are closed.
	close(db.closed)
	stop := db.stop
	db.mu.Unlock()
	if stop != nil {
		stop()
	}
	if db.read == db.write { // as in memory and on PostgreSQL
		return db.write.Close()
	}
	return errors.Join(db.read.Close(), db.write.Close())
}
