package discovery

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// TableConfig bounds a table. The zero value uses the defaults.
type TableConfig struct {
	// Refresh is the interval between reports of a device that stays. Zero means 10 minutes.
	Refresh time.Duration
	// TTL is for how long a source's word is good, by source. What is missing or zero is as
	// DefaultTTL says.
	TTL map[Source]time.Duration
	// Limit is the most devices kept; above it those that were seen only once give way, the longest
	// silent first. Zero means 131,072, which take about 30 MB.
	Limit int
	// Reports is the number of events a second about devices that were seen only once. The same
	// number is left for addresses in conflict, and four times as many for other devices. Eight
	// seconds' worth may occur at once. A device above the rate is reported in its turn if it
	// stays. Zero means 500.
	Reports int
	// Ignore are rules for devices that are not to be remembered.
	Ignore Ignore
}

// DefaultTTL is for how long the word of a source is good unless the packet says so itself: a day
// for DHCP, 3 minutes for LLDP and beacons, 75 minutes for multicast DNS, 4 hours for ARP, NDP and
// others.
func DefaultTTL(s Source) time.Duration {
	switch s {
	case DHCPv4, DHCPv6:
		return 24 * time.Hour
	case Beacons, LLDP:
		return 3 * time.Minute
	case MDNS:
		return 75 * time.Minute
	}
	return 4 * time.Hour
}

const (
	conflictWindow = 30 * time.Second        // two MACs that both speak within it share an address
	established    = time.Second             // how long a device must be present to be more than a flood's
	tentativeTime  = 1200 * time.Millisecond // after which an address is the device's (RFC 4862 section 5.4: 1 s)
	expireEvery    = 5 * time.Second         // all entries are looked at for that
	maxTentative   = 1024
)

func (c *TableConfig) defaults() {
	c.Refresh = cmp.Or(max(c.Refresh, 0), 10*time.Minute)
	c.Limit = cmp.Or(max(c.Limit, 0), 1<<17)
	c.Reports = cmp.Or(max(c.Reports, 0), 500)
}

func (c *TableConfig) ttl(s Observation) time.Duration {
	if s.Info != nil && s.Info.ttl > 0 {
		return s.Info.ttl
	}
	return cmp.Or(c.TTL[s.Source], DefaultTTL(s.Source))
}

// A Table turns observations into events. Its methods may be called concurrently. The zero value
// has the default bounds.
//
// It keeps devices that have been there for a second apart from those that were seen once, so that
// a flood of made-up senders pushes out its own kind only.
type Table struct {
	mu         sync.Mutex // guards the fields below
	cfg        TableConfig
	interfaces map[string]uint16
	names      []string
	entries    slab
	index      map[key]uint32
	holders    map[place]uint32 // the entry that has an address now
	fresh      list
	stayed     list
	budgets    [3]budget // by class
	waiting    []uint32  // devices that have stayed and are still to be reported
	tentative  map[place]pending
	claimed    map[owner]uint16 // entries that exist by claims only
	claimants  map[owner]*claimant
	withdrawn  []Event // of devices that were none, to be reported
	expiredAt  int64
	stats      TableStats
}

// TableStats counts what a table did.
type TableStats struct {
	Kept       int    // devices there are
	Evicted    uint64 // that gave way to newer ones because the table was full
	Suppressed uint64 // events that were over the rate
	Ignored    uint64 // observations that a rule ignores
}

// place is an address on a link, and key a device at it. They hold no pointers, so that the
// collector passes them over.
type place struct {
	addr [16]byte
	vid  uint16
	link uint16
}

type key struct {
	place
	mac MAC
}

// pending is an address whose device still asks whether it may have it.
type pending struct {
	s      Observation
	ifname string
	due    time.Time
}

// NewTable returns an empty table.
func NewTable(cfg TableConfig) *Table {
	t := &Table{cfg: cfg}
	t.lock()
	t.mu.Unlock()
	return t
}

// lock locks the table and makes the zero value ready.
func (t *Table) lock() {
	t.mu.Lock()
	if t.index != nil {
		return
	}
	t.cfg.defaults()
	t.interfaces, t.index = map[string]uint16{}, map[key]uint32{}
	t.holders, t.tentative = map[place]uint32{}, map[place]pending{}
	t.claimed, t.claimants = map[owner]uint16{}, map[owner]*claimant{}
}

// SetIgnore replaces the rules. What they match is forgotten.
func (t *Table) SetIgnore(ig Ignore) {
	t.lock()
	defer t.mu.Unlock()
	t.cfg.Ignore = ig
	for _, e := range t.all() {
		if ig.Match(e.key.mac, e.addr()) {
			t.remove(e)
		}
	}
}

// See records an observation on the interface at a time. It returns what there is to report, and
// false when nothing is.
func (t *Table) See(ifname string, s Observation, now time.Time) (Event, bool) {
	t.lock()
	defer t.mu.Unlock()
	// First of all, so that an ignored device costs neither memory nor a report.
	if t.cfg.Ignore.Match(s.MAC, s.Addr) {
		t.stats.Ignored++
		return Event{}, false
	}
	k := key{t.place(ifname, s), s.MAC}
	if s.Tentative {
		t.wait(k.place, ifname, s, now)
		return Event{}, false
	}
	// The owner of the address defends it.
	if len(t.tentative) > 0 && !s.Gone {
		delete(t.tentative, k.place)
	}
	e := t.find(k, now)
	if e == nil && s.MAC == (MAC{}) { // a third party names an address, whose device may be known
		if id, ok := t.holders[k.place]; ok {
			e = t.entries.at(id)
			k = e.key
		}
	}
	switch {
	case s.Gone:
		return t.leave(e)
	case e == nil && s.Hearsay:
		return Event{}, false
	case e == nil && s.claims():
		if ok, ev, report := t.believes(k, ifname, s, now); !ok {
			return ev, report
		}
		e = t.add(k, now)
		t.countClaim(e, 1)
	case e == nil:
		e = t.add(k, now)
		e.own = true
	case !e.own && !s.claims() && s.MAC != (MAC{}):
		t.countClaim(e, -1)
		e.own = true
	}
	return t.update(e, s, now)
}

// update takes in an observation of the entry's device and decides what to report.
func (t *Table) update(e *entry, s Observation, now time.Time) (Event, bool) {
	at := now.UnixNano()
	// The clock may be set back between two frames.
	e.last = max(e.last, at)
	e.count++
	e.asked = false
	e.sources |= s.Source
	// A source with a short life does not shorten what another one vouched for.
	e.expires = max(e.expires, at+int64(t.cfg.ttl(s)))
	changed := false
	if s.Info != nil {
		if e.info == nil {
			e.info = &Info{}
		}
		changed = e.info.merge(s.Info)
	}
	// A second apart: a flood sends each made-up sender once.
	if !e.stayed && at-e.first >= int64(established) {
		t.fresh.remove(&t.entries, e)
		e.stayed = true
		t.stayed.push(&t.entries, e)
	} else {
		t.listOf(e).touch(&t.entries, e)
	}
	kind, previous := t.judge(e, at, changed)
	if kind == "" || !t.afford(e, kind, at) {
		return Event{}, false
	}
	e.reported = at
	return Event{Kind: kind, Device: t.device(e), Previous: previous}, true
}

// Classes of events that have a budget each, so that none starves the others.
const (
	classFresh = iota
	classStayed
	classFight
)

// afford reports whether an event may be made now. If not, a device that has stayed gets in line.
func (t *Table) afford(e *entry, kind Kind, at int64) bool {
	class, rate := classFresh, float64(t.cfg.Reports)
	switch {
	case kind == Conflict:
		class = classFight
	case e.stayed:
		class, rate = classStayed, stayedShare*rate
	}
	// No device overtakes the ones that wait.
	inLine := class == classStayed && kind == New && len(t.waiting) > 0
	if !inLine && t.budgets[class].take(rate, at) {
		return true
	}
	t.stats.Suppressed++
	if class == classStayed && kind == New && !e.waiting {
		e.waiting = true
		t.waiting = append(t.waiting, e.id)
	}
	return false
}

// stayedShare is the factor by which devices that have stayed may be reported more often.
const stayedShare = 4

// nextInLine reports devices that wait for it, as many as may be reported now.
func (t *Table) nextInLine(at int64) (events []Event) {
	for len(t.waiting) > 0 {
		e := t.entries.at(t.waiting[0])
		if e.waiting && e.reported == 0 {
			if !t.budgets[classStayed].take(float64(stayedShare*t.cfg.Reports), at) {
				return events
			}
			e.reported = at
			events = append(events, Event{Kind: New, Device: t.device(e)})
		}
		e.waiting = false
		t.waiting = t.waiting[1:]
	}
	t.waiting = nil
	return events
}

// judge returns what is new about an entry that was just seen, and makes it the holder of its
// address.
func (t *Table) judge(e *entry, at int64, changed bool) (Kind, MAC) {
	var other *entry
	if id, ok := t.holders[e.key.place]; ok && id != e.id {
		other = t.entries.at(id)
	}
	// Entries without an address do not compete: there may be several at once.
	if e.key.addr != [16]byte{} && e.key.mac != (MAC{}) {
		t.holders[e.key.place] = e.id
	} else {
		other = nil
	}
	switch {
	case e.reported == 0 && e.stayed:
		return New, MAC{}
	// Both have spoken within the window: neither has moved.
	case other != nil && e.count > 1 && at-other.last < int64(conflictWindow):
		// A conflict may last for hours: it is reported once in each interval.
		if at-e.quarrelled < int64(t.cfg.Refresh) && e.quarrelled != 0 {
			return "", MAC{}
		}
		e.quarrelled, other.quarrelled = at, at
		return Conflict, other.key.mac
	case other != nil:
		return Moved, other.key.mac
	case e.reported == 0:
		return New, MAC{}
	case changed:
		return Changed, MAC{}
	case at-e.reported >= int64(t.cfg.Refresh):
		return Refreshed, MAC{}
	}
	return "", MAC{}
}

// leave forgets a device that says good-bye.
func (t *Table) leave(e *entry) (Event, bool) {
	if e == nil {
		return Event{}, false
	}
	o := t.device(e)
	reported := e.reported != 0
	t.remove(e)
	return Event{Kind: Expired, Device: o}, reported
}

// Tick forgets what has expired at a time and decides about addresses that devices asked for. It
// returns what there is to report. Call it twice a second or so.
func (t *Table) Tick(now time.Time) []Event {
	t.lock()
	var events []Event
	at := now.UnixNano()
	if at-t.expiredAt >= int64(expireEvery) {
		t.expiredAt = at
		events = t.expire(at)
	}
	events = append(events, t.settleClaims(now)...)
	events = append(events, t.nextInLine(at)...)
	var due []pending
	for p, w := range t.tentative {
		if !w.due.After(now) {
			due = append(due, w)
			delete(t.tentative, p)
		}
	}
	t.mu.Unlock()
	// A map has no order, and reports should have one.
	slices.SortFunc(due, func(a, b pending) int { return cmp.Or(a.due.Compare(b.due), a.s.Addr.Compare(b.s.Addr)) })
	for _, w := range due {
		w.s.Tentative = false
		if ev, ok := t.See(w.ifname, w.s, now); ok {
			events = append(events, ev)
		}
	}
	return events
}

func (t *Table) expire(at int64) (events []Event) {
	for _, e := range t.all() {
		if e.expires <= at {
			if ev, ok := t.leave(e); ok {
				events = append(events, ev)
			}
		}
	}
	return events
}

func (t *Table) wait(p place, ifname string, s Observation, now time.Time) {
	if other, asked := t.tentative[p]; asked && other.s.MAC != s.MAC {
		delete(t.tentative, p) // two devices ask: neither gets it
		// A flood of questions leaves no memory behind.
	} else if !asked && len(t.tentative) < maxTentative {
		t.tentative[p] = pending{s, ifname, now.Add(tentativeTime)}
	}
}

// Devices returns everything remembered at a time, by interface, VID, address and MAC.
func (t *Table) Devices(now time.Time) []Device {
	t.lock()
	defer t.mu.Unlock()
	all := make([]Device, 0, len(t.index))
	for _, e := range t.all() {
		if e.expires > now.UnixNano() {
			all = append(all, t.device(e))
		}
	}
	slices.SortFunc(all, func(a, b Device) int {
		return cmp.Or(cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.VID, b.VID), a.Addr.Compare(b.Addr), bytes.Compare(a.MAC[:], b.MAC[:]))
	})
	return all
}

// Stats returns the counters.
func (t *Table) Stats() TableStats {
	t.lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Kept = len(t.index)
	return s
}

// Name gives everything at an address the name that the resolvers have for it, or with "" takes it
// back. It returns what there is to report.
func (t *Table) Name(addr netip.Addr, name string, now time.Time) []Event {
	t.lock()
	defer t.mu.Unlock()
	info := Info{goodbye: ReverseDNS}
	if name != "" {
		info.Names = []Name{{name, ReverseDNS}}
	}
	var events []Event
	for p, id := range t.holders {
		e := t.entries.at(id)
		if p.addr != addr.As16() {
			continue
		}
		if e.info == nil {
			e.info = &Info{}
		}
		if e.info.merge(&info) {
			e.reported = now.UnixNano()
			events = append(events, Event{Kind: Changed, Device: t.device(e)})
		}
	}
	slices.SortFunc(events, func(a, b Event) int { return cmp.Compare(a.Device.Interface, b.Device.Interface) })
	return events
}
