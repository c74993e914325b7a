package dhcpsrv

import (
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
)

// Reserve adds reservations to those of the snapshot, all of them or, with an error that names the
// object, none. A reservation replaces the one that its client has in the same scope: the subnet of
// its address, the subnet that it names, or none. [Server.Update] replaces them all.
//
// The time does not depend on the size of the site, except that each lease is looked at where
// reservations go by client identifier or subscriber, or subnets by ClientID. The leases stay: a
// client moves when it renews.
func (s *Server) Reserve(rs ...Reservation) error { return s.ChangeReservations(nil, rs) }

// Unreserve removes the reservations of clients, of which MAC, ClientID, DUID or Subscriber is
// enough: those in the scope that Addr or Subnet names or, without both, all. When a client has
// none, nothing is changed and the error satisfies errors.Is(err, fs.ErrNotExist).
func (s *Server) Unreserve(rs ...Reservation) error { return s.ChangeReservations(rs, nil) }

// ChangeReservations removes some reservations as [Server.Unreserve] does and adds others as
// [Server.Reserve] does, between two packets for each VRF: all of it or, with an error, nothing.
func (s *Server) ChangeReservations(remove, add []Reservation) error {
	s.updating.Lock()
	defer s.updating.Unlock()
	var all []*reservationChange
	for _, v := range s.vrfs {
		c := &reservationChange{vrf: v}
		if err := c.plan(s.ofVRF(v, remove), s.ofVRF(v, add)); err != nil {
			return err
		}
		all = append(all, c)
	}
	for _, r := range slices.Concat(remove, add) {
		if s.vrfOf(&r) == nil {
			return fmt.Errorf("dhcpsrv: reserve: reservation %s: no subnet is in VRF %q: %w", r.label(), r.VRF, fs.ErrNotExist)
		}
	}
	for i, c := range all {
		err := s.changeReservations(c.vrf, c.gone, c.fresh)
		if err == nil {
			continue
		}
		for _, done := range all[:i] {
			s.changeReservations(done.vrf, done.fresh, done.gone) // the former ones are sound
		}
		return fmt.Errorf("dhcpsrv: reserve: %w", err)
	}
	return nil
}

// vrfOf returns the VRF that a reservation is for, or nil.
func (s *Server) vrfOf(r *Reservation) *vrf {
	for _, v := range s.vrfs {
		if r.VRF == "" && r.Subnet != "" && (v.v4.cur.byName[r.Subnet] != nil || v.v6.cur.byName[r.Subnet] != nil) {
			return v
		}
	}
	return s.vrf(r.VRF)
}

// ofVRF returns the reservations that are for a VRF.
func (s *Server) ofVRF(v *vrf, rs []Reservation) (out []Reservation) {
	if len(s.vrfs) == 1 {
		return slices.Clone(rs)
	}
	for i := range rs {
		if s.vrfOf(&rs[i]) == v {
			out = append(out, rs[i])
		}
	}
	return out
}

// reservationChange is a change of the reservations of one VRF.
type reservationChange struct {
	vrf         *vrf
	gone, fresh []*Reservation
}

// plan finds what is to be removed for a change, and fails when a client has none of it.
func (x *reservationChange) plan(remove, add []Reservation) error {
	c := x.vrf.v4.cur
	take := func(found []*Reservation) {
		for _, old := range found {
			if !slices.Contains(x.gone, old) {
				x.gone = append(x.gone, old)
			}
		}
	}
	for i := range remove {
		found := c.clientsOf(&remove[i], func(old *Reservation) bool { return c.inScope(old, &remove[i]) })
		if len(found) == 0 {
			return fmt.Errorf("dhcpsrv: unreserve: reservation %s: %w", remove[i].label(), fs.ErrNotExist)
		}
		take(found)
	}
	x.fresh = make([]*Reservation, len(add))
	for i := range add {
		x.fresh[i] = &add[i]
		take(c.replacedBy(x.fresh[i]))
	}
	return nil
}

// inScope reports whether a reservation is in the scope that another one names.
func (c *serving) inScope(r, named *Reservation) bool {
	switch {
	case named.Addr.IsValid():
		return r.Addr == named.Addr
	case named.Subnet != "":
		return c.subnetOf(r) == named.Subnet
	}
	return true
}

// clientsOf returns the reservations of both families that share an identity with r and satisfy
// fits.
func (c *serving) clientsOf(r *Reservation, fits func(*Reservation) bool) (found []*Reservation) {
	collect := func(list []*Reservation) {
		for _, old := range list {
			if fits(old) && !slices.Contains(found, old) {
				found = append(found, old)
			}
		}
	}
	for _, id := range r.identities() {
		collect(c.byClient[id])
	}
	for _, id := range r.identities6() {
		collect(c.v6.byClient[id])
	}
	return found
}

// replacedBy returns the reservations of r's client in r's scope.
func (c *serving) replacedBy(r *Reservation) []*Reservation {
	scope := c.subnetOf(r)
	return c.clientsOf(r, func(old *Reservation) bool {
		return c.subnetOf(old) == scope
	})
}

// subnetOf returns the name of the subnet that a reservation is for; "" = any, or none.
func (c *serving) subnetOf(r *Reservation) string {
	if !r.Addr.IsValid() {
		return r.Subnet
	}
	if is6(r.Addr) {
		if sub := c.v6.find(r.Addr); sub != nil {
			return sub.Name
		}
	} else if sub := c.find(addr4From(r.Addr)); r.Addr.Is4() && sub != nil {
		return sub.Name
	}
	return r.Subnet
}

// changeReservations removes some reservations and adds others, or changes nothing and returns an
// error. The caller holds s.updating.
func (s *Server) changeReservations(v *vrf, gone, add []*Reservation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := v.v4.cur
	var was, was6 []bool
	addrs, addrs6 := addrsOf(gone, add)
	for _, a := range addrs {
		was = append(was, c.byAddr[a] != nil)
	}
	for _, a := range addrs6 {
		was6 = append(was6, c.v6.byAddr[a] != nil)
	}
	// The change is tried first, so that nothing else has to be undone when it is refused.
	if err := c.exchange(gone, add); err != nil {
		return err
	}
	renamed := v.v4.renamedBy(gone, add)
	addrs = keepIf(addrs, func(i int) bool { return was[i] != (c.byAddr[addrs[i]] != nil) })
	addrs6 = keepIf(addrs6, func(i int) bool { return was6[i] != (c.v6.byAddr[addrs6[i]] != nil) })
	c.withdraw(add)
	c.restore(gone)
	// The entries leave the indexes as they are before the change, and enter them as they are after
	// it.
	again := v.v6.takeOut(addrs6)
	v.v4.reserve(addrs, renamed, func() {
		c.withdraw(gone)
		c.restore(add)
	})
	v.v6.putBack(addrs6, again)
	return nil
}

func keepIf[A any](list []A, keep func(i int) bool) (out []A) {
	for i := range list {
		if keep(i) {
			out = append(out, list[i])
		}
	}
	return out
}

// addrsOf returns the addresses of reservations, each once.
func addrsOf(lists ...[]*Reservation) (addrs []addr4, addrs6 []netip.Addr) {
	for _, list := range lists {
		for _, r := range list {
			switch a := r.Addr; {
			case is6(a):
				addrs6 = append(addrs6, a)
			case a.Is4():
				addrs = append(addrs, addr4From(a))
			}
		}
	}
	slices.Sort(addrs)
	slices.SortFunc(addrs6, netip.Addr.Compare)
	return slices.Compact(addrs), slices.Compact(addrs6)
}

// exchange takes reservations out of the indexes and enters others. After an error the indexes are
// as before.
func (c *serving) exchange(gone, add []*Reservation) error {
	c.withdraw(gone)
	for i, r := range add {
		if err := c.reserveEither(r); err != nil {
			c.withdraw(add[:i+1])
			c.restore(gone)
			return err
		}
	}
	return nil
}

// restore enters reservations that are known to be sound.
func (c *serving) restore(rs []*Reservation) {
	for _, r := range rs {
		if err := c.reserveEither(r); err != nil {
			panic(err) // it was in the indexes a moment ago
		}
	}
}

// withdraw takes reservations out of the indexes, also those that are in some of them only.
func (c *serving) withdraw(rs []*Reservation) {
	for _, r := range rs {
		if a := addr4From(r.Addr); r.Addr.Is4() && c.byAddr[a] == r {
			delete(c.byAddr, a)
		}
		for _, a := range []netip.Addr{r.Addr, r.Prefix.Addr()} {
			if c.v6.byAddr[a] == r {
				delete(c.v6.byAddr, a)
			}
		}
		for _, id := range r.identities() {
			withdrawFrom(c.byClient, id, r)
		}
		for _, id := range r.identities6() {
			withdrawFrom(c.v6.byClient, id, r)
		}
	}
}

func withdrawFrom(index map[string][]*Reservation, id string, r *Reservation) {
	list := index[id]
	i := slices.Index(list, r)
	switch {
	case i < 0:
	case len(list) == 1:
		delete(index, id)
	default:
		index[id] = slices.Delete(list, i, i+1)
	}
}

// renamedBy returns the entries whose clients have another key since the reservations changed.
func (t *table) renamedBy(lists ...[]*Reservation) (out []*entry) {
	var buf [128]byte
	seen := make(map[*entry]bool)
	look := func(e *entry) {
		if !seen[e] && string(t.cur.keyOf(e, buf[:])) != e.key {
			seen[e] = true
			out = append(out, e)
		}
	}
	byID := slices.ContainsFunc(t.cur.networks, func(seg *sharedNetwork) bool { return seg.byClientID })
	var scan []*Reservation
	for _, list := range lists {
		for _, r := range list {
			for _, id := range r.identities() {
				for e := t.byClient[id]; e != nil; e = e.sameClient {
					look(e)
				}
				// The client of an alias has the key of the reservation that it had before.
				for _, other := range t.cur.byClient[id] {
					for e := t.byClient[macKey(other.MAC)]; e != nil; e = e.sameClient {
						look(e)
					}
				}
			}
			// Entries are found by the key of their client alone. Where another of its identities
			// is the key, only a look at each entry finds it.
			if len(r.ClientID) > 0 || t.cur.subscribed || byID {
				scan = append(scan, r)
			}
		}
	}
	if len(scan) == 0 {
		return out
	}
	for _, e := range t.byAddr {
		if slices.ContainsFunc(scan, func(r *Reservation) bool { return r.names(e) }) {
			look(e)
		}
	}
	return out
}

// names reports whether an entry has one of the identities of a reservation.
func (r *Reservation) names(e *entry) bool {
	if e.clientID() != "" && e.clientID() == string(r.ClientID) || e.subscriber() != "" && e.subscriber() == r.Subscriber {
		return true
	}
	return e.mac() != "" && r.isFor([]byte(e.mac()))
}
