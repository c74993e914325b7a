package discovery

import (
	"cmp"
	"slices"
	"time"
)

// A router with proxy ARP (RFC 1027), or a switch that answers for its hosts, answers for every
// address that it is asked for. Its answers say nothing about the addresses, so they must neither
// fill the table nor make every address look taken. The bounds are on addresses of one family that
// a MAC only answered for; an address that it spoke from by itself is its own, however many it has.
const (
	// usualClaims are taken at once: a host has two or three addresses, and virtual ones.
	usualClaims = 3
	// allClaims show that a MAC answers for all addresses. A host with so many addresses announces
	// them; /27 and larger networks are recognized.
	allClaims = 16
	// claimWait is the time after the last new claim of a MAC until claims above the usual number
	// are believed. At SlowRate a sweep asks for the next address in a tenth of a second.
	claimWait = 3 * time.Second
	// claimLife is the time without claims after which a MAC is believed again.
	claimLife = 4 * time.Hour
)

// owner is a MAC on a link, by family: IPv6 hosts have several addresses besides the IPv4 one.
type owner struct {
	mac       MAC
	vid, link uint16
	is4       bool
}

func (k key) owner() owner {
	return owner{mac: k.mac, vid: k.vid, link: k.link, is4: [12]byte(k.addr[:12]) == [12]byte{10: 0xff, 11: 0xff}}
}

// A claimant is an owner that answered for more than the usual number of addresses.
type claimant struct {
	held map[place]pending // claims that are not believed yet
	last int64             // time of the last new claim
	all  bool              // it answers for all addresses
}

// claims reports whether an observation only says that a MAC answers for an address. Sources other
// than these are packets that the device sent by itself.
func (s *Observation) claims() bool {
	return !s.Own && s.Source&^(ARP|NDP|Scan) == 0 && s.MAC != MAC{} && s.Addr.IsValid()
}

// believes reports whether a claim of an address that is not in the table may enter it now. It
// returns the event about a MAC that has just shown that it answers for all addresses.
func (t *Table) believes(k key, ifname string, s Observation, now time.Time) (ok bool, ev Event, report bool) {
	o := k.owner()
	c := t.claimants[o]
	if c == nil {
		if t.claimed[o] < usualClaims {
			return true, Event{}, false
		}
		c = &claimant{held: map[place]pending{}}
		t.claimants[o] = c
	}
	if _, known := c.held[k.place]; !known {
		c.last = now.UnixNano()
	}
	if c.all {
		return false, Event{}, false
	}
	c.held[k.place] = pending{s: s, ifname: ifname}
	if int(t.claimed[o])+len(c.held) < allClaims {
		return false, Event{}, false
	}
	c.all, c.held = true, nil
	return false, t.unmask(o, ifname, now), true
}

// unmask removes what a MAC that answers for all addresses claimed, and describes it by its own
// address: one that it spoke from, or else the address where it was before the others.
func (t *Table) unmask(o owner, ifname string, now time.Time) Event {
	var own *entry
	var claims []*entry
	for _, e := range t.all() {
		if e.key.owner() != o || !e.addr().IsValid() {
			continue
		}
		if !e.own {
			claims = append(claims, e)
		}
		if own == nil || e.own && !own.own || e.own == own.own && e.first < own.first {
			own = e
		}
	}
	// A claim that did not last is no sign of an address of its own.
	if own != nil && !own.own && !own.stayed {
		own = nil
	}
	ev := Event{Kind: ProxyARP, Device: Device{Interface: ifname, VID: o.vid, MAC: o.mac, First: now, Last: now, Count: allClaims, Sources: ARP}}
	if own != nil {
		ev.Device = t.device(own)
	}
	for _, e := range claims {
		if e == own {
			continue
		}
		// What was reported as a device is taken back.
		if e.reported != 0 {
			t.withdrawn = append(t.withdrawn, Event{Kind: Expired, Device: t.device(e)})
		}
		t.remove(e)
	}
	return ev
}

// settleClaims lets claims into the table of MACs that made no more of them, and forgets MACs that
// no longer answer for all addresses. It returns what there is to report.
func (t *Table) settleClaims(now time.Time) (events []Event) {
	events, t.withdrawn = t.withdrawn, nil
	at := now.UnixNano()
	var due []pending
	for o, c := range t.claimants {
		switch silent := time.Duration(at - c.last); {
		case c.all && silent >= claimLife:
			delete(t.claimants, o)
		case !c.all && silent >= claimWait:
			for _, w := range c.held {
				due = append(due, w)
			}
			delete(t.claimants, o)
		}
	}
	slices.SortFunc(due, func(a, b pending) int { return cmp.Or(cmp.Compare(a.ifname, b.ifname), a.s.Addr.Compare(b.s.Addr)) })
	for _, w := range due {
		k := key{t.place(w.ifname, w.s), w.s.MAC}
		e := t.find(k, now)
		if e == nil {
			e = t.add(k, now)
			t.countClaim(e, 1)
		}
		if ev, ok := t.update(e, w.s, now); ok {
			events = append(events, ev)
		}
	}
	return events
}

// countClaim counts an entry that exists by a claim only, or with -1 removes it from the count.
func (t *Table) countClaim(e *entry, n int) {
	if e.own || e.key.mac == (MAC{}) || e.key.addr == [16]byte{} {
		return
	}
	o := e.key.owner()
	if left := int(t.claimed[o]) + n; left > 0 {
		t.claimed[o] = uint16(min(left, 1<<16-1))
	} else {
		delete(t.claimed, o)
	}
}
