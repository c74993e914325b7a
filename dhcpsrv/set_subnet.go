package dhcpsrv

import (
	"fmt"
	"reflect"
	"slices"
)

// SetSubnet replaces the subnet of that name, or adds it, and keeps all else. It is checked like a
// whole snapshot. The time depends on the leases of the subnet, not on the size of the site, while
// its prefix, its server and its place in the network (Link, Relays, SharedNetwork, Mode, partner,
// ByClientID) stay. So it is for a new IPv4 subnet on a network of its own, without a partner.
// Other changes take as long as [Server.Update].
func (s *Server) SetSubnet(conf Subnet) error {
	s.updating.Lock()
	defer s.updating.Unlock()
	if v := s.vrf(conf.VRF); v != nil && conf.Prefix.IsValid() {
		conf.Prefix = conf.Prefix.Masked()
		if done, err := s.setInPlace(v, conf); done || err != nil {
			return err
		}
		if done, err := s.addAlone(v, conf); done || err != nil {
			return err
		}
	}
	return s.update(s.snapshotWith(conf))
}

// setInPlace replaces a subnet whose place in the network stays, if it is one.
func (s *Server) setInPlace(v *vrf, conf Subnet) (done bool, err error) {
	c := v.v4.cur
	if old := c.byName[conf.Name]; old != nil && sameSite(old.Subnet, conf) {
		sub, err := c.newSubnet(conf)
		if err != nil {
			return false, fmt.Errorf("dhcpsrv: snapshot refused: %w", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !v.v4.swap(old, sub) {
			return false, nil
		}
		s.repartner(s.servings(), s.now())
		return true, nil
	}
	if old := c.v6.byName[conf.Name]; old != nil && sameSite(old.Subnet, conf) {
		sub, err := c.v6.newSubnet(conf)
		if err != nil {
			return false, fmt.Errorf("dhcpsrv: snapshot refused: subnet %q: %w", conf.Name, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !v.v6.swap(old, sub) {
			return false, nil
		}
		s.repartner(s.servings(), s.now())
		return true, nil
	}
	return false, nil
}

// addAlone adds an IPv4 subnet that shares its network with no other, if it is one.
func (s *Server) addAlone(v *vrf, conf Subnet) (done bool, err error) {
	c := v.v4.cur
	// In another VRF than the global one, the link is to be indexed, and the name may exist
	// elsewhere.
	if v.name != "" || len(s.vrfs) > 1 || !conf.Prefix.Addr().Is4() || c.byName[conf.Name] != nil || c.v6.byName[conf.Name] != nil || conf.SharedNetwork != "" ||
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
	entries, _ := within(v.v4.byAddr, sub, len(v.v4.byAddr))
	for _, e := range entries {
		v.v4.remove(e)
	}
	c.subnets = slices.Insert(c.subnets, at, sub)
	c.networks = append(c.networks, sub.seg)
	c.byName[sub.Name] = sub
	if sub.Link != "" {
		c.byLink[sub.Link] = sub.seg
	}
	sortByEnd(entries)
	for _, e := range entries {
		v.v4.adopt(e)
		v.v4.insert(e)
	}
	s.repartner(s.servings(), s.now())
	return true, nil
}

// sameSite reports whether two subnets differ only in what concerns no other subnet and no
// reservation.
func sameSite(a, b Subnet) bool {
	return a.VRF == b.VRF && a.Prefix == b.Prefix && a.Server == b.Server && a.Link == b.Link && slices.Equal(a.Relays, b.Relays) &&
		a.SharedNetwork == b.SharedNetwork && a.Mode == b.Mode && a.ByClientID == b.ByClientID &&
		slices.Equal(a.Delegate, b.Delegate) && a.Partner == b.Partner && a.Secondary == b.Secondary && a.PartnerServer == b.PartnerServer
}

// snapshotWith returns what is served, with one subnet replaced or added.
func (s *Server) snapshotWith(conf Subnet) Snapshot {
	c := s.global().v4.cur
	snap := Snapshot{Classes: c.classes, Options: c.site, Options6: c.v6.site}
	found := false
	put := func(sub Subnet) {
		if sub.Name == conf.Name {
			sub, found = conf, true
		}
		snap.Subnets = append(snap.Subnets, sub)
	}
	// The order within a shared network matters: its first subnet serves first.
	for _, v := range s.vrfs {
		for _, seg := range v.v4.cur.networks {
			for _, sub := range seg.subnets {
				put(sub.Subnet)
			}
		}
		for _, sub := range v.v6.cur.subnets {
			put(sub.Subnet)
		}
		for _, r := range v.v4.cur.reservations() {
			r.VRF = v.name
			if r.Subnet == conf.Name {
				r.VRF = conf.VRF // it follows its subnet
			}
			snap.Reservations = append(snap.Reservations, r)
		}
	}
	if !found {
		snap.Subnets = append(snap.Subnets, conf)
	}
	for _, p := range c.partners {
		snap.Partners = append(snap.Partners, p)
	}
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
	t.keepAhead([]*subnet{old})
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
	for _, p := range c.delegated {
		if p.sub == old {
			p.sub = sub
		}
	}
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
	t.keepAhead([]*subnet6{old})
	return true
}
