package dhcpsrv

import (
	"fmt"
	"math/bits"
)

// addrRange is a run of addresses; base is the index of its first one in the space.
type addrRange struct {
	lo, hi addr4
	base   int
}

// space holds the dynamic addresses of one subnet: which are taken, and in which order the others
// were last used. It belongs to the table and is guarded by its lock.
type space struct {
	ranges   []addrRange
	size     int
	taken    []uint64 // bit per address: reserved, or some entry has it
	free     int      // clear bits
	parities [2]int   // of free: even and odd addresses
	// entries of ended leases, least recently used first; with a partner by lowest bit, else all in
	// the first
	ended    [2]list
	ahead    []ahead // by range: what was probed ahead
	offers   list    // entries held for an offer, oldest first
	declined list    // declined addresses, the first to end first
}

func newSpace(ranges []addrRange) (*space, error) {
	s := &space{ranges: ranges}
	for i := range ranges {
		ranges[i].base = s.size
		if s.size += int(ranges[i].hi-ranges[i].lo) + 1; s.size > maxPool {
			return nil, fmt.Errorf("pools hold more than %d addresses", maxPool)
		}
	}
	s.taken, s.ahead = make([]uint64, (s.size+63)/64), make([]ahead, len(ranges))
	s.free = s.size
	for _, r := range ranges {
		n := int(r.hi-r.lo) + 1
		s.parities[r.lo&1] += (n + 1) / 2
		s.parities[^r.lo&1] += n / 2
	}
	return s, nil
}

// index returns the place of an address in the space and the number of its range.
func (s *space) index(a addr4) (i, rangeNo int, ok bool) {
	for n, r := range s.ranges {
		if a >= r.lo && a <= r.hi {
			return r.base + int(a-r.lo), n, true
		}
	}
	return 0, 0, false
}

func (s *space) at(i int) addr4 {
	for _, r := range s.ranges {
		if n := int(r.hi-r.lo) + 1; i-r.base < n {
			return r.lo + addr4(i-r.base)
		}
	}
	return 0
}

func (s *space) isTaken(i int) bool { return s.taken[i/64]&(1<<(i%64)) != 0 }

func (s *space) take(a addr4) {
	if i, n, ok := s.index(a); ok && !s.isTaken(i) {
		s.ahead[n].remove(uint64(i - s.ranges[n].base))
		s.taken[i/64] |= 1 << (i % 64)
		s.free--
		s.parities[a&1]--
	}
}

func (s *space) release(a addr4) {
	if i, _, ok := s.index(a); ok && s.isTaken(i) {
		s.taken[i/64] &^= 1 << (i % 64)
		s.free++
		s.parities[a&1]++
	}
}

// hashTries is the number of places that a client tries before it takes the next free one. In a
// pool that is half full one client in 256 reaches that point, so that nearly all find their own
// place again in whatever order they arrive.
const hashTries = 8

// pick returns a never used address for a client, the same for the same client as long as it is
// free.
func (s *space) pick(key []byte) (addr4, bool) {
	if s.free == 0 {
		return 0, false
	}
	h := hashKey(key)
	start := int(h % uint64(s.size))
	for range hashTries {
		if i := int(h % uint64(s.size)); !s.isTaken(i) {
			return s.at(i), true
		}
		h = mix(h)
	}
	return s.at(s.nextFree(start)), true
}

// nextFree returns the first free place from start on, around the end. There must be one.
func (s *space) nextFree(start int) int {
	for n, w := 0, start/64; n <= len(s.taken); n, w = n+1, (w+1)%len(s.taken) {
		word := s.taken[w]
		if n == 0 {
			word |= 1<<(start%64) - 1
		}
		if i := w*64 + bits.TrailingZeros64(^word); word != ^uint64(0) && i < s.size {
			return i
		}
	}
	return 0
}

// hashKey is FNV-1a with a final mix. It must never change: addresses after the loss of a lease
// store depend on it.
func hashKey[T string | []byte](key T) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return mix(h)
}

func mix(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// list is a doubly linked list through the entries themselves.
type list struct {
	first, last *entry
	n           int
}

func (l *list) push(e *entry) {
	l.n++
	e.prev, e.next = l.last, nil
	if l.last != nil {
		l.last.next = e
	} else {
		l.first = e
	}
	l.last = e
}

func (l *list) remove(e *entry) {
	l.n--
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		l.last = e.prev
	}
	e.prev, e.next = nil, nil
}
