package inventory

import (
	"context"
	"fmt"
	"strings"

	"github.com/gomaas/maas/store"
)

// Actor is on whose behalf something is changed.
type Actor struct {
	User string
	// Doing tells what was asked for, such as "PUT subnets/1/ (name)". It is called when the change is made. It must not tell
	// secrets.
	Doing func() string
}

type actorKey struct{}

// As makes all changes with the ctx it returns those of an actor: each transaction leaves an event with the level "audit" that
// tells who did what to which objects.
func As(ctx context.Context, a Actor) context.Context { return context.WithValue(ctx, actorKey{}, &a) }

func actorOf(ctx context.Context) *Actor {
	a, _ := ctx.Value(actorKey{}).(*Actor)
	return a
}

// maxAudited is how many objects an event names.
const maxAudited = 12

// nameQueries read how objects of a kind are called by people.
var nameQueries = map[string]string{
	KindMachine: "SELECT hostname FROM node WHERE id = ?", KindDevice: "SELECT hostname FROM node WHERE id = ?",
	KindSubnet: "SELECT prefix FROM subnet WHERE id = ?", KindFabric: "SELECT name FROM fabric WHERE id = ?",
	KindVLAN: "SELECT name FROM vlan WHERE id = ?", KindSpace: "SELECT name FROM space WHERE id = ?",
	KindZone: "SELECT name FROM zone WHERE id = ?", KindPool: "SELECT name FROM resource_pool WHERE id = ?",
	KindDomain: "SELECT name FROM domain WHERE id = ?", KindRecord: "SELECT name FROM dns_record WHERE id = ?",
	KindSetting: "SELECT name FROM setting WHERE id = ?", KindUser: "SELECT name FROM account WHERE id = ?",
	KindRack: "SELECT name FROM rack WHERE id = ?", KindTag: "SELECT name FROM tag WHERE id = ?",
	KindSnippet: "SELECT name FROM dhcp_snippet WHERE id = ?", KindTSIGKey: "SELECT name FROM tsig_key WHERE id = ?",
	KindBootProfile: "SELECT COALESCE(s.prefix, t.name) FROM boot_profile p LEFT JOIN subnet s ON s.id = p.subnet_id " +
		"LEFT JOIN tag t ON t.id = p.tag_id WHERE p.id = ?",
}

// audit writes the event of a transaction.
func (inv *Inventory) audit(ctx context.Context, tx *store.Tx, a *Actor, changes []store.Change) error {
	e := Event{Kind: "change", Level: LevelAudit, User: a.User}
	var done []string
	more := 0
	for _, c := range changes {
		if c.Kind == nodes.kind { // told of as machine or device, too
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
			if c.Kind == KindMachine || c.Kind == KindDevice {
				e.NodeID = c.ID
			}
		}
		done = append(done, text)
	}
	if e.Description = a.Doing() + ": " + strings.Join(done, ", "); more > 0 {
		e.Description += fmt.Sprintf(" and %d more", more)
	}
	return inv.AddEvents(ctx, e)
}
