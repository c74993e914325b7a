package discovery

import (
	"net/netip"
	"time"
)

// entry is the record of a device in the table. Times are in nanoseconds since 1970.
type entry struct {
	key                            key
	id                             uint32
	next, prev                     uint32 // in its list; 0 = none
	sources                        Source
	stayed                         bool // in the list of devices that have been there for a while
	used                           bool
	waiting                        bool // in line to be reported
	own                            bool // the device spoke from the address by itself
	asked                          bool // since it was seen last
	count                          uint64
	first, last, expires, reported int64
	quarrelled                     int64
	info                           *Info // nil for most
}

func (e *entry) addr() netip.Addr {
	if e.key.addr == [16]byte{} {
		return netip.Addr{}
	}
	return netip.AddrFrom16(e.key.addr).Unmap()
}

// chunk is the number of entries allocated at once. They never move, and are used again once they
// are free.
const chunk = 1024

// slab holds entries by number. Number 0 is unused, so that zero can mean "none" in lists.
type slab struct {
	chunks [][]entry
	free   []uint32
	next   uint32
}

func (s *slab) at(id uint32) *entry { return &s.chunks[id/chunk][id%chunk] }

func (s *slab) take() *entry {
	var id uint32
	if n := len(s.free); n > 0 {
		id, s.free = s.free[n-1], s.free[:n-1]
	} else {
		s.next++
		id = s.next
		if int(id/chunk) >= len(s.chunks) {
			s.chunks = append(s.chunks, make([]entry, chunk))
		}
	}
	e := s.at(id)
	*e = entry{id: id, used: true}
	return e
}

func (s *slab) release(e *entry) {
	s.free = append(s.free, e.id)
	*e = entry{}
}

// list is a list of entries, the longest silent first.
type list struct{ first, last uint32 }

func (l *list) push(s *slab, e *entry) {
	e.prev, e.next = l.last, 0
	if l.last != 0 {
		s.at(l.last).next = e.id
	} else {
		l.first = e.id
	}
	l.last = e.id
}

func (l *list) remove(s *slab, e *entry) {
	if e.prev != 0 {
		s.at(e.prev).next = e.next
	} else {
		l.first = e.next
	}
	if e.next != 0 {
		s.at(e.next).prev = e.prev
	} else {
		l.last = e.prev
	}
}

func (l *list) touch(s *slab, e *entry) {
	if l.last == e.id {
		return
	}
	l.remove(s, e)
	l.push(s, e)
}

// budget is a token bucket for events.
type budget struct {
	left float64
	at   int64
}

const burst = 8 // seconds' worth

func (b *budget) take(rate float64, at int64) bool {
	b.left = min(burst*rate, b.left+float64(at-b.at)/float64(time.Second)*rate)
	b.at = at
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

func (t *Table) place(ifname string, s Observation) place {
	link, ok := t.interfaces[ifname]
	if !ok {
		link = uint16(len(t.names))
		t.interfaces[ifname] = link
		t.names = append(t.names, ifname)
	}
	p := place{vid: s.VID, link: link}
	if s.Addr.IsValid() {
		p.addr = s.Addr.As16()
	}
	return p
}

// find returns the entry of a device, nil when there is none that is still good.
func (t *Table) find(k key, now time.Time) *entry {
	id, ok := t.index[k]
	if !ok {
		return nil
	}
	e := t.entries.at(id)
	if e.expires <= now.UnixNano() {
		t.remove(e)
		return nil
	}
	return e
}

func (t *Table) add(k key, now time.Time) *entry {
	if len(t.index) >= t.cfg.Limit {
		victim := t.fresh.first
		if victim == 0 {
			victim = t.stayed.first
		}
		t.remove(t.entries.at(victim))
		t.stats.Evicted++
	}
	e := t.entries.take()
	e.key, e.first, e.last = k, now.UnixNano(), now.UnixNano()
	t.index[k] = e.id
	t.fresh.push(&t.entries, e)
	return e
}

func (t *Table) remove(e *entry) {
	t.listOf(e).remove(&t.entries, e)
	t.countClaim(e, -1)
	delete(t.index, e.key)
	if t.holders[e.key.place] == e.id {
		delete(t.holders, e.key.place)
	}
	t.entries.release(e)
}

func (t *Table) listOf(e *entry) *list {
	if e.stayed {
		return &t.stayed
	}
	return &t.fresh
}

// all yields the entries in the order of their numbers. They may be removed meanwhile.
func (t *Table) all() func(func(int, *entry) bool) {
	return func(yield func(int, *entry) bool) {
		for id := uint32(1); id <= t.entries.next; id++ {
			if e := t.entries.at(id); e.used && !yield(int(id), e) {
				return
			}
		}
	}
}

// device is the entry as it is shown. It shares the lists of the entry's info, which are never
// changed in place.
func (t *Table) device(e *entry) Device {
	o := Device{
		Interface: t.names[e.key.link], VID: e.key.vid, Addr: e.addr(), MAC: e.key.mac, First: time.Unix(0, e.first), Last: time.Unix(0, e.last),
		Expires: time.Unix(0, e.expires), Count: e.count, Sources: e.sources,
	}
	if e.info != nil {
		o.Info = *e.info
	}
	return o
}
