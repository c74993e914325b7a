package inventory

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

// Observation is a device that a rack saw on a network.
type Observation struct {
	ID        int64
	Addr      netip.Addr
	MAC       net.HardwareAddr
	Rack      string // that saw it last
	Link      string // interface of the rack
	VID       int    // VLAN tag it was seen with; 0 = none
	Hostname  string // as it or the network calls it; "" = not known
	FirstSeen time.Time
	LastSeen  time.Time
}

var observations = table[Observation]{
	kind: KindObservation, name: "observation", cols: []string{"ip", "mac", "rack", "link", "vid", "hostname", "first_seen", "last_seen"},
	id: func(o *Observation) *int64 { return &o.ID },
	fields: func(o *Observation) []any {
		return []any{asText{&o.Addr}, asMAC{&o.MAC}, &o.Rack, &o.Link, &o.VID, &o.Hostname, asTime{&o.FirstSeen}, asTime{&o.LastSeen}}
	},
}

// Observe takes in what a rack saw. Seeing the same again changes only when
// it was seen last, and is not in the change feed.
func (inv *Inventory) Observe(ctx context.Context, o Observation) error {
	if !o.Addr.IsValid() || len(o.MAC) == 0 {
		return invalid(KindObservation, o.Addr.String(), "ip", "and mac_address are needed")
	}
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if o.LastSeen.IsZero() {
			o.LastSeen = time.Now()
		}
		old, err := observations.one(ctx, tx, o.Addr.String(), "ip = ? AND mac = ?", o.Addr.String(), o.MAC.String())
		if notFound(err) {
			o.FirstSeen = o.LastSeen
			if s, err := subnetFor(ctx, tx, o.Addr); err == nil {
				if err := inv.touchSubnet(ctx, tx, s.ID); err != nil {
					return err
				}
			}
			return observations.insert(ctx, tx, &o)
		}
		if err != nil || o.LastSeen.Before(old.LastSeen) {
			return err
		}
		if o.Hostname == "" {
			o.Hostname = old.Hostname
		}
		o.ID, o.FirstSeen = old.ID, old.FirstSeen
		if o.Rack == old.Rack && o.Link == old.Link && o.VID == old.VID && o.Hostname == old.Hostname {
			_, err = tx.Exec(ctx, "UPDATE observation SET last_seen = ? WHERE id = ?", asTime{&o.LastSeen}, o.ID)
			return err
		}
		return observations.update(ctx, tx, &o)
	})
}

// Observations lists what racks saw.
func (inv *Inventory) Observations(ctx context.Context) ([]Observation, error) {
	return listIn(ctx, inv, observations, "")
}

// ForgetObservations deletes what was last seen before a time (zero = all)
// and returns how many.
func (inv *Inventory) ForgetObservations(ctx context.Context, before time.Time) (n int, err error) {
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		where, args := "1 = 1", []any{}
		if !before.IsZero() {
			where, args = "last_seen < ?", []any{before.UnixMicro()}
		}
		old, err := observations.list(ctx, tx, where, args...)
		if err != nil {
			return err
		}
		n = len(old)
		return observations.deleteWhere(ctx, tx, where, args...)
	})
	return n, err
}

// neighboursOf reads the observed devices of a subnet that hold no address of ours.
func neighboursOf(ctx context.Context, tx *store.Tx, p netip.Prefix) ([]ipam.Neighbour, error) {
	all, err := observations.list(ctx, tx, "ip NOT IN (SELECT ip FROM allocation WHERE ip IS NOT NULL)")
	var out []ipam.Neighbour
	for _, o := range all {
		if p.Contains(o.Addr) {
			out = append(out, ipam.Neighbour{Addr: o.Addr, MAC: o.MAC, LastSeen: o.LastSeen})
		}
	}
	return out, err
}
