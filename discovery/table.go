package discovery

import (
	"bytes"
	"container/list"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// An Observation is a device as it has been seen at one address on one interface.
type Observation struct {
	Interface string           `json:"interface"`
	VID       uint16           `json:"vid,omitempty"`
	Addr      netip.Addr       `json:"addr"`
	MAC       net.HardwareAddr `json:"mac"`
	First     time.Time        `json:"first"`
	Last      time.Time        `json:"last"`
	// Count is how many packets have spoken of it since First.
	Count uint64 `json:"count"`
}

// Kind says what an event is about.
type Kind string

// The kinds of events.
const (
	// New is an address that was not known on the interface.
	New Kind = "new"
	// Refreshed is a known one, reported again after the refresh interval.
	Refreshed Kind = "refreshed"
	// Moved is an address that another MAC uses now.
	Moved Kind = "moved"
)

// An Event is a change worth knowing.
type Event struct {
	Kind        Kind        `json:"kind"`
	Observation Observation `json:"observation"`
	// Previous is the MAC that had the address before, for Moved.
	Previous net.HardwareAddr `json:"previous,omitempty"`
}

// TableConfig bounds a table. The zero value uses the defaults.
type TableConfig struct {
	// Refresh is how often a device that stays is reported again. Zero means 10 minutes.
	Refresh time.Duration
	// TTL is how long a silent device is remembered. Zero means one hour.
	TTL time.Duration
	// Limit is the most observations kept; above it the longest silent gives way. Zero means 65,536 (about 16 MB).
	Limit int
}

func (c *TableConfig) defaults() {
	if c.Refresh == 0 {
		c.Refresh = 10 * time.Minute
	}
	if c.TTL == 0 {
		c.TTL = time.Hour
	}
	if c.Limit == 0 {
		c.Limit = 1 << 16
	}
}

// A Table turns sightings into events. Its methods may be called concurrently.
type Table struct {
	cfg     TableConfig
	mu      sync.Mutex // guards following
	entries map[key]*list.Element
	order   *list.List // of *entry, longest silent first
	evicted uint64
}

type key struct {
	ifname string
	vid    uint16
	addr   netip.Addr
}

type entry struct {
	obs      Observation
	reported time.Time
}

// NewTable returns an empty table.
func NewTable(cfg TableConfig) *Table {
	cfg.defaults()
	return &Table{cfg: cfg, entries: map[key]*list.Element{}, order: list.New()}
}

// See records a sighting on the interface at a time. It returns what there is to report, and false when nothing is.
func (t *Table) See(ifname string, s Sighting, now time.Time) (Event, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire(now)
	k := key{ifname, s.VID, s.Addr}
	el := t.entries[k]
	if el == nil {
		return t.add(k, s, now), true
	}
	t.order.MoveToBack(el)
	e := el.Value.(*entry)
	e.obs.Last = now
	e.obs.Count++
	if !bytes.Equal(e.obs.MAC, s.MAC) {
		ev := Event{Kind: Moved, Previous: e.obs.MAC}
		e.obs.MAC, e.obs.First, e.obs.Count, e.reported = s.MAC, now, 1, now
		ev.Observation = e.obs
		return ev, true
	}
	if now.Sub(e.reported) < t.cfg.Refresh {
		return Event{}, false
	}
	e.reported = now
	return Event{Kind: Refreshed, Observation: e.obs}, true
}

func (t *Table) add(k key, s Sighting, now time.Time) Event {
	if len(t.entries) >= t.cfg.Limit {
		t.remove(t.order.Front())
		t.evicted++
	}
	e := &entry{reported: now, obs: Observation{
		Interface: k.ifname, VID: s.VID, Addr: s.Addr, MAC: s.MAC, First: now, Last: now, Count: 1,
	}}
	t.entries[k] = t.order.PushBack(e)
	return Event{Kind: New, Observation: e.obs}
}

// expire forgets what has been silent for the TTL.
func (t *Table) expire(now time.Time) {
	for el := t.order.Front(); el != nil && now.Sub(el.Value.(*entry).obs.Last) > t.cfg.TTL; el = t.order.Front() {
		t.remove(el)
	}
}

func (t *Table) remove(el *list.Element) {
	o := el.Value.(*entry).obs
	t.order.Remove(el)
	delete(t.entries, key{o.Interface, o.VID, o.Addr})
}

// Observations returns everything remembered at a time, by interface and address.
func (t *Table) Observations(now time.Time) []Observation {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire(now)
	all := make([]Observation, 0, len(t.entries))
	for el := t.order.Front(); el != nil; el = el.Next() {
		all = append(all, el.Value.(*entry).obs)
	}
	slices.SortFunc(all, func(a, b Observation) int {
		if a.Interface != b.Interface {
			return bytes.Compare([]byte(a.Interface), []byte(b.Interface))
		}
		return a.Addr.Compare(b.Addr)
	})
	return all
}

// Evicted is how many observations gave way to newer ones because the table was full.
func (t *Table) Evicted() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.evicted
}
