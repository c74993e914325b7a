package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Rack is a process that serves machines on the networks it is linked to.
type Rack struct {
	ID      int64
	Version int64  // counts changes; an update must carry the one that was read
	Name    string // unique; VLANs name their racks by it
	ZoneID  int64  // 0 = the default zone
	// Links are its interfaces with the addresses that count: those in networks it was given.
	Links    []RackLink
	LastSeen time.Time // zero = never
	// Networks are those that an administrator, or its token, gave it to serve. It also serves the
	// subnets of VLANs that name it; see [Model.Assignment].
	Networks []netip.Prefix
	// BMCNetworks are networks whose BMCs it switches, besides the BMCs in networks that it serves.
	BMCNetworks []netip.Prefix
	// Ignored are networks that it registered and an administrator does not want to hear of again.
	Ignored []netip.Prefix
	// Claim is its last registration. If nil, its links are not from a registration.
	Claim *Registration
	// Open is set if the networks of its next registration are given to it, once.
	Open bool
}

// RackLink is a network interface of a rack.
type RackLink struct {
	Name  string         `json:"name"`            // of the interface, such as "eth0"
	MAC   string         `json:"mac,omitempty"`   // "" = not known
	Addrs []netip.Prefix `json:"addrs,omitempty"` // its addresses with their prefix lengths
}

var racks = table[Rack]{
	kind: kinds.Rack, name: "rack", cols: []string{"name", "zone_id", "links", "last_seen", "networks", "bmc_networks", "ignored", "claim", "open"},
	id: func(r *Rack) *int64 { return &r.ID }, version: func(r *Rack) *int64 { return &r.Version },
	label: func(r *Rack) string { return r.Name },
	fields: func(r *Rack) []any {
		return []any{&r.Name, &r.ZoneID, asJSON{&r.Links}, asTime{&r.LastSeen}, asJSON{&r.Networks}, asJSON{&r.BMCNetworks}, asJSON{&r.Ignored},
			asJSON{&r.Claim}, &r.Open}
	},
}

// RegisterRack adds a rack, or updates the links of the rack with that name. The rack's own
// addresses are held from then on, so that no machine gets them.
func (inv *Inventory) RegisterRack(ctx context.Context, r Rack) (Rack, error) {
	if strings.TrimSpace(r.Name) == "" {
		return r, invalid(kinds.Rack, r.Name, "name", "is missing")
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
			links, zone, seen := r.Links, r.ZoneID, r.LastSeen
			r = old
			r.Links, r.ZoneID, r.LastSeen = links, cmp.Or(zone, old.ZoneID), seen
			// Racks register at each connection; without a change no plan has to be made again.
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

// holdRackAddresses makes a rack's allocations match the addresses of its links.
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
			continue // such as an address of a network that the site does not manage
		}
		if err != nil {
			return err
		}
		row := held{Allocation: ipam.Allocation{Type: ipam.AllocSticky, SubnetID: s.ID, Addr: a, Comment: r.holder()}}
		// Another rack or a user may hold the address already; that row keeps it from machines too.
		if err := insertHeld(ctx, tx, &row); err != nil && !isExist(err) {
			return fmt.Errorf("inventory: hold %s for %s: %w", a, r.holder(), err)
		}
	}
	return nil
}

// rackRules keeps the links as the rack registered them. A rack that a VLAN names cannot be
// deleted.
func (inv *Inventory) rackRules() rules[Rack] {
	return rules[Rack]{
		check: func(ctx context.Context, tx *store.Tx, r, old *Rack) error {
			if err := needName(kinds.Rack, r.Name); err != nil {
				return err
			}
			if old != nil {
				r.Links, r.LastSeen, r.Claim = old.Links, old.LastSeen, old.Claim
			}
			r.Networks, r.BMCNetworks = sortedNetworks(r.Networks), sortedNetworks(r.BMCNetworks)
			slices.SortFunc(r.Ignored, netip.Prefix.Compare)
			r.Ignored = slices.Compact(r.Ignored)
			if r.Claim != nil {
				a, err := readAssignment(ctx, tx, *r)
				if err != nil {
					return err
				}
				r.Links, _ = a.split(r.Claim.Links)
			}
			return orFirst(ctx, tx, zones, &r.ZoneID)
		},
		unique: func(r *Rack) string { return "name " + r.Name },
		key:    "name",
		after: func(ctx context.Context, tx *store.Tx, r, old *Rack) error {
			switch {
			case r == nil:
				return nil
			case old != nil && old.Name != r.Name:
				return renameRack(ctx, tx, old.Name, r.Name)
			}
			return inv.holdRackAddresses(ctx, tx, *r)
		},
		keep: inv.keepRack,
	}
}

func (inv *Inventory) keepRack(ctx context.Context, tx *store.Tx, r *Rack) error {
	vs, err := vlans.list(ctx, tx, "primary_rack = ? OR secondary_rack = ?", r.Name, r.Name)
	if err != nil {
		return err
	}
	var by []string
	for _, v := range vs {
		by = append(by, fmt.Sprintf("vlan %s (id %d)", v, v.ID))
	}
	if err := inUse(kinds.Rack, r.Name, "give these VLANs another rack first", by); err != nil {
		return err
	}
	gone := *r
	gone.Links = nil // which releases the addresses
	return inv.holdRackAddresses(ctx, tx, gone)
}

// rackNames are the columns that have the name of a rack, besides the racks' own. Those of VLANs
// and allocations are written as objects, since the change feed has them.
var rackNames = map[string][]string{
	"rack_certificate": {"rack"}, "rack_token": {"rack", "used_by"}, "rack_health": {"rack"}, "fact": {"rack"},
	"observation": {"rack"}, "dhcp_server": {"rack"}, "link_peer": {"rack"}, "scan": {"rack"},
}

// renameRack gives everything that names a rack its new name. The rack itself learns it when it
// connects again, by its certificate's row; failover partners accept it once it has renewed the
// certificate, which has the old name until then.
func renameRack(ctx context.Context, tx *store.Tx, from, to string) error {
	vs, err := vlans.list(ctx, tx, "primary_rack = ? OR secondary_rack = ?", from, from)
	for _, v := range vs {
		if v.PrimaryRack == from {
			v.PrimaryRack = to
		}
		if v.SecondaryRack == from {
			v.SecondaryRack = to
		}
		err = errors.Join(err, vlans.update(ctx, tx, &v))
	}
	err = errors.Join(err, renameInDomains(ctx, tx, from, to))
	held, herr := allocations.list(ctx, tx, "comment = ? AND type = ?", Rack{Name: from}.holder(), int64(ipam.AllocSticky))
	for _, a := range held {
		a.Comment = Rack{Name: to}.holder()
		err = errors.Join(err, allocations.update(ctx, tx, &a))
	}
	err = errors.Join(err, herr)
	for table, columns := range rackNames {
		for _, c := range columns {
			if err == nil {
				_, err = tx.Exec(ctx, "UPDATE "+table+" SET "+c+" = ? WHERE "+c+" = ?", to, from)
			}
		}
	}
	if err == nil {
		_, err = tx.Exec(ctx, "UPDATE link_peer SET peer = ? WHERE kind = 'rack' AND peer = ?", to, from)
	}
	return err
}

// renameInDomains gives a rack its new name in the lists of domains. A rack that is deleted stays
// in them: without it, a domain whose last rack it was would be served by all.
func renameInDomains(ctx context.Context, tx *store.Tx, from, to string) error {
	all, err := domains.list(ctx, tx, "racks <> 'null'")
	for _, d := range all {
		i := slices.Index(d.Racks, from)
		if i < 0 {
			continue
		}
		d.Racks[i] = to
		slices.Sort(d.Racks)
		err = errors.Join(err, domains.update(ctx, tx, &d))
	}
	return err
}
