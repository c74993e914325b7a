package inventory

import (
	"context"
	"time"

	"github.com/gomaas/maas/store"
)

// Event is an entry of the site's log about its machines.
type Event struct {
	ID          int64
	Time        time.Time // zero = now
	NodeID      int64     // machine or device it is about; 0 = the site
	Kind        string    // such as "boot" or "power"
	Level       string    // "debug", "info", "warning", "error" or "audit"; "" = "info"
	Description string
	User        string // whose doing it was; "" = nobody's in particular
}

var events = table[Event]{
	kind: "event", name: "event", cols: []string{"at", "node_id", "kind", "level", "description", "account"},
	id: func(e *Event) *int64 { return &e.ID },
	fields: func(e *Event) []any {
		return []any{asTime{&e.Time}, asRef{&e.NodeID}, &e.Kind, &e.Level, &e.Description, &e.User}
	},
}

// AddEvents appends to the log. Events are not in the change feed.
func (inv *Inventory) AddEvents(ctx context.Context, batch ...Event) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, e := range batch {
			if e.Time.IsZero() {
				e.Time = time.Now()
			}
			if e.Level == "" {
				e.Level = "info"
			}
			const query = "INSERT INTO event (at, node_id, kind, level, description, account) VALUES (?, ?, ?, ?, ?, ?)"
			if _, err := tx.Exec(ctx, query, events.fields(&e)...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Events returns up to limit events with an ID above after, oldest first, of
// one machine or (0) of all.
func (inv *Inventory) Events(ctx context.Context, node, after int64, limit int) ([]Event, error) {
	const page = "id IN (SELECT id FROM event WHERE id > ? AND (? = 0 OR node_id = ?) ORDER BY id LIMIT ?)"
	return listIn(ctx, inv, events, page, after, node, node, limit)
}

// LastEvents returns the last up to limit events of a machine (0 = of all), oldest first.
func (inv *Inventory) LastEvents(ctx context.Context, node int64, limit int) ([]Event, error) {
	const page = "id IN (SELECT id FROM event WHERE ? = 0 OR node_id = ? ORDER BY id DESC LIMIT ?)"
	return listIn(ctx, inv, events, page, node, node, limit)
}

// TrimEvents deletes all but the last keep events.
func (inv *Inventory) TrimEvents(ctx context.Context, keep int) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, "DELETE FROM event WHERE id <= (SELECT COALESCE(MAX(id), 0) FROM event) - ?", keep)
		return err
	})
}
