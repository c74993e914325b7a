package inventory

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

// Rack is a process that serves machines on the networks it is linked to.
type Rack struct {
	ID       int64
	Version  int64  // counts changes; an update must carry the one that was read
	Name     string // unique; VLANs name their racks by it
	ZoneID   int64  // 0 = the default zone
	Links    []RackLink
	LastSeen time.Time // zero = never
}

// RackLink is a network interface of a rack.
type RackLink struct {
	Name  string         `json:"name"`            // of the interface, such as "eth0"
	MAC   string         `json:"mac,omitempty"`   // "" = not known
	Addrs []netip.Prefix `json:"addrs,omitempty"` // its addresses with their prefix lengths
}

var racks = table[Rack]{
	kind: KindRack, name: "rack", cols: []string{"name", "zone_id", "links", "last_seen"},
	id: func(r *Rack) *int64 { return &r.ID }, version: func(r *Rack) *int64 { return &r.Version },
	label: func(r *Rack) string { return r.Name },
	fields: func(r *Rack) []any {
		return []any{&r.Name, &r.ZoneID, asJSON{&r.Links}, asTime{&r.LastSeen}}
	},
}

// RegisterRack adds a rack, or brings the links of the one with that name up
// to date. The rack's own addresses are held from then on, so that nobody is
// given them.
func (inv *Inventory) RegisterRack(ctx context.Context, r Rack) (Rack, error) {
	if strings.TrimSpace(r.Name) == "" {
		return r, invalid(KindRack, r.Name, "name", "is missing")
	}
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r.LastSeen = time.Now()
		old, err := racks.one(ctx, tx, r.Name, "name = ?", r.Name)
		switch {
		case notFound(err):
			if r.ZoneID == 0 {
				if r.ZoneID, err = firstID(ctx, tx, "zone"); err != nil {
					return err
				}
			}
			err = racks.insert(ctx, tx, &r)
		case err == nil:
			r.ID, r.Version = old.ID, old.Version
			if r.ZoneID == 0 {
				r.ZoneID = old.ZoneID
			}
			if slices.EqualFunc(old.Links, r.Links, sameLink) && old.ZoneID == r.ZoneID {
				_, err = tx.Exec(ctx, "UPDATE rack SET last_seen = ? WHERE id = ?", asTime{&r.LastSeen}, r.ID)
				break
			}
			err = racks.update(ctx, tx, &r)
		}
		if err != nil {
			return err
		}
		return inv.holdRackAddresses(ctx, tx, r)
	})
	return r, err
}

func sameLink(a, b RackLink) bool {
	return a.Name == b.Name && a.MAC == b.MAC && slices.Equal(a.Addrs, b.Addrs)
}

// holder is the comment of the allocations that hold a rack's addresses.
func (r Rack) holder() string { return "rack " + r.Name }

// holdRackAddresses makes the allocations of a rack those of its links.
func (inv *Inventory) holdRackAddresses(ctx context.Context, tx *store.Tx, r Rack) error {
	have, err := allocations.list(ctx, tx, "comment = ? AND type = ? AND interface_id IS NULL AND owner = ''", r.holder(), int64(ipam.AllocSticky))
	if err != nil {
		return err
	}
	keep := make(map[netip.Addr]bool)
	for _, l := range r.Links {
		for _, p := range l.Addrs {
			keep[p.Addr()] = true
		}
	}
	for _, a := range have {
		if keep[a.Addr] {
			delete(keep, a.Addr)
		} else if err := inv.releaseWhere(ctx, tx, "id = ?", a.ID); err != nil {
			return err
		}
	}
	for a := range keep {
		s, err := subnetFor(ctx, tx, a)
		if notFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		row := held{Allocation: ipam.Allocation{Type: ipam.AllocSticky, SubnetID: s.ID, Addr: a, Comment: r.holder()}}
		if err := insertHeld(ctx, tx, &row); err != nil && !isExist(err) {
			return fmt.Errorf("inventory: hold %s for %s: %w", a, r.holder(), err)
		}
	}
	return nil
}

// UpdateRack moves a rack to another zone. Its name stays, since VLANs know it
// by that, and its links are what it registers itself.
func (inv *Inventory) UpdateRack(ctx context.Context, r Rack) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := racks.current(ctx, tx, &r)
		if err != nil {
			return err
		}
		if r.Name != old.Name {
			return invalid(KindRack, old.Name, "name", "cannot be changed")
		}
		r.Links, r.LastSeen = old.Links, old.LastSeen
		if err := orFirst(ctx, tx, zones, &r.ZoneID); err != nil {
			return err
		}
		return racks.update(ctx, tx, &r)
	})
}

// Racks lists the racks.
func (inv *Inventory) Racks(ctx context.Context) ([]Rack, error) { return listIn(ctx, inv, racks, "") }

// Rack returns a rack by name.
func (inv *Inventory) Rack(ctx context.Context, name string) (r Rack, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		r, err = racks.one(ctx, tx, name, "name = ?", name)
		return err
	})
	return r, err
}

// DeleteRack forgets a rack. VLANs it serves as the primary rack are in the way.
func (inv *Inventory) DeleteRack(ctx context.Context, name string) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := racks.one(ctx, tx, name, "name = ?", name)
		if err != nil {
			return err
		}
		vs, err := vlans.list(ctx, tx, "primary_rack = ? OR secondary_rack = ?", name, name)
		if err != nil {
			return err
		}
		var by []string
		for _, v := range vs {
			by = append(by, fmt.Sprintf("vlan %s (id %d)", v, v.ID))
		}
		if err := inUse(KindRack, name, "give these VLANs another rack first", by); err != nil {
			return err
		}
		r.Links = nil
		if err := inv.holdRackAddresses(ctx, tx, r); err != nil {
			return err
		}
		return racks.delete(ctx, tx, r.ID)
	})
}
