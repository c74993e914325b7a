package inventory

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Observation is a device that a rack saw on a network. Rack, Link, VID, Addr and MAC together tell
// it from others.
type Observation struct {
	ID        int64
	Addr      netip.Addr
	MAC       net.HardwareAddr
	Rack      string // that saw it
	Link      string // interface of the rack
	VID       int    // VLAN tag it was seen with; 0 = none
	Hostname  string // as it or the network calls it; "" = not known
	FirstSeen time.Time
	LastSeen  time.Time
	Expires   time.Time // when it is forgotten unless it is seen again; zero = defaultObservationTTL after LastSeen
	Count     int64     // packets about it, by the rack's reports
	Sources   discovery.Source
	Rival     net.HardwareAddr // another MAC that uses the address by turns; nil = none
	Info      discovery.Info   // names, services and what else is known
}

// defaultObservationTTL is for how long an observation is kept that does not say so itself.
const defaultObservationTTL = 24 * time.Hour

// maxObservations bounds the table: above it, the longest silent are forgotten.
const maxObservations = 1 << 16

var observations = table[Observation]{
	kind: kinds.Observation, name: "observation",
	cols: []string{"ip", "mac", "rack", "link", "vid", "hostname", "first_seen", "last_seen", "expires", "count", "sources", "rival", "info"},
	id:   func(o *Observation) *int64 { return &o.ID },
	fields: func(o *Observation) []any {
		return []any{asText{&o.Addr}, asMAC{&o.MAC}, &o.Rack, &o.Link, &o.VID, &o.Hostname, asTime{&o.FirstSeen}, asTime{&o.LastSeen}, asTime{&o.Expires},
			&o.Count, asText{&o.Sources}, asMAC{&o.Rival}, asJSON{&o.Info}}
	},
}

// Observe takes in what a rack saw. Seeing the same again changes only when it was seen last, and
// is not in the change feed.
func (ds *Discoveries) Observe(ctx context.Context, o Observation) error {
	if !o.Addr.IsValid() || len(o.MAC) == 0 {
		return invalid(kinds.Observation, o.Addr.String(), "ip", "and mac_address are needed")
	}
	return ds.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error { return ds.inv.observe(ctx, tx, o) })
}

func (inv *Inventory) observe(ctx context.Context, tx *store.Tx, o Observation) error {
	if o.LastSeen.IsZero() {
		o.LastSeen = time.Now()
	}
	if o.FirstSeen.IsZero() {
		o.FirstSeen = o.LastSeen
	}
	if o.Expires.IsZero() {
		o.Expires = o.LastSeen.Add(defaultObservationTTL)
	}
	o.Count = max(o.Count, 1)
	const same = "rack = ? AND link = ? AND vid = ? AND ip = ? AND mac = ?"
	old, err := observations.one(ctx, tx, o.Addr.String(), same, o.Rack, o.Link, o.VID, o.Addr.String(), o.MAC.String())
	if notFound(err) {
		return inv.addObservation(ctx, tx, &o)
	}
	if err != nil || o.LastSeen.Before(old.LastSeen) {
		return err
	}
	o.Hostname = cmp.Or(o.Hostname, old.Hostname)
	o.ID, o.FirstSeen = old.ID, old.FirstSeen
	o.Sources |= old.Sources
	if o.Hostname == old.Hostname && o.Sources == old.Sources && o.Rival.String() == old.Rival.String() && sameJSON(o.Info, old.Info) {
		_, err = tx.Exec(ctx, "UPDATE observation SET last_seen = ?, expires = ?, count = ? WHERE id = ?", asTime{&o.LastSeen}, asTime{&o.Expires}, o.Count, o.ID)
		return err
	}
	return observations.update(ctx, tx, &o)
}

func (inv *Inventory) addObservation(ctx context.Context, tx *store.Tx, o *Observation) error {
	if s, err := subnetFor(ctx, tx, o.Addr); err == nil {
		if err := touchSubnet(ctx, tx, s.ID); err != nil {
			return err
		}
	}
	if err := observations.insert(ctx, tx, o); err != nil {
		return err
	}
	if err := inv.noteAnswerer(ctx, tx, o); err != nil {
		return err
	}
	if o.ID%256 != 0 { // counting costs, so that it is done now and then
		return nil
	}
	const oldest = "id IN (SELECT id FROM observation ORDER BY last_seen DESC LIMIT ? OFFSET ?)"
	return observations.deleteWhere(ctx, tx, oldest, 1<<20, maxObservations)
}

func (inv *Inventory) forgetObservations(ctx context.Context, where string, args ...any) (n int, err error) {
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := observations.list(ctx, tx, where, args...)
		if err != nil {
			return err
		}
		n = len(old)
		return observations.deleteWhere(ctx, tx, where, args...)
	})
	return n, err
}

// Expire deletes what has not been seen for as long as its sources vouch for it: devices, switches,
// racks, DHCP servers. It returns how many devices.
func (ds *Discoveries) Expire(ctx context.Context, now time.Time) (n int, err error) {
	err = ds.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if n, err = ds.inv.forgetObservations(ctx, "expires < ? AND (expires > 0 OR last_seen < ?)", now.UnixMicro(), now.Add(-defaultObservationTTL).UnixMicro()); err != nil {
			return err
		}
		if err := linkPeers.deleteWhere(ctx, tx, "expires < ?", now.UnixMicro()); err != nil {
			return err
		}
		return dhcpServers.deleteWhere(ctx, tx, "last_seen < ?", now.Add(-defaultObservationTTL).UnixMicro())
	})
	return n, err
}

// maxPerMAC is the number of addresses of a subnet that one device is believed to have. A router
// with proxy ARP answers for every address, also for those that nothing has (RFC 1027).
const maxPerMAC = 16

// believable returns the number of addresses of a subnet that one device may have: fewer in a small
// one, where a router answers for few.
func believable(p netip.Prefix) int {
	if bits := p.Addr().BitLen() - p.Bits(); bits < 6 {
		return max(4, 1<<bits/4)
	}
	return maxPerMAC
}

// answerer is a device that answers for many addresses of a subnet. The first one that it was seen
// at counts as its own.
type answerer struct {
	many bool
	own  netip.Addr
	n    int
	seen time.Time
}

// not reports whether the address is one that the device only answers for.
func (a answerer) not(addr netip.Addr) bool { return a.many && addr != a.own }

// answersForMany returns the devices, by link address, that answer for many addresses of a subnet.
func answersForMany(p netip.Prefix, all []Observation) map[string]answerer {
	found := make(map[string]answerer)
	counted := make(map[string]bool) // several racks see the same
	for _, o := range all {
		mac := o.MAC.String()
		if key := mac + " " + o.Addr.String(); !p.Contains(o.Addr) || counted[key] {
			continue
		} else {
			counted[key] = true
		}
		a := found[mac]
		if a.n++; a.n == 1 || o.FirstSeen.Before(a.seen) {
			a.own, a.seen = o.Addr, o.FirstSeen
		}
		a.many = a.n > believable(p)
		found[mac] = a
	}
	return found
}

// answererAt returns what is known of a device in the subnet of an address.
func answererAt(ctx context.Context, tx *store.Tx, mac net.HardwareAddr, addr netip.Addr) (answerer, netip.Prefix, error) {
	s, err := subnetFor(ctx, tx, addr)
	if err != nil {
		if notFound(err) {
			err = nil
		}
		return answerer{}, netip.Prefix{}, err
	}
	all, err := observations.list(ctx, tx, "mac = ?", mac.String())
	return answersForMany(s.Prefix, all)[mac.String()], s.Prefix, err
}

// noteAnswerer logs that a device answers for more addresses than it can have, when it is seen at
// the first that is too many.
func (inv *Inventory) noteAnswerer(ctx context.Context, tx *store.Tx, o *Observation) error {
	a, p, err := answererAt(ctx, tx, o.MAC, o.Addr)
	if err != nil || !a.many || a.n != believable(p)+1 {
		return err
	}
	// Other racks see the same.
	if same, err := observations.list(ctx, tx, "mac = ? AND ip = ?", o.MAC.String(), o.Addr.String()); err != nil || len(same) > 1 {
		return err
	}
	if err := touchSubnetOf(ctx, tx, o.Addr); err != nil { // what it answers for is free again
		return err
	}
	return inv.note(ctx, "warning", "%s answers for more than %d addresses of %s, as rack %s saw on %s: a router with proxy ARP. Addresses that only it answers for count as free",
		o.MAC, believable(p), p, o.Rack, o.Link)
}

// touchSubnetOf notes that the rules of the addresses of a subnet have changed.
func touchSubnetOf(ctx context.Context, tx *store.Tx, a netip.Addr) error {
	s, err := subnetFor(ctx, tx, a)
	if notFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return touchSubnet(ctx, tx, s.ID)
}

// neighboursOf reads the observed devices of a subnet that hold no address of ours, each address
// once. An address that only a router with proxy ARP answers for has no device.
func neighboursOf(ctx context.Context, tx *store.Tx, p netip.Prefix) ([]ipam.Neighbour, error) {
	all, err := observations.list(ctx, tx, "ip NOT IN (SELECT ip FROM allocation WHERE ip IS NOT NULL)")
	var out []ipam.Neighbour
	at := map[netip.Addr]int{}
	proxies := answersForMany(p, all)
	for _, o := range all {
		if !p.Contains(o.Addr) || proxies[o.MAC.String()].not(o.Addr) {
			continue
		}
		n := ipam.Neighbour{Addr: o.Addr, MAC: o.MAC, LastSeen: o.LastSeen}
		if i, known := at[o.Addr]; !known {
			at[o.Addr] = len(out)
			out = append(out, n)
		} else if n.LastSeen.After(out[i].LastSeen) {
			out[i] = n
		}
	}
	return out, err
}
