package dhcpsrv

import (
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
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
// [Server.Reserve] does, between two packets: all of it or, with an error, nothing.
func (s *Server) ChangeReservations(remove, add []Reservation) error {
	s.updating.Lock()
	defer s.updating.Unlock()
	c := s.table.cur
	var gone []*Reservation
	take := func(found []*Reservation) {
		for _, old := range found {
			if !slices.Contains(gone, old) {
				gone = append(gone, old)
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
	own := slices.Clone(add)
	fresh := make([]*Reservation, len(own))
	for i := range own {
		fresh[i] = &own[i]
		take(c.replacedBy(fresh[i]))
	}
	if err := s.changeReservations(gone, fresh); err != nil {
		return fmt.Errorf("dhcpsrv: reserve: %w", err)
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
func (s *Server) changeReservations(gone, add []*Reservation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.table.cur
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
	renamed := s.table.renamedBy(gone, add)
	addrs = keepIf(addrs, func(i int) bool { return was[i] != (c.byAddr[addrs[i]] != nil) })
	addrs6 = keepIf(addrs6, func(i int) bool { return was6[i] != (c.v6.byAddr[addrs6[i]] != nil) })
	c.withdraw(add)
	c.restore(gone)
	// The entries leave the indexes as they are before the change, and enter them as they are after
	// it.
	again := s.table6.takeOut(addrs6)
	s.table.reserve(addrs, renamed, func() {
		c.withdraw(gone)
		c.restore(add)
	})
	s.table6.putBack(addrs6, again)
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
		if c.v6.byAddr[r.Addr] == r {
			delete(c.v6.byAddr, r.Addr)
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
	if e.clientID != "" && e.clientID == string(r.ClientID) || e.subscriber != "" && e.subscriber == r.Subscriber {
		return true
	}
	return e.mac != "" && r.isFor([]byte(e.mac))
}

// SetSubnet replaces the subnet of that name, or adds it, and keeps all else. It is checked like a
// whole snapshot. The time depends on the leases of the subnet, not on the size of the site, while
// its prefix, its server and its place in the network (Link, Relays, SharedNetwork, Mode, partner,
// ByClientID) stay. So it is for a new IPv4 subnet on a network of its own, without a partner.
// Other changes take as long as [Server.Update].
func (s *Server) SetSubnet(conf Subnet) error {
	s.updating.Lock()
	defer s.updating.Unlock()
	c := s.table.cur
	if conf.Prefix.IsValid() {
		conf.Prefix = conf.Prefix.Masked()
		if done, err := s.setInPlace(c, conf); done || err != nil {
			return err
		}
		if done, err := s.addAlone(c, conf); done || err != nil {
			return err
		}
	}
	return s.update(s.snapshotWith(conf))
}

// setInPlace replaces a subnet whose place in the network stays, if it is one.
func (s *Server) setInPlace(c *serving, conf Subnet) (done bool, err error) {
	if old := c.byName[conf.Name]; old != nil && sameSite(old.Subnet, conf) {
		sub, err := c.newSubnet(conf)
		if err != nil {
			return false, fmt.Errorf("dhcpsrv: snapshot refused: %w", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.table.swap(old, sub) {
			return false, nil
		}
		s.repartner(c, s.now())
		return true, nil
	}
	if old := c.v6.byName[conf.Name]; old != nil && sameSite(old.Subnet, conf) {
		sub, err := c.v6.newSubnet(conf)
		if err != nil {
			return false, fmt.Errorf("dhcpsrv: snapshot refused: subnet %q: %w", conf.Name, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.table6.swap(old, sub) {
			return false, nil
		}
		s.repartner(c, s.now())
		return true, nil
	}
	return false, nil
}

// addAlone adds an IPv4 subnet that shares its network with no other, if it is one.
func (s *Server) addAlone(c *serving, conf Subnet) (done bool, err error) {
	if !conf.Prefix.Addr().Is4() || c.byName[conf.Name] != nil || c.v6.byName[conf.Name] != nil || conf.SharedNetwork != "" ||
		conf.Link != "" && c.byLink[conf.Link] != nil || len(conf.Relays) > 0 || conf.Partner != "" || conf.Mode > ModeProxy {
		return false, nil
	}
	sub, err := c.newSubnet(conf)
	if err != nil {
		return false, fmt.Errorf("dhcpsrv: snapshot refused: %w", err)
	}
	at, _ := slices.BinarySearchFunc(c.subnets, sub, func(a, b *subnet) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	if at > 0 && c.subnets[at-1].hi >= sub.lo || at < len(c.subnets) && c.subnets[at].lo <= sub.hi {
		return false, nil // the check of the whole names both
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.seg = &sharedNetwork{name: sub.Link, subnets: []*subnet{sub}, byClientID: sub.ByClientID, mode: sub.Mode}
	entries, _ := within(s.table.byAddr, sub, len(s.table.byAddr))
	for _, e := range entries {
		s.table.remove(e)
	}
	c.subnets = slices.Insert(c.subnets, at, sub)
	c.networks = append(c.networks, sub.seg)
	c.byName[sub.Name] = sub
	if sub.Link != "" {
		c.byLink[sub.Link] = sub.seg
	}
	sortByEnd(entries)
	for _, e := range entries {
		s.table.adopt(e)
		s.table.insert(e)
	}
	s.repartner(c, s.now())
	return true, nil
}

// sameSite reports whether two subnets differ only in what concerns no other subnet and no
// reservation.
func sameSite(a, b Subnet) bool {
	return a.Prefix == b.Prefix && a.Server == b.Server && a.Link == b.Link && slices.Equal(a.Relays, b.Relays) &&
		a.SharedNetwork == b.SharedNetwork && a.Mode == b.Mode && a.ByClientID == b.ByClientID &&
		a.Partner == b.Partner && a.Secondary == b.Secondary && a.PartnerServer == b.PartnerServer
}

// snapshotWith returns what is served, with one subnet replaced or added.
func (s *Server) snapshotWith(conf Subnet) Snapshot {
	c := s.table.cur
	snap := Snapshot{Classes: c.classes, Options: c.site, Options6: c.v6.site}
	found := false
	put := func(sub Subnet) {
		if sub.Name == conf.Name {
			sub, found = conf, true
		}
		snap.Subnets = append(snap.Subnets, sub)
	}
	// The order within a shared network matters: its first subnet serves first.
	for _, seg := range c.networks {
		for _, sub := range seg.subnets {
			put(sub.Subnet)
		}
	}
	for _, sub := range c.v6.subnets {
		put(sub.Subnet)
	}
	if !found {
		snap.Subnets = append(snap.Subnets, conf)
	}
	for _, p := range c.partners {
		snap.Partners = append(snap.Partners, p)
	}
	snap.Reservations = c.reservations()
	return snap
}

// reservations returns all reservations.
func (c *serving) reservations() (out []Reservation) {
	seen := make(map[*Reservation]bool, len(c.byClient))
	collect := func(index map[string][]*Reservation) {
		for _, list := range index {
			for _, r := range list {
				if !seen[r] {
					seen[r] = true
					out = append(out, *r)
				}
			}
		}
	}
	collect(c.byClient)
	collect(c.v6.byClient)
	return out
}

// maxSwap bounds the leases that a swap of a subnet enters again while packets wait: about 4 ms.
const maxSwap = 4096

// swap puts a subnet in the place of one with the same addresses and reports whether it did: with
// other pools or quotas, and more than maxSwap leases, it does not.
func (t *table) swap(old, sub *subnet) bool {
	same := reflect.DeepEqual(old.Pools, sub.Pools) && old.CircuitQuota == sub.CircuitQuota && old.LinkQuota == sub.LinkQuota
	limit := maxSwap
	if same {
		limit = len(t.byAddr)
	}
	entries, ok := within(t.byAddr, old, limit)
	reserved, _ := within(t.cur.byAddr, old, len(t.cur.byAddr))
	if !ok {
		return false
	}
	if same {
		sub.space = old.space
	} else {
		for _, e := range entries {
			t.remove(e)
		}
		for _, r := range reserved {
			sub.space.take(addr4From(r.Addr))
		}
	}
	t.cur.put(old, sub)
	if same {
		for _, e := range entries {
			e.sub, e.subnetName = sub, sub.Name
		}
		return true
	}
	sortByEnd(entries)
	for _, e := range entries {
		t.adopt(e)
		t.insert(e)
	}
	return true
}

// put makes sub take the place of old in the indexes.
func (c *serving) put(old, sub *subnet) {
	sub.seg, sub.partner, sub.formerly = old.seg, old.partner, old.formerly
	c.byName[sub.Name] = sub
	c.subnets[slices.Index(c.subnets, old)] = sub
	sub.seg.subnets[slices.Index(sub.seg.subnets, old)] = sub
	for _, relay := range sub.Relays {
		if a := addr4From(relay); c.byRelay[a] == old {
			c.byRelay[a] = sub
		}
	}
}

// within returns the values of an index whose addresses are in a subnet, and whether there are at
// most limit.
func within[V any](index map[addr4]V, sub *subnet, limit int) (out []V, ok bool) {
	if size := uint64(sub.hi-sub.lo) + 1; size < uint64(len(index)) {
		for a := range size {
			if v, ok := index[sub.lo+addr4(a)]; ok {
				out = append(out, v)
			}
		}
		return out, len(out) <= limit
	}
	for a, v := range index {
		if sub.contains(a) {
			if out = append(out, v); len(out) > limit {
				return nil, false
			}
		}
	}
	return out, true
}

// swap is [table.swap] for IPv6, whose entries always are entered again.
func (t *table6) swap(old, sub *subnet6) bool {
	var entries []*entry6
	for _, e := range t.byAddr {
		if e.sub == old {
			if entries = append(entries, e); len(entries) > maxSwap {
				return false
			}
		}
	}
	for _, e := range entries {
		t.remove(e)
	}
	sub.seg, sub.partner, sub.formerly = old.seg, old.partner, old.formerly
	c := t.cur
	c.byName[sub.Name] = sub
	for _, list := range [][]*subnet6{c.subnets, c.sorted, sub.seg.subnets} {
		list[slices.Index(list, old)] = sub
	}
	for _, relay := range sub.Relays {
		if c.byRelay[relay] == old {
			c.byRelay[relay] = sub
		}
	}
	for a := range c.byAddr {
		if sub.Prefix.Contains(a) && sub.pool(a) >= 0 {
			sub.use(a, 1)
		}
	}
	if sub.pool(sub.Server) >= 0 {
		sub.use(sub.Server, 1)
	}
	sortByEnd6(entries)
	for _, e := range entries {
		e.sub = sub
		t.insert(e)
	}
	return true
}
