package store

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// OpenError says why a database cannot be opened, or be used any longer, and what to do. What was
// committed before is not lost.
type OpenError struct {
	Name string // the file, or the database without its password
	Why  string
	Cure string
	Err  error // the engine's own error; may be nil
}

func (e *OpenError) Error() string { return "store: " + e.Name + ": " + e.Why + "; " + e.Cure }

// Unwrap returns the engine's error.
func (e *OpenError) Unwrap() error { return e.Err }

// ConstraintError says that a write would have broken a rule of the schema.
type ConstraintError struct {
	Kind   ConstraintKind
	Detail string // as the engine names the constraint or the columns
	Err    error
}

// ConstraintKind is the kind of rule.
type ConstraintKind uint8

const (
	Unique     ConstraintKind = iota + 1 // something like it exists
	ForeignKey                           // it refers to, or is referred to by, another object
	Check                                // a value is out of range, or missing
)

func (e *ConstraintError) Error() string {
	switch e.Kind {
	case Unique:
		return fmt.Sprintf("store: exists already (%s)", e.Detail)
	case ForeignKey:
		return fmt.Sprintf("store: refers to an object that is not there, or is still referred to (%s)", e.Detail)
	}
	return fmt.Sprintf("store: value not allowed (%s)", e.Detail)
}

// Unwrap returns the engine's error.
func (e *ConstraintError) Unwrap() error { return e.Err }

// Is makes errors.Is(err, fs.ErrExist) true for Unique.
func (e *ConstraintError) Is(target error) bool { return target == fs.ErrExist && e.Kind == Unique }

// ErrNewerSchema is wrapped by Open's error when a newer program has changed the database's schema.
var ErrNewerSchema = errors.New("the database was changed by a newer version")

// ErrOlderSchema is wrapped by OpenExisting's error when the database's schema has yet to be
// brought up to date.
var ErrOlderSchema = errors.New("the database was not yet changed by this version")

// ErrFormerSchema is wrapped by the error of opening a database that a build from before the first
// release made.
var ErrFormerSchema = errors.New("the database has the schema of an unreleased build")

// ErrReadOnly is the error of a write inside View.
var ErrReadOnly = errors.New("store: write inside a read-only transaction")

// translate turns an engine's constraint error into a ConstraintError.
func translate(err error) error {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		if kind := liteKinds[lite.Code()]; kind != 0 {
			return &ConstraintError{kind, liteDetail(lite.Error()), err}
		}
		return err
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		if kind := pgKinds[pg.Code]; kind != 0 {
			return &ConstraintError{kind, pg.ConstraintName, err}
		}
	}
	return err
}

var liteKinds = map[int]ConstraintKind{
	sqlite3.SQLITE_CONSTRAINT_UNIQUE:     Unique,
	sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: Unique,
	sqlite3.SQLITE_CONSTRAINT_ROWID:      Unique,
	sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: ForeignKey,
	sqlite3.SQLITE_CONSTRAINT_CHECK:      Check,
	sqlite3.SQLITE_CONSTRAINT_NOTNULL:    Check,
}

// Codes of PostgreSQL's appendix A, class 23.
var pgKinds = map[string]ConstraintKind{
	"23505": Unique, "23503": ForeignKey, "23001": ForeignKey, "23514": Check, "23502": Check,
}

// liteDetail keeps what SQLite says after "constraint failed: ", without its code.
func liteDetail(s string) string {
	if i := strings.LastIndex(s, "constraint failed: "); i >= 0 {
		s = s[i+len("constraint failed: "):]
	}
	if i := strings.LastIndex(s, " ("); i >= 0 {
		s = s[:i]
	}
	return s
}
