package dhcpsrv

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
)

// An update releases the lock each time that it has looked at updateChunk leases, and the processor
// after updateRest leases or reservations: otherwise a goroutine that computes for long keeps a
// sole processor for 10 ms.
const (
	updateChunk = 256
	updateRest  = 2048
)

// Update checks snap as a whole and, when it is sound, serves from it at once; exchanges in
// progress finish. An unsound one is refused with an error that names the object, and the previous
// snapshot stays. Leases are kept: one whose address is no longer served expires, and its client is
// told to start over when it renews.
//
// When only reservations differ from the previous snapshot, packets wait for the difference only;
// otherwise they wait for up to a fifth of a microsecond per lease.
func (s *Server) Update(snap Snapshot) error {
	s.updating.Lock()
	defer s.updating.Unlock()
	return s.update(snap)
}

func (s *Server) update(snap Snapshot) error {
	c, err := compile(&snap)
	if err == nil {
		err = s.checkWatchable(c)
	}
	if err != nil {
		return fmt.Errorf("dhcpsrv: snapshot refused: %w", err)
	}
	if c.takeSubnets(s.table.cur) {
		s.replaceReservations(c)
	} else {
		s.replaceAll(c)
	}
	s.log.Info("snapshot in use", "subnets", len(snap.Subnets), "reservations", len(snap.Reservations))
	return nil
}

// checkWatchable refuses ModeAuto when there is no means to find other servers: serving unasked
// could harm the link.
func (s *Server) checkWatchable(c *serving) error {
	for _, sub := range c.subnets {
		if sub.Mode == ModeAuto && s.cfg.FindServers == nil {
			return fmt.Errorf("subnet %q: mode auto needs Config.FindServers (dhcplink.FindServers is one)", sub.Name)
		}
	}
	return nil
}

// replaceAll makes the server serve from c.
func (s *Server) replaceAll(c *serving) {
	s.mu.Lock()
	defer s.mu.Unlock()
	renamed := s.renamed(c)
	s.prepare(c)
	s.table.replace(c, renamed)
	s.table6.replace(c.v6)
}

// prepare gives a new snapshot the state that outlives the previous one. The caller holds s.mu.
func (s *Server) prepare(c *serving) {
	now := s.now()
	c.inherit(s.table.cur, s.table6.cur, now+int64(s.cfg.OfferHold))
	s.rewatch(c)
	s.repartner(c, now)
}

// takeSubnets takes over the subnets of the previous snapshot, with the state that they hold, when
// both are the same.
func (c *serving) takeSubnets(was *serving) bool {
	if len(c.subnets) != len(was.subnets) || len(c.v6.subnets) != len(was.v6.subnets) ||
		!reflect.DeepEqual(c.classes, was.classes) || !reflect.DeepEqual(c.site, was.site) || !reflect.DeepEqual(c.v6.site, was.v6.site) {
		return false
	}
	for i, sub := range c.subnets {
		if !reflect.DeepEqual(sub.Subnet, was.subnets[i].Subnet) {
			return false
		}
		if sub.seg.subnets[0] == sub && !sub.seg.sameOrder(was.subnets[i].seg) {
			return false
		}
	}
	for i, sub := range c.v6.subnets {
		if !reflect.DeepEqual(sub.Subnet, was.v6.subnets[i].Subnet) {
			return false
		}
	}
	c.subnets, c.byName, c.byLink, c.networks, c.byRelay = was.subnets, was.byName, was.byLink, was.networks, was.byRelay
	c.v6.subnets, c.v6.sorted, c.v6.byName, c.v6.byLink, c.v6.byRelay = was.v6.subnets, was.v6.sorted, was.v6.byName, was.v6.byLink, was.v6.byRelay
	return true
}

// sameOrder reports whether two shared networks have the same subnets, by name, in the same order:
// the first one serves first.
func (seg *sharedNetwork) sameOrder(was *sharedNetwork) bool {
	return slices.EqualFunc(seg.subnets, was.subnets, func(a, b *subnet) bool { return a.Name == b.Name })
}

// replaceReservations makes the server serve from c, which has the subnets of the previous
// snapshot.
func (s *Server) replaceReservations(c *serving) {
	addrs, addrs6 := differ(s.table.cur.byAddr, c.byAddr), differ(s.table6.cur.byAddr, c.v6.byAddr)
	s.mu.Lock()
	defer s.mu.Unlock()
	renamed := s.renamed(c)
	s.prepare(c)
	again := s.table6.takeOut(addrs6)
	s.table.reserve(addrs, renamed, func() { s.table.cur, s.table6.cur = c, c.v6 })
	s.table6.putBack(addrs6, again)
}

// differ returns the addresses that are reserved in one of two snapshots.
func differ[A comparable](was, is map[A]*Reservation) (addrs []A) {
	for a := range was {
		if is[a] == nil {
			addrs = append(addrs, a)
		}
	}
	for a := range is {
		if was[a] == nil {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// renamed returns the entries whose clients have another key in c, and may return others. It starts
// and ends with s.mu held and releases it in between: the table records the changes that packets
// make meanwhile.
func (s *Server) renamed(c *serving) []*entry {
	t, n := s.table, 0
	var out []*entry
	var buf [128]byte
	t.noting = true
	for _, e := range t.byAddr {
		if n%updateChunk == 0 {
			s.mu.Unlock()
			rest(n + updateChunk - 1)
			s.mu.Lock()
		}
		if n++; string(c.keyOf(e, buf[:])) != e.key {
			out = append(out, e)
		}
	}
	out = append(out, t.noted...)
	t.noting, t.noted = false, nil
	return out
}

// reserve makes the table serve from what apply puts in place, which has the same subnets. The
// entries of addrs, whose reservation is added or removed, and the entries of clients with another
// key are entered again.
func (t *table) reserve(addrs []addr4, renamed []*entry, apply func()) {
	for _, a := range addrs {
		if e := t.byAddr[a]; e != nil {
			renamed = append(renamed, e)
		}
	}
	again := renamed[:0]
	for _, e := range renamed {
		if t.byAddr[e.addr] == e { // not twice, and not when a packet removed it
			t.remove(e)
			again = append(again, e)
		}
	}
	apply()
	c := t.cur
	for _, a := range addrs {
		if sub := c.find(a); c.byAddr[a] != nil {
			sub.space.take(a)
		} else if !sub.isServer(a) {
			sub.space.release(a)
		}
	}
	sortByEnd(again)
	for _, e := range again {
		t.adopt(e)
		t.insert(e)
	}
}

// takeOut takes the entries of addresses out of the indexes, before their reservations are added or
// removed. Keys of IPv6 do not depend on reservations.
func (t *table6) takeOut(addrs []netip.Addr) (again []*entry6) {
	for _, a := range addrs {
		if e := t.byAddr[a]; e != nil {
			t.remove(e)
			again = append(again, e)
		}
	}
	return again
}

// putBack enters them again, once the reservations have changed.
func (t *table6) putBack(addrs []netip.Addr, again []*entry6) {
	c := t.cur
	for _, a := range addrs {
		switch sub := c.find(a); {
		case sub.pool(a) < 0:
		case c.byAddr[a] != nil:
			sub.use(a, 1)
		default:
			sub.use(a, -1)
		}
	}
	sortByEnd6(again)
	for _, e := range again {
		t.insert(e)
	}
}
