package inventory

import (
	"context"
	"strconv"
	"strings"

	"github.com/gomaas/maas/store"
)

// Collection holds the objects of one kind. Each call is a transaction, or part of the one that its
// context belongs to; see [Inventory.Atomically]. The error for an object that does not exist is
// *NotFoundError, for a name that is taken *ExistsError, and for a value that breaks a rule
// *InvalidError.
type Collection[T any] struct {
	inv *Inventory
	id  func(*T) *int64
	ops operations[T]
}

// operations do the work of a collection inside a transaction. Insert and update leave in v what
// they stored.
type operations[T any] struct {
	list   func(ctx context.Context, tx *store.Tx, where string, args ...any) ([]T, error)
	get    func(ctx context.Context, tx *store.Tx, id int64) (T, error)
	find   func(ctx context.Context, tx *store.Tx, name string) (T, error)
	insert func(ctx context.Context, tx *store.Tx, v *T) error
	update func(ctx context.Context, tx *store.Tx, v *T) error
	delete func(ctx context.Context, tx *store.Tx, id int64) error
}

// List returns all objects in order of ID. Where a kind has a default object, it is the first.
func (c *Collection[T]) List(ctx context.Context) ([]T, error) { return c.where(ctx, "") }

// where returns the objects that a condition of SQL selects.
func (c *Collection[T]) where(ctx context.Context, where string, args ...any) (all []T, err error) {
	err = c.inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = c.ops.list(ctx, tx, where, args...)
		return err
	})
	return all, err
}

// Get returns an object by ID.
func (c *Collection[T]) Get(ctx context.Context, id int64) (v T, err error) {
	err = c.inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		v, err = c.ops.get(ctx, tx, id)
		return err
	})
	return v, err
}

// Find returns an object by its name; objects without names are found by the text of their ID. A
// machine or device is named by its host name, alone or with its domain, or by its system ID.
// Fabrics, VLANs, spaces and subnets are found by any specifier (see package netspec) and a VLAN
// also as FABRIC/TAG or FABRIC/NAME; the error is *AmbiguousError if a specifier means several.
func (c *Collection[T]) Find(ctx context.Context, name string) (v T, err error) {
	err = c.inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		v, err = c.ops.find(ctx, tx, name)
		return err
	})
	return v, err
}

// Create adds an object and returns it with its ID and what was filled in.
func (c *Collection[T]) Create(ctx context.Context, v T) (T, error) {
	*c.id(&v) = 0
	return c.write(ctx, v, c.ops.insert)
}

// Update changes an object and returns it as it is stored. If it was changed since v was read, the
// error is *StaleError and nothing is written.
func (c *Collection[T]) Update(ctx context.Context, v T) (T, error) {
	return c.write(ctx, v, c.ops.update)
}

func (c *Collection[T]) write(ctx context.Context, v T, do func(context.Context, *store.Tx, *T) error) (T, error) {
	var stored T
	err := c.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		stored = v // the database may ask for another run
		return do(ctx, tx, &stored)
	})
	if err != nil {
		return v, err
	}
	return stored, nil
}

// Delete removes an object. If other objects depend on it, the error is an *InUseError.
func (c *Collection[T]) Delete(ctx context.Context, id int64) error {
	return c.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error { return c.ops.delete(ctx, tx, id) })
}

// rules hold the behavior of one kind whose objects are rows of one table. Each hook runs in the
// transaction of the write; nil = nothing to do.
type rules[T any] struct {
	// check fills in what is left out of v, brings it into its canonical form and refuses what
	// breaks a rule. Old is the stored object, nil for a new one.
	check func(ctx context.Context, tx *store.Tx, v, old *T) error
	// unique describes the values of v that no other object may have, for *ExistsError.
	unique func(v *T) string
	// name returns where the name is that is made of the kind and the ID if it is empty.
	name func(v *T) *string
	// after follows a write: old is nil after an insert, v is nil after a delete.
	after func(ctx context.Context, tx *store.Tx, v, old *T) error
	// keep refuses a delete, or removes and moves what depends on the object.
	keep func(ctx context.Context, tx *store.Tx, old *T) error
	// key is the column that Find compares; find takes its place if it is not that simple.
	key  string
	find func(ctx context.Context, tx *store.Tx, name string) (T, error)
}

// collect makes a collection of the rows of a table.
func collect[T any](inv *Inventory, t table[T], r rules[T]) *Collection[T] {
	k := keeper[T]{t, r}
	return &Collection[T]{inv, t.id, operations[T]{t.list, t.get, k.find, k.insert, k.update, k.delete}}
}

// keeper applies rules to the rows of a table.
type keeper[T any] struct {
	table[T]
	rules rules[T]
}

func (k keeper[T]) find(ctx context.Context, tx *store.Tx, name string) (T, error) {
	switch {
	case k.rules.find != nil:
		return k.rules.find(ctx, tx, name)
	case k.rules.key != "":
		return k.one(ctx, tx, name, k.rules.key+" = ?", name)
	}
	id, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		var none T
		return none, &NotFoundError{k.kind, name}
	}
	return k.get(ctx, tx, id)
}

func (k keeper[T]) insert(ctx context.Context, tx *store.Tx, v *T) error {
	if err := run(ctx, tx, k.rules.check, v, nil); err != nil {
		return err
	}
	if err := k.insertNamed(ctx, tx, v); err != nil {
		return err
	}
	return run(ctx, tx, k.rules.after, v, nil)
}

// insertNamed inserts v; a name that it lacks becomes KIND-ID.
func (k keeper[T]) insertNamed(ctx context.Context, tx *store.Tx, v *T) error {
	if k.rules.name == nil || strings.TrimSpace(*k.rules.name(v)) != "" {
		return k.taken(k.table.insert(ctx, tx, v), v)
	}
	name := k.rules.name(v)
	*name = "new " + k.kind // until the ID is known; no other transaction sees it
	if err := k.table.insert(ctx, tx, v); err != nil {
		return k.taken(err, v)
	}
	made := k.kind + "-" + strconv.FormatInt(*k.id(v), 10)
	// A document may have given another object this name; see KeepNames.
	for n := 2; ; n++ {
		*name = made
		if n > 2 {
			*name += "-" + strconv.Itoa(n-1)
		}
		taken, err := k.list(ctx, tx, "name = ?", *name)
		if err != nil {
			return err
		}
		if len(taken) == 0 {
			break
		}
	}
	return k.taken(k.table.update(ctx, tx, v), v)
}

func (k keeper[T]) update(ctx context.Context, tx *store.Tx, v *T) error {
	// A stale object is refused before its fields are checked: they may be wrong only because the
	// stored object has changed.
	old, err := k.current(ctx, tx, v)
	if err != nil {
		return err
	}
	if err := run(ctx, tx, k.rules.check, v, &old); err != nil {
		return err
	}
	if err := k.table.update(ctx, tx, v); err != nil {
		return k.taken(err, v)
	}
	return run(ctx, tx, k.rules.after, v, &old)
}

func (k keeper[T]) delete(ctx context.Context, tx *store.Tx, id int64) error {
	old, err := k.get(ctx, tx, id)
	if err != nil {
		return err
	}
	if k.rules.keep != nil {
		if err := k.rules.keep(ctx, tx, &old); err != nil {
			return err
		}
	}
	if err := k.table.delete(ctx, tx, id); err != nil {
		return err
	}
	return run(ctx, tx, k.rules.after, nil, &old)
}

func (k keeper[T]) taken(err error, v *T) error {
	if err == nil || k.rules.unique == nil {
		return err
	}
	return taken(err, k.kind, k.rules.unique(v))
}

// run calls a hook unless it is nil.
func run[T any](ctx context.Context, tx *store.Tx, hook func(context.Context, *store.Tx, *T, *T) error, v, old *T) error {
	if hook == nil {
		return nil
	}
	return hook(ctx, tx, v, old)
}

// keepFirst refuses to delete the default object of a kind, which is its oldest.
func (t table[T]) keepFirst(ctx context.Context, tx *store.Tx, v *T, remedy string) (first int64, err error) {
	first, err = firstID(ctx, tx, t.name)
	if err == nil && *t.id(v) == first {
		err = &InUseError{Kind: t.kind, Name: t.label(v), Remedy: remedy}
	}
	return first, err
}

// needName refuses an object without a name.
func needName(kind, name string) error {
	if strings.TrimSpace(name) == "" {
		return invalid(kind, name, "name", "is missing")
	}
	return nil
}
