package dhcpsrv

import (
	"bytes"
	"cmp"
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
	parts, err := compileAll(&snap)
	for _, c := range parts {
		err = cmp.Or(err, s.checkWatchable(c))
	}
	if err != nil {
		return fmt.Errorf("dhcpsrv: snapshot refused: %w", err)
	}
	s.replace(s.updates(parts))
	s.stocking[0].demand()
	s.stocking[1].demand()
	s.log.Info("snapshot in use", "subnets", len(snap.Subnets), "reservations", len(snap.Reservations))
	return nil
}

// vrfUpdate holds the snapshot that one VRF serves from next.
type vrfUpdate struct {
	*vrf
	next    *serving
	same    bool     // the subnets are those of before
	renamed []*entry // their clients have another key in next, or may have

	addrs  []addr4      // whose reservation is added or removed; only if same
	addrs6 []netip.Addr // the same
}

// updates returns the updates of all VRFs, those that are new and those that have no subnet any
// more included. The caller holds s.updating.
func (s *Server) updates(parts map[string]*serving) (all []*vrfUpdate) {
	s.mu.Lock()
	for name := range parts {
		if s.vrf(name) == nil {
			s.newVRF(name)
		}
	}
	for _, v := range s.vrfs {
		all = append(all, &vrfUpdate{vrf: v, next: parts[v.name]})
	}
	s.mu.Unlock()
	for _, u := range all {
		if u.next == nil {
			u.next = newServing(&Snapshot{})
		}
		if u.same = u.next.takeSubnets(u.v4.cur); u.same {
			u.addrs, u.addrs6 = differ(u.v4.cur.byAddr, u.next.byAddr), differ(u.v6.cur.byAddr, u.next.v6.byAddr)
		}
	}
	return all
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

// replace makes the VRFs serve from what is next, all between two packets.
func (s *Server) replace(all []*vrfUpdate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.findRenamed(all)
	s.prepare(all)
	for _, u := range all {
		if !u.same {
			u.v4.replace(u.next, u.renamed)
			u.v6.replace(u.next.v6)
			continue
		}
		again := u.v6.takeOut(u.addrs6)
		u.v4.reserve(u.addrs, u.renamed, func() { u.v4.cur, u.v6.cur = u.next, u.next.v6 })
		u.v6.putBack(u.addrs6, again)
	}
	s.vrfs = slices.DeleteFunc(s.vrfs, func(v *vrf) bool { return v.name != "" && v.empty() })
	s.indexVRFs()
}

// prepare gives a new snapshot the state that outlives the previous one. The caller holds s.mu.
func (s *Server) prepare(all []*vrfUpdate) {
	now := s.now()
	var next []*serving
	for _, u := range all {
		u.next.inherit(u.v4.cur, u.v6.cur, now+int64(s.cfg.OfferHold))
		next = append(next, u.next)
	}
	s.rewatch(next)
	s.repartner(next, now)
}

// servings returns what the VRFs serve from. The caller holds s.mu.
func (s *Server) servings() (all []*serving) {
	for _, v := range s.vrfs {
		all = append(all, v.v4.cur)
	}
	return all
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
	c.v6.subnets, c.v6.sorted, c.v6.byName, c.v6.byLink, c.v6.byRelay, c.v6.delegated = was.v6.subnets, was.v6.sorted, was.v6.byName, was.v6.byLink, was.v6.byRelay, was.v6.delegated
	return true
}

// sameOrder reports whether two shared networks have the same subnets, by name, in the same order:
// the first one serves first.
func (seg *sharedNetwork) sameOrder(was *sharedNetwork) bool {
	return slices.EqualFunc(seg.subnets, was.subnets, func(a, b *subnet) bool { return a.Name == b.Name })
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

// findRenamed finds the entries whose clients have another key next, and may find others. It starts
// and ends with s.mu held and releases it in between: the tables record the changes that packets
// make meanwhile.
func (s *Server) findRenamed(all []*vrfUpdate) {
	n := 0
	var buf [128]byte
	for _, u := range all {
		u.v4.noting = true
	}
	for _, u := range all {
		for _, e := range u.v4.byAddr {
			if n%updateChunk == 0 {
				s.mu.Unlock()
				rest(n + updateChunk - 1)
				s.mu.Lock()
			}
			if n++; string(u.next.keyOf(e, buf[:])) != e.key {
				u.renamed = append(u.renamed, e)
			}
		}
	}
	for _, u := range all {
		u.renamed = append(u.renamed, u.v4.noted...)
		u.v4.noting, u.v4.noted = false, nil
	}
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
			at, place := sub.aheadOf(a)
			at.remove(place)
		default:
			sub.use(a, -1)
		}
	}
	sortByEnd6(again)
	for _, e := range again {
		t.insert(e)
	}
}

// formerly is the server's identity before its address changed. Clients that were just offered an
// address under it still mean this server.
type formerly struct {
	server netip.Addr
	duid   []byte
	until  int64 // Unix nanoseconds
}

func (f *formerly) is(server netip.Addr, now int64) bool { return now < f.until && f.server == server }

func (f *formerly) isDUID(duid []byte, now int64) bool {
	return now < f.until && bytes.Equal(f.duid, duid)
}

// inherit keeps the identity of the previous snapshot for as long as an offer holds.
func (c *serving) inherit(was *serving, was6 *serving6, until int64) {
	for _, sub := range c.subnets {
		former := was.byName[sub.Name]
		switch {
		case former == nil || former.Server == sub.PartnerServer:
		case former.Server == sub.Server:
			sub.formerly = former.formerly
		default:
			sub.formerly = formerly{server: former.Server, until: until}
		}
	}
	for _, sub := range c.v6.subnets {
		former := was6.byName[sub.Name]
		switch {
		case former == nil || former.Server == sub.PartnerServer:
		case bytes.Equal(former.seg.duid, sub.seg.duid):
			sub.formerly = former.formerly
		default:
			sub.formerly = formerly{duid: former.seg.duid, until: until}
		}
	}
}
