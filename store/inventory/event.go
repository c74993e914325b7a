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

// Event is an entry of the site's log about its machines, or of its audit log.
type Event struct {
	ID          int64
	Time        time.Time // zero = now
	NodeID      int64     // machine or device it is about; 0 = the site
	Kind        string    // such as "boot" or "power"
	Level       string    // one of EventLevels, "" = "info"; always LevelAudit in the audit log
	Description string
	User        string // user that caused it; "" = none
	// Differences are the fields that a change changed, in the audit log; nil = none, or not known.
	Differences *Differences
}

// ConsoleLine is between the lines of a console in the description of an event of kind "console".
const ConsoleLine = " | "

// eventTable returns a table of events, with further columns.
func eventTable(name string, more ...string) table[Event] {
	cols := append([]string{"at", "node_id", "kind", "level", "description", "account"}, more...)
	return table[Event]{
		kind: name, name: name, cols: cols,
		id: func(e *Event) *int64 { return &e.ID },
		fields: func(e *Event) []any {
			return []any{asTime{&e.Time}, asRef{&e.NodeID}, &e.Kind, &e.Level, &e.Description, &e.User, asJSON{&e.Differences}}[:len(cols)]
		},
	}
}

// Events is a log of the site: of what happened (Inventory.Events) or of what users changed
// (Inventory.Audit). Each has a table, numbers and a bound of its own: a site that boots much must
// not lose the record of who changed what.
type Events struct {
	inv   *Inventory
	log   table[Event]
	level string // of an event that has none
}

// Add appends to the log. Events are not in the change feed.
func (es *Events) Add(ctx context.Context, batch ...Event) error {
	return es.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, e := range batch {
			if err := es.add(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (es *Events) add(ctx context.Context, tx *store.Tx, e Event) error {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Level == "" {
		e.Level = es.level
	}
	if (e.Level == LevelAudit) != (es.level == LevelAudit) {
		return fmt.Errorf("inventory: an event of level %q does not belong into the table %s; use Inventory.Audit for what users change and Inventory.Events for all else", e.Level, es.log.name)
	}
	cols := es.log.cols
	query := "INSERT INTO " + es.log.name + " (" + strings.Join(cols, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(cols)-1) + ")"
	_, err := tx.Exec(ctx, query, es.log.fields(&e)...)
	return err
}

// EventFilter says which events of a log are wanted. The zero value means all.
type EventFilter struct {
	Nodes  []int64 // of these machines and devices; none = of all and of the site
	Level  string  // the least level; "" = any
	User   string  // of this user; "" = of all
	Kind   string  // such as "boot"; "" = of all
	After  int64   // with a higher ID; 0 = any
	Before int64   // with a lower ID; 0 = any
	Oldest bool    // the first ones instead of the last
	Limit  int
}

// EventLevels are the levels from low to high. LevelAudit is not one of the scale.
var EventLevels = []string{"debug", "info", "warning", "error", "critical"}

// LevelAudit is the level of all events of the audit log.
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
	if i := slices.Index(EventLevels, f.Level); i > 0 {
		anyOf("level", anys(EventLevels[i:]))
	}
	if f.User != "" {
		add("account = ?", f.User)
	}
	if f.Kind != "" {
		add("kind = ?", f.Kind)
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
	return es.list(ctx, where+order, append(args, f.Limit)...)
}

// After returns up to limit events with an ID above after, oldest first, of one machine or (0) of
// all.
func (es *Events) After(ctx context.Context, node, after int64, limit int) ([]Event, error) {
	return es.list(ctx, "id > ? AND (? = 0 OR node_id = ?) ORDER BY id LIMIT ?", after, node, node, limit)
}

// Last returns the last up to limit events of a machine (0 = of all), oldest first.
func (es *Events) Last(ctx context.Context, node int64, limit int) ([]Event, error) {
	return es.list(ctx, "? = 0 OR node_id = ? ORDER BY id DESC LIMIT ?", node, node, limit)
}

// list returns a page of events, oldest first. A page is a condition with an order and a limit.
func (es *Events) list(ctx context.Context, page string, args ...any) ([]Event, error) {
	return listIn(ctx, es.inv, es.log, "id IN (SELECT id FROM "+es.log.name+" WHERE "+page+")", args...)
}

// Trim deletes all but the last keep events.
func (es *Events) Trim(ctx context.Context, keep int) error {
	return es.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		query := "DELETE FROM " + es.log.name + " WHERE id <= (SELECT id FROM " + es.log.name + " ORDER BY id DESC LIMIT 1 OFFSET ?)"
		_, err := tx.Exec(ctx, query, keep)
		return err
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

// As returns a context whose changes are attributed to an actor: each transaction adds an event to
// Inventory.Audit that names the user, the request and the objects.
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
	kinds.Snippet: "SELECT name FROM dhcp_snippet WHERE id = ?", kinds.Class: "SELECT name FROM dhcp_class WHERE id = ?", kinds.TSIGKey: "SELECT name FROM tsig_key WHERE id = ?",
	kinds.BootProfile: "SELECT COALESCE(s.prefix, t.name) FROM boot_profile p LEFT JOIN subnet s ON s.id = p.subnet_id " +
		"LEFT JOIN tag t ON t.id = p.tag_id WHERE p.id = ?",
}

// audit writes the event of a transaction.
func (inv *Inventory) audit(ctx context.Context, tx *store.Tx, a *Actor, changes []store.Change, rows *recorder) (err error) {
	e := Event{Kind: "change", User: a.User}
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
	if e.Differences, err = rows.differences(ctx, tx); err != nil {
		return err
	}
	return inv.Audit.add(ctx, tx, e)
}
