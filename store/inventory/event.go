package inventory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Event is an entry of the site's log about its machines.
type Event struct {
	ID          int64
	Time        time.Time // zero = now
	NodeID      int64     // machine or device it is about; 0 = the site
	Kind        string    // such as "boot" or "power"
	Level       string    // "debug", "info", "warning", "error" or "audit"; "" = "info"
	Description string
	User        string // user that caused it; "" = none
}

var events = table[Event]{
	kind: "event", name: "event", cols: []string{"at", "node_id", "kind", "level", "description", "account"},
	id: func(e *Event) *int64 { return &e.ID },
	fields: func(e *Event) []any {
		return []any{asTime{&e.Time}, asRef{&e.NodeID}, &e.Kind, &e.Level, &e.Description, &e.User}
	},
}

// Events is the log of the site.
type Events struct{ inv *Inventory }

// Add appends to the log. Events are not in the change feed.
func (es *Events) Add(ctx context.Context, batch ...Event) error {
	return es.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
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

// EventFilter says which events are wanted. The zero value means all but those with the level
// "audit".
type EventFilter struct {
	Nodes []int64 // of these machines and devices; none = of all and of the site
	// Level is the least level, or "audit" for those alone; "" = all but those.
	Level  string
	User   string // of this user; "" = of all
	After  int64  // with a higher ID; 0 = any
	Before int64  // with a lower ID; 0 = any
	Oldest bool   // the first ones instead of the last
	Limit  int
}

// EventLevels are the levels from low to high. "audit" is not one of the scale.
var EventLevels = []string{"debug", "info", "warning", "error", "critical"}

// LevelAudit is the level of events that tell who changed what.
const LevelAudit = "audit"

func (f EventFilter) where() (string, []any) {
	where, args := "1 = 1", []any{}
	add := func(condition string, values ...any) {
		where, args = where+" AND "+condition, append(args, values...)
	}
	anyOf := func(column string, values []any) {
		add(column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")", values...)
	}
	if len(f.Nodes) > 0 {
		anyOf("node_id", anys(f.Nodes))
	}
	switch i := slices.Index(EventLevels, f.Level); {
	case f.Level == LevelAudit:
		add("level = ?", LevelAudit)
	case i > 0:
		anyOf("level", anys(EventLevels[i:]))
	default:
		add("level <> ?", LevelAudit)
	}
	if f.User != "" {
		add("account = ?", f.User)
	}
	if f.After > 0 {
		add("id > ?", f.After)
	}
	if f.Before > 0 {
		add("id < ?", f.Before)
	}
	return where, args
}

func anys[T any](values []T) (out []any) {
	for _, v := range values {
		out = append(out, v)
	}
	return out
}

// Find returns events, oldest first.
func (es *Events) Find(ctx context.Context, f EventFilter) ([]Event, error) {
	where, args := f.where()
	order := " ORDER BY id DESC LIMIT ?"
	if f.Oldest {
		order = " ORDER BY id LIMIT ?"
	}
	return listIn(ctx, es.inv, events, "id IN (SELECT id FROM event WHERE "+where+order+")", append(args, f.Limit)...)
}

// After returns up to limit events with an ID above after, oldest first, of one machine or (0) of
// all.
func (es *Events) After(ctx context.Context, node, after int64, limit int) ([]Event, error) {
	const page = "id IN (SELECT id FROM event WHERE id > ? AND (? = 0 OR node_id = ?) ORDER BY id LIMIT ?)"
	return listIn(ctx, es.inv, events, page, after, node, node, limit)
}

// Last returns the last up to limit events of a machine (0 = of all), oldest first.
func (es *Events) Last(ctx context.Context, node int64, limit int) ([]Event, error) {
	const page = "id IN (SELECT id FROM event WHERE ? = 0 OR node_id = ? ORDER BY id DESC LIMIT ?)"
	return listIn(ctx, es.inv, events, page, node, node, limit)
}

// Trim deletes all but the last keep events, and all but the last keepAudit events of level
// "audit". Each has its own bound: a site that boots much must not lose the record of who changed
// what.
func (es *Events) Trim(ctx context.Context, keep, keepAudit int) error {
	return es.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, part := range []struct {
			where string
			keep  int
		}{{"level <> 'audit'", keep}, {"level = 'audit'", keepAudit}} {
			query := "DELETE FROM event WHERE " + part.where + " AND id <= (SELECT id FROM event WHERE " + part.where + " ORDER BY id DESC LIMIT 1 OFFSET ?)"
			if _, err := tx.Exec(ctx, query, part.keep); err != nil {
				return err
			}
		}
		return nil
	})
}

// Actor is on whose behalf something is changed.
type Actor struct {
	User string
	// Doing describes the request, such as "PUT subnets/1/ (name)", without secrets. It is called
	// when the change is made.
	Doing func() string
}

type actorKey struct{}

// As returns a context whose changes are attributed to an actor: each transaction adds an event of
// level "audit" that names the user, the request and the objects.
func As(ctx context.Context, a Actor) context.Context { return context.WithValue(ctx, actorKey{}, &a) }

func actorOf(ctx context.Context) *Actor {
	a, _ := ctx.Value(actorKey{}).(*Actor)
	return a
}

// maxAudited bounds the objects that an event names.
const maxAudited = 12

// nameQueries read how objects of a kind are called by people.
var nameQueries = map[string]string{
	kinds.Machine: "SELECT hostname FROM node WHERE id = ?", kinds.Device: "SELECT hostname FROM node WHERE id = ?",
	kinds.Subnet: "SELECT prefix FROM subnet WHERE id = ?", kinds.Fabric: "SELECT name FROM fabric WHERE id = ?",
	kinds.VLAN: "SELECT name FROM vlan WHERE id = ?", kinds.Space: "SELECT name FROM space WHERE id = ?",
	kinds.Zone: "SELECT name FROM zone WHERE id = ?", kinds.Pool: "SELECT name FROM resource_pool WHERE id = ?",
	kinds.Domain: "SELECT name FROM domain WHERE id = ?", kinds.Record: "SELECT name FROM dns_record WHERE id = ?",
	kinds.Setting: "SELECT name FROM setting WHERE id = ?", kinds.User: "SELECT name FROM account WHERE id = ?",
	kinds.Rack: "SELECT name FROM rack WHERE id = ?", kinds.Tag: "SELECT name FROM tag WHERE id = ?",
	kinds.Snippet: "SELECT name FROM dhcp_snippet WHERE id = ?", kinds.TSIGKey: "SELECT name FROM tsig_key WHERE id = ?",
	kinds.BootProfile: "SELECT COALESCE(s.prefix, t.name) FROM boot_profile p LEFT JOIN subnet s ON s.id = p.subnet_id " +
		"LEFT JOIN tag t ON t.id = p.tag_id WHERE p.id = ?",
}

// audit writes the event of a transaction.
func (inv *Inventory) audit(ctx context.Context, tx *store.Tx, a *Actor, changes []store.Change) error {
	e := Event{Kind: "change", Level: LevelAudit, User: a.User}
	var done []string
	more := 0
	for _, c := range changes {
		if c.Kind == nodes.kind { // reported as machine or device, too
			continue
		}
		if len(done) == maxAudited {
			more++
			continue
		}
		text := fmt.Sprintf("%s %s %d", c.Op, c.Kind, c.ID)
		if query := nameQueries[c.Kind]; query != "" && c.Op != store.Deleted {
			var name string
			if err := tx.Get(ctx, query, []any{c.ID}, &name); err != nil {
				return err
			}
			text += " " + name
			if c.Kind == kinds.Machine || c.Kind == kinds.Device {
				e.NodeID = c.ID
			}
		}
		done = append(done, text)
	}
	if e.Description = a.Doing() + ": " + strings.Join(done, ", "); more > 0 {
		e.Description += fmt.Sprintf(" and %d more", more)
	}
	return inv.Events.Add(ctx, e)
}
