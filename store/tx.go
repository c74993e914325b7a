package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Tx is a transaction. It is used by one goroutine.
type Tx struct {
	db       *DB
	tx       *sql.Tx
	writes   bool
	changes  []Change
	changed  map[object]int // places in changes
	prepared map[string]*prepared
	rollback []func()
	last     func(context.Context, []Change) error
	revision int64 // of the last change, once it is published
	wrote    bool  // a statement was run that can write
}

type txKey struct{ db *DB }

// Update runs f in a write transaction and commits it if f returns nil. Write transactions run one
// after the other. If ctx belongs to a transaction of db that is running, f joins it and the outer
// one commits. f is given a ctx to pass on for that; it is run again if the database asks for it,
// so it must have no other effects.
func (db *DB) Update(ctx context.Context, f func(ctx context.Context, tx *Tx) error) error {
	if outer, ok := ctx.Value(txKey{db}).(*Tx); ok {
		if !outer.writes {
			return ErrReadOnly
		}
		return f(ctx, outer)
	}
	lost := 0
	for attempt := 0; ; attempt++ {
		committing := false
		err := db.update(ctx, f, &committing)
		switch {
		case ctx.Err() != nil:
		case retryable(err) && attempt < 9:
			// Longer each time, for writers of other processes that run into each other.
			time.Sleep(time.Duration(attempt+1) * 5 * time.Millisecond)
			continue
		// After a lost commit it is not known whether the changes were made.
		case db.engine.lost(err) && !committing && lost < len(lostPauses) && pause(ctx, lostPauses[lost]):
			lost++
			continue
		}
		err = explain(db.name, err)
		if db.failedWrite(err) {
			db.writeErr.Store(&err)
		}
		return err
	}
}

// WriteError returns the error of the last transaction that had something to write, if it failed by
// the disk or the server: reads go on when a disk is full. It is nil after one that was committed.
func (db *DB) WriteError() error {
	if err := db.writeErr.Load(); err != nil {
		return *err
	}
	return nil
}

// failedWrite reports whether an error of Update is a fault of the database, and not of its caller.
func (db *DB) failedWrite(err error) bool {
	var file *OpenError
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &file), db.engine.lost(err):
		return true
	case errors.As(err, &pg):
		// Classes of PostgreSQL's appendix A: insufficient resources, system errors, and the
		// read-only transactions of a standby.
		return strings.HasPrefix(pg.Code, "53") || strings.HasPrefix(pg.Code, "58") || pg.Code == "25006"
	}
	return false
}

// lostPauses are the pauses before a transaction is run again whose server was lost. Their sum is
// short, since a server that is away for long is to be reported.
var lostPauses = [...]time.Duration{0, 50 * time.Millisecond, 250 * time.Millisecond, 700 * time.Millisecond}

// pause waits, and reports whether ctx has not ended meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (db *DB) update(ctx context.Context, f func(context.Context, *Tx) error, committing *bool) (err error) {
	// Waiting here and not for a connection ends with ctx, and the order is that of arrival.
	select {
	case db.turn <- struct{}{}:
		defer func() { <-db.turn }()
	case <-ctx.Done():
		return fmt.Errorf("store: %s: begin: %w", db.name, ctx.Err())
	}
	inner, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("store: %s: begin: %w", db.name, err)
	}
	tx := &Tx{db: db, tx: inner, writes: true}
	done := false
	defer func() {
		if !done { // an error, or a panic on its way up
			_ = inner.Rollback()
			for _, undo := range tx.rollback {
				undo()
			}
		}
	}()
	if err := db.engine.begin(ctx, inner); err != nil {
		return fmt.Errorf("store: %s: begin: %w", db.name, err)
	}
	if err := f(context.WithValue(ctx, txKey{db}, tx), tx); err != nil {
		return err
	}
	if tx.last != nil && len(tx.changes) > 0 {
		if err := tx.last(context.WithValue(ctx, txKey{db}, tx), slices.Clone(tx.changes)); err != nil {
			return err
		}
	}
	// Last, so that the row of the revision counter is locked for as short a time as possible.
	if err := tx.publish(ctx); err != nil {
		return err
	}
	*committing = true
	if err := inner.Commit(); err != nil {
		return fmt.Errorf("store: %s: commit: %w", db.name, translate(err))
	}
	done = true
	if tx.wrote {
		db.writeErr.Store(nil)
	}
	if len(tx.changes) > 0 {
		if committed, ok := ctx.Value(committedKey{}).(func(int64)); ok {
			committed(tx.revision)
		}
		db.broadcast()
	}
	return nil
}

type committedKey struct{}

// OnCommit returns a context with which each Update that changes something calls f after its
// commit, with the revision of the last change. As a rule f runs before a Watch of this process
// reports the change. It must return soon.
func OnCommit(ctx context.Context, f func(revision int64)) context.Context {
	return context.WithValue(ctx, committedKey{}, f)
}

// View runs f in a transaction that sees one state of the database and may not write. If ctx
// belongs to a running transaction of db, f joins it.
func (db *DB) View(ctx context.Context, f func(ctx context.Context, tx *Tx) error) error {
	if outer, ok := ctx.Value(txKey{db}).(*Tx); ok {
		return f(ctx, outer)
	}
	inner, err := db.engine.snapshot(ctx, db.read)
	for _, d := range lostPauses {
		if !db.engine.lost(err) || !pause(ctx, d) {
			break
		}
		inner, err = db.engine.snapshot(ctx, db.read)
	}
	if err != nil {
		return fmt.Errorf("store: %s: begin: %w", db.name, err)
	}
	defer func() { _ = inner.Rollback() }()
	tx := &Tx{db: db, tx: inner}
	err = f(context.WithValue(ctx, txKey{db}, tx), tx)
	db.engine.lost(err) // so that the next one gets another connection
	return explain(db.name, err)
}

// OnRollback has f called if the transaction does not commit.
func (tx *Tx) OnRollback(f func()) { tx.rollback = append(tx.rollback, f) }

// BeforeCommit has f called, in the transaction and when all else is done, with what it changed,
// unless that is nothing. An error of f undoes everything. Of several calls the first counts, so
// that the outermost has the say.
func (tx *Tx) BeforeCommit(f func(ctx context.Context, changes []Change) error) {
	if tx.last == nil {
		tx.last = f
	}
}

// Exec runs a statement, with ? for each argument, and returns how many rows it changed.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if !tx.writes {
		return 0, ErrReadOnly
	}
	tx.wrote = true
	query, ctx, err := tx.ready(ctx, query)
	if err != nil {
		return 0, err
	}
	var res sql.Result
	if p := tx.statement(ctx, query); p != nil && !p.busy {
		res, err = p.stmt.ExecContext(ctx, args...)
	} else {
		res, err = tx.tx.ExecContext(ctx, query, args...)
	}
	if err != nil {
		return 0, translate(err)
	}
	return res.RowsAffected()
}

// Insert runs an INSERT that ends in "RETURNING id" and returns the id. If nothing was inserted (ON
// CONFLICT DO NOTHING) the error is fs.ErrExist.
func (tx *Tx) Insert(ctx context.Context, query string, args ...any) (int64, error) {
	if !tx.writes {
		return 0, ErrReadOnly
	}
	tx.wrote = true
	var id int64
	err := tx.row(ctx, query, args, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fs.ErrExist
	}
	return id, translate(err)
}

// Query runs a query and calls row for each row; its scan reads the columns.
func (tx *Tx) Query(ctx context.Context, query string, args []any, row func(scan func(dest ...any) error) error) error {
	query, ctx, err := tx.ready(ctx, query)
	if err != nil {
		return err
	}
	// row may run the same query, and a statement has one set of rows at a time.
	var rows *sql.Rows
	if p := tx.statement(ctx, query); p != nil && !p.busy {
		p.busy = true
		defer func() { p.busy = false }()
		rows, err = p.stmt.QueryContext(ctx, args...)
	} else {
		rows, err = tx.tx.QueryContext(ctx, query, args...)
	}
	if err != nil {
		return translate(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Get reads one row into dest; the error is fs.ErrNotExist if there is none.
func (tx *Tx) Get(ctx context.Context, query string, args []any, dest ...any) error {
	err := tx.row(ctx, query, args, dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return fs.ErrNotExist
	}
	return translate(err)
}

// row reads the first row of a query.
func (tx *Tx) row(ctx context.Context, query string, args []any, dest ...any) error {
	query, ctx, err := tx.ready(ctx, query)
	if err != nil {
		return err
	}
	if p := tx.statement(ctx, query); p != nil && !p.busy {
		return p.stmt.QueryRowContext(ctx, args...).Scan(dest...)
	}
	return tx.tx.QueryRowContext(ctx, query, args...).Scan(dest...)
}

// ready returns a query as the engine spells it, and the context to run it with.
func (tx *Tx) ready(ctx context.Context, query string) (string, context.Context, error) {
	d := tx.db.engine.dialect()
	if tx.writes && d.local {
		// The driver starts a goroutine for each call whose context may end. A statement of a
		// writer takes microseconds, so that it is enough to look before it.
		if err := ctx.Err(); err != nil {
			return "", nil, err
		}
		ctx = context.WithoutCancel(ctx)
	}
	return d.bind(query), ctx, nil
}

// prepared is a query that a transaction ran.
type prepared struct {
	stmt *sql.Stmt // nil = it was run once
	busy bool      // its rows are being read
}

// maxPrepared bounds the queries that one transaction remembers.
const maxPrepared = 128

// statement returns the prepared statement of a query that the transaction runs again; nil = it is
// to be run as it is. SQLite compiles a query in about the time in which it runs it.
func (tx *Tx) statement(ctx context.Context, query string) *prepared {
	if !tx.db.engine.dialect().local {
		return nil // PostgreSQL's driver keeps statements by itself
	}
	p := tx.prepared[query]
	if p == nil {
		if len(tx.prepared) < maxPrepared {
			if tx.prepared == nil {
				tx.prepared = make(map[string]*prepared)
			}
			tx.prepared[query] = new(prepared)
		}
		return nil
	}
	if p.stmt == nil {
		// It is closed with the transaction.
		stmt, err := tx.tx.PrepareContext(ctx, query)
		if err != nil {
			return nil // the query reports it when it is run as it is
		}
		p.stmt = stmt
	}
	return p
}

// dialect is an engine's spelling of what the SQL of this project leaves open.
type dialect struct {
	numbered bool // $1, $2 in the place of ?
	local    bool // statements run in this process
	words    *strings.Replacer
	now      string // query of the database's clock, in microseconds
	// deferChecks puts off the check of references until the commit.
	deferChecks string
	hasTable    string // query with the name of a table: whether it exists
	tables      string // query of the names of all tables
	references  string // query of pairs of tables, of which the first refers to the second
	// sequences is the query of tables and columns whose next value has to be raised after a load;
	// "" = the engine does so itself.
	sequences string
}

func (d dialect) bind(query string) string {
	if !d.numbered || !strings.Contains(query, "?") {
		return query
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}
