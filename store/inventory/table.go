package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/gomaas/maas/store"
)

// table joins a Go type to a table. Fields returns pointers (or columns that hold pointers) in the
// order of cols; they are read by writes and written by reads.
type table[T any] struct {
	kind   string // of object, in the change feed and in messages
	name   string
	cols   []string
	id     func(*T) *int64
	fields func(*T) []any
	// version counts changes, so that a write based on an old one is refused; nil = the table has
	// no such column.
	version func(*T) *int64
	label   func(*T) string // what the object is called; nil = its ID
}

// columns lists what dest reads, each with a prefix such as "n.".
func (t table[T]) columns(prefix string) string {
	cols := []string{"id"}
	if t.version != nil {
		cols = append(cols, "version")
	}
	return prefix + strings.Join(append(cols, t.cols...), ", "+prefix)
}

// dest returns the destinations of the columns of v.
func (t table[T]) dest(v *T) []any {
	dest := []any{t.id(v)}
	if t.version != nil {
		dest = append(dest, t.version(v))
	}
	return append(dest, t.fields(v)...)
}

func (t table[T]) insert(ctx context.Context, tx *store.Tx, v *T) error {
	cols, values := strings.Join(t.cols, ", "), t.fields(v)
	if t.version != nil {
		*t.version(v) = 1
		cols, values = cols+", version", append(values, int64(1))
	}
	query := "INSERT INTO " + t.name + " (" + cols + ") VALUES (?" + strings.Repeat(", ?", len(values)-1) + ") RETURNING id"
	id, err := tx.Insert(ctx, query, values...)
	if err != nil {
		return fmt.Errorf("inventory: add %s: %w", t.kind, err)
	}
	*t.id(v) = id
	t.record(ctx, id, nil, v)
	tx.Changed(t.kind, id, store.Created)
	return nil
}

// update writes all columns of v, which must exist and, if it has a version, must be as it was
// read.
func (t table[T]) update(ctx context.Context, tx *store.Tx, v *T) error {
	id := *t.id(v)
	query := "UPDATE " + t.name + " SET " + strings.Join(t.cols, " = ?, ") + " = ?"
	args := t.fields(v)
	where := " WHERE id = ?"
	args = append(args, id)
	if t.version != nil {
		query, where = query+", version = version + 1", where+" AND version = ?"
		args = append(args, *t.version(v))
	}
	old, err := t.old(ctx, tx, id)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, query+where, args...)
	if err != nil {
		return fmt.Errorf("inventory: change %s %d: %w", t.kind, id, err)
	}
	// No row has this ID and version: current finds out which of both is wrong, for the error.
	if n == 0 {
		if _, err := t.current(ctx, tx, v); err != nil {
			return err
		}
		return &NotFoundError{t.kind, strconv.FormatInt(id, 10)}
	}
	if t.version != nil {
		*t.version(v)++
	}
	t.record(ctx, id, old, v)
	tx.Changed(t.kind, id, store.Updated)
	return nil
}

// current reads the stored object of which v is a changed copy. The error is *StaleError if v was
// made from another version.
func (t table[T]) current(ctx context.Context, tx *store.Tx, v *T) (old T, err error) {
	if old, err = t.get(ctx, tx, *t.id(v)); err != nil || t.version == nil {
		return old, err
	}
	if have, want := *t.version(&old), *t.version(v); have != want {
		name := strconv.FormatInt(*t.id(v), 10)
		if t.label != nil {
			name = t.label(&old)
		}
		return old, &StaleError{Kind: t.kind, Name: name, Have: have, Want: want}
	}
	return old, nil
}

func (t table[T]) delete(ctx context.Context, tx *store.Tx, id int64) error {
	old, err := t.old(ctx, tx, id)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, "DELETE FROM "+t.name+" WHERE id = ?", id)
	if err != nil {
		return fmt.Errorf("inventory: delete %s %d: %w", t.kind, id, err)
	}
	if n == 0 {
		return &NotFoundError{t.kind, strconv.FormatInt(id, 10)}
	}
	t.record(ctx, id, old, nil)
	tx.Changed(t.kind, id, store.Deleted)
	return nil
}

// deleteWhere deletes all rows that where holds for.
func (t table[T]) deleteWhere(ctx context.Context, tx *store.Tx, where string, args ...any) error {
	rows, err := t.list(ctx, tx, where, args...)
	for i := range rows {
		err = errors.Join(err, t.delete(ctx, tx, *t.id(&rows[i])))
	}
	return err
}

func (t table[T]) get(ctx context.Context, tx *store.Tx, id int64) (T, error) {
	return t.one(ctx, tx, strconv.FormatInt(id, 10), "id = ?", id)
}

// one reads the row that where holds for; what describes it in the error if there is none.
func (t table[T]) one(ctx context.Context, tx *store.Tx, what, where string, args ...any) (v T, err error) {
	err = tx.Get(ctx, "SELECT "+t.columns("")+" FROM "+t.name+" WHERE "+where, args, t.dest(&v)...)
	if errors.Is(err, fs.ErrNotExist) {
		return v, &NotFoundError{t.kind, what}
	}
	if err != nil {
		return v, fmt.Errorf("inventory: read %s %s: %w", t.kind, what, err)
	}
	return v, nil
}

// list reads rows in order of ID; where may be "".
func (t table[T]) list(ctx context.Context, tx *store.Tx, where string, args ...any) ([]T, error) {
	query := "SELECT " + t.columns("") + " FROM " + t.name
	if where != "" {
		query += " WHERE " + where
	}
	// The order is that of creation, so that lists, plans and exports are the same each time.
	var all []T
	err := tx.Query(ctx, query+" ORDER BY id", args, func(scan func(...any) error) error {
		var v T
		if err := scan(t.dest(&v)...); err != nil {
			return err
		}
		all = append(all, v)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("inventory: read %s list: %w", t.kind, err)
	}
	return all, nil
}

// The methods below are transactions of their own, or part of ctx's.

func listIn[T any](ctx context.Context, inv *Inventory, t table[T], where string, args ...any) (all []T, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = t.list(ctx, tx, where, args...)
		return err
	})
	return all, err
}

// orFirst checks a reference, or makes it one to the default object.
func orFirst[T any](ctx context.Context, tx *store.Tx, t table[T], id *int64) (err error) {
	if *id == 0 {
		*id, err = firstID(ctx, tx, t.name)
		return err
	}
	_, err = t.get(ctx, tx, *id)
	return err
}

// firstID returns the ID of a table's default object, its oldest.
func firstID(ctx context.Context, tx *store.Tx, table string) (id int64, err error) {
	err = tx.Get(ctx, "SELECT id FROM "+table+" ORDER BY id LIMIT 1", nil, &id)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, &NotFoundError{table, "at all"}
	}
	return id, err
}

// namesOf reads a column of names, each with a word before it.
func namesOf(ctx context.Context, tx *store.Tx, word, query string, args ...any) (names []string, err error) {
	err = tx.Query(ctx, query, args, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, word+name)
		return err
	})
	return names, err
}
