package sitedoc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory"
)

// Options say how a document is applied.
type Options struct {
	DryRun bool // tell what would change, and change nothing
	Prune  bool // remove objects that the document's lists do not have
	// Kinds are the kinds of power control that machines may have. They say which parameters are secret. Nil = there are none.
	Kinds power.Registry
}

// Change is what becomes of one object.
type Change struct {
	Op     string          `json:"op"`   // "create", "update" or "delete"
	Kind   string          `json:"kind"` // such as "subnet"
	Name   string          `json:"name"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
}

// Error is a mistake in a document or in its way of being applied, at one object.
type Error struct {
	Kind, Name string
	Err        error
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Kind, e.Name, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// errDry undoes what a dry run did.
var errDry = errors.New("sitedoc: this was a dry run")

// Apply makes the site what the document says, and tells what changed, in the order in which it did. An error is an [*Error]
// when it is about an object; then nothing has changed.
func Apply(ctx context.Context, inv *inventory.Inventory, doc Document, opts Options) ([]Change, error) {
	var changes []Change
	err := inv.Atomically(ctx, func(ctx context.Context) error {
		a := &applier{inv: inv, ctx: ctx, opts: opts, changes: []Change{}}
		steps := a.steps(&doc)
		for _, s := range steps {
			if err := s.apply(); err != nil {
				return err
			}
		}
		if opts.Prune {
			for _, s := range slices.Backward(steps) {
				if err := s.prune(); err != nil {
					return err
				}
			}
		}
		changes = a.changes
		if opts.DryRun {
			return errDry
		}
		return nil
	})
	if errors.Is(err, errDry) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return changes, nil
}

// Export reads the site as a document.
func Export(ctx context.Context, inv *inventory.Inventory) (doc Document, err error) {
	err = inv.Consistently(ctx, func(ctx context.Context) error {
		doc = Document{}
		a := &applier{inv: inv, ctx: ctx}
		for _, s := range a.steps(&doc) {
			if err := s.export(); err != nil {
				return err
			}
		}
		return nil
	})
	return doc, err
}

// applier is one run over a document.
type applier struct {
	inv     *inventory.Inventory
	ctx     context.Context // of the transaction
	opts    Options
	changes []Change
}

func (a *applier) note(op, kind, name string, before, after []byte) {
	for i := range a.changes { // a second pass over the same object
		if c := &a.changes[i]; c.Kind == kind && c.Name == name && op == "update" {
			c.After = after
			return
		}
	}
	a.changes = append(a.changes, Change{Op: op, Kind: kind, Name: name, Before: before, After: after})
}

// step is what is done about one kind of object.
type step interface {
	apply() error
	prune() error
	export() error
}

// kind joins a type of the document (D) to one of the inventory (T).
type kind[D, T any] struct {
	*applier
	name   string
	docs   *[]D
	list   func(context.Context) ([]T, error)
	id     func(T) int64
	doc    func(T) (D, error)
	key    func(D) string
	fill   func(D, *T) error // checks references
	create func(context.Context, T) (T, error)
	update func(context.Context, T) error
	remove func(context.Context, T) error
	stays  func(T) bool         // it is not pruned
	after  func(D, int64) error // the object is there; nil = nothing
}

func (k kind[D, T]) current() (map[string]T, []string, error) {
	all, err := k.list(k.ctx)
	out, order := make(map[string]T, len(all)), []string(nil)
	for _, x := range all {
		d, err := k.doc(x)
		if err != nil {
			return nil, nil, err
		}
		out[k.key(d)], order = x, append(order, k.key(d))
	}
	return out, order, err
}

func (k kind[D, T]) apply() error {
	if *k.docs == nil {
		return nil
	}
	have, _, err := k.current()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, d := range *k.docs {
		name := k.key(d)
		if seen[name] {
			return &Error{k.name, name, errors.New("is in the document twice")}
		}
		seen[name] = true
		if err := k.one(d, name, have); err != nil {
			return &Error{k.name, name, err}
		}
	}
	return nil
}

func (k kind[D, T]) one(d D, name string, have map[string]T) error {
	old, there := have[name]
	x := old
	if err := k.fill(d, &x); err != nil {
		return err
	}
	if !there {
		made, err := k.create(k.ctx, x)
		if err != nil {
			return err
		}
		after, err := k.text(made)
		if err != nil {
			return err
		}
		k.note("create", k.name, name, nil, after)
		return k.then(d, k.id(made))
	}
	before, err := k.text(old)
	if err != nil {
		return err
	}
	after, err := k.text(x)
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		if err := k.update(k.ctx, x); err != nil {
			return err
		}
		k.note("update", k.name, name, before, after)
	}
	return k.then(d, k.id(old))
}

func (k kind[D, T]) then(d D, id int64) error {
	if k.after == nil {
		return nil
	}
	return k.after(d, id)
}

func (k kind[D, T]) text(x T) ([]byte, error) {
	d, err := k.doc(x)
	if err != nil {
		return nil, err
	}
	return json.Marshal(d)
}

func (k kind[D, T]) prune() error {
	if *k.docs == nil || k.remove == nil {
		return nil
	}
	have, order, err := k.current()
	if err != nil {
		return err
	}
	for _, d := range *k.docs {
		delete(have, k.key(d))
	}
	for _, name := range order {
		x, extra := have[name]
		if !extra || k.stays != nil && k.stays(x) {
			continue
		}
		before, err := k.text(x)
		if err != nil {
			return err
		}
		if err := k.remove(k.ctx, x); err != nil {
			return &Error{k.name, name, err}
		}
		k.note("delete", k.name, name, before, nil)
	}
	return nil
}

func (k kind[D, T]) export() error {
	all, err := k.list(k.ctx)
	for _, x := range all {
		d, err := k.doc(x)
		if err != nil {
			return err
		}
		*k.docs = append(*k.docs, d)
	}
	return err
}
