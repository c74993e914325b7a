package sitedoc

import (
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
	// Kinds are the kinds of power control that machines may have. They say which parameters are
	// secret. Nil = there are none.
	Kinds power.Registry
	// Warn is called with what was left out of an application, such as a rack that the site does
	// not have yet. If nil, warnings are discarded.
	Warn func(text string)
}

// Change is the creation, update or deletion of one object.
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
	// Path leads to the object in the document, by keys and by places in lists, such as "machines",
	// 2, "interfaces", 0. If nil, the document has no such object.
	Path []any
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %v", e.Kind, e.Name, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// errDry undoes what a dry run did.
var errDry = errors.New("sitedoc: this was a dry run")

// Apply makes the site as the document describes it and returns the changes in the order in which
// it made them. An error about an object is an [*Error]; then nothing has changed.
func Apply(ctx context.Context, inv *inventory.Inventory, doc Document, opts Options) ([]Change, error) {
	var changes []Change
	var warnings []string
	err := inv.Atomically(ctx, func(ctx context.Context) error {
		a := &applier{inv: inv, ctx: inventory.KeepNames(ctx), opts: opts, changes: []Change{}}
		// Each kind refers to the kinds before it only, so they are made in order, and removed in
		// reverse order.
		steps := a.steps(&doc)
		for _, s := range steps {
			if err := s.apply(); err != nil {
				return located(err, &doc)
			}
		}
		if opts.Prune {
			for _, s := range slices.Backward(steps) {
				if err := s.prune(); err != nil {
					return err
				}
			}
		}
		if err := a.missingSecrets(&doc); err != nil {
			return err
		}
		changes, warnings = a.changes, a.warnings
		// A dry run makes all changes, so that it meets every rule of the inventory, and rolls
		// back.
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
	for _, text := range warnings {
		if opts.Warn != nil {
			opts.Warn(text)
		}
	}
	return changes, nil
}

// Export reads the site as a document.
func Export(ctx context.Context, inv *inventory.Inventory) (doc Document, err error) {
	err = inv.Consistently(ctx, func(ctx context.Context) error {
		doc = Document{} // the database may ask for another run
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
	ctx     context.Context // of the transaction, which ends before Apply returns
	opts    Options
	changes []Change
	// warnings are collected, as the database may ask for another run.
	warnings []string
}

// note records a change. VLANs are applied twice: both updates of one object are one change.
func (a *applier) note(op, kind, name string, before, after []byte) {
	for i := range a.changes { // a second pass over the same object
		if c := &a.changes[i]; c.Kind == kind && c.Name == name && op == "update" {
			c.After = after
			return
		}
	}
	a.changes = append(a.changes, Change{Op: op, Kind: kind, Name: name, Before: before, After: after})
}
