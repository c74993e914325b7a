// Package stock keeps places of a pool that were probed ahead and found free, for some time each.
//
// A [Stock] finds the place that is nearest to the one that a client's key hashes to, so that the
// same client tends to the same address, and reports what should be probed next. It knows no
// addresses, starts no goroutines and is not safe for concurrent use.
package stock

import (
	"iter"
	"maps"
	"math/bits"
	"slices"
)

// maxBuckets bounds the parts of a pool in which the nearest place is looked for: each of a small
// pool has one place, so that clients find their own.
const maxBuckets = 1024

// maxBusy bounds the places that are remembered as in use. A pool with more of them has places
// probed again.
const maxBusy = 4096

// Stock holds places of one pool. The zero value holds none.
type Stock struct {
	size    uint64 // of the pool; set with the first place
	until   map[uint64]int64
	buckets [][]uint64              // places by their part of the pool
	filled  [maxBuckets / 64]uint64 // bit per bucket that is not empty
	queue   []dated                 // by time, the first to end first; may hold places that are gone
	busy    map[uint64]int64        // in use, until when that counts
	pending map[uint64]struct{}     // being probed
	next    uint64                  // number of the next place to probe, see candidate
}

// dated is a place with the time until which it counts as free.
type dated struct {
	place uint64
	until int64
}

// Len returns the number of places, those whose time is over included until [Stock.Expire].
func (s *Stock) Len() int { return len(s.until) }

// Pending returns the number of places that are being probed.
func (s *Stock) Pending() int { return len(s.pending) }

// Has reports whether a place counts as free.
func (s *Stock) Has(place uint64, now int64) bool { return s.until[place] > now }

// Probing reports whether a place is being probed.
func (s *Stock) Probing(place uint64) bool {
	_, probing := s.pending[place]
	return probing
}

// All returns the places, the first to end first, with the time until which they count as free.
func (s *Stock) All() iter.Seq2[uint64, int64] {
	return func(yield func(uint64, int64) bool) {
		for _, d := range s.queue {
			if s.until[d.place] == d.until && !yield(d.place, d.until) {
				return
			}
		}
	}
}

// Begin notes that a place of a pool of a size is being probed.
func (s *Stock) Begin(place, size uint64) {
	if s.pending == nil {
		s.pending = make(map[uint64]struct{})
		s.size = size
	}
	s.pending[place] = struct{}{}
}

// End notes the result of a probe: the place is free until then or, if inUse is set, in use. It
// reports whether the result counts: a place that [Stock.Block] named meanwhile is in use.
func (s *Stock) End(place uint64, inUse bool, until int64) bool {
	if _, was := s.pending[place]; !was {
		return false
	}
	delete(s.pending, place)
	if inUse {
		s.Block(place, until)
		return true
	}
	s.add(place, until)
	return true
}

// Cancel notes that a probe has no result.
func (s *Stock) Cancel(place uint64) { delete(s.pending, place) }

// add enters a place.
func (s *Stock) add(place uint64, until int64) {
	if s.until == nil {
		s.until = make(map[uint64]int64)
		s.buckets = make([][]uint64, min(s.size, maxBuckets))
	}
	if _, had := s.until[place]; !had {
		b := s.bucket(place)
		s.buckets[b] = append(s.buckets[b], place)
		s.filled[b/64] |= 1 << (b % 64)
	}
	s.until[place] = until
	s.queue = append(s.queue, dated{place, until})
}

// bucket returns the part of the pool that holds a place.
func (s *Stock) bucket(place uint64) int {
	hi, lo := bits.Mul64(place, uint64(len(s.buckets)))
	b, _ := bits.Div64(hi, lo, s.size)
	return int(b)
}

// Remove takes a place out, which a client gets or a host has.
func (s *Stock) Remove(place uint64) {
	delete(s.pending, place) // what is being found out is old by then
	if _, had := s.until[place]; !had {
		return
	}
	delete(s.until, place)
	b := s.bucket(place)
	list := s.buckets[b]
	i := slices.Index(list, place)
	last := len(list) - 1
	list[i] = list[last]
	if s.buckets[b] = list[:last]; last == 0 {
		s.filled[b/64] &^= 1 << (b % 64)
	}
}

// Block takes a place out that a host was heard to use, and keeps it from being probed ahead until
// then.
func (s *Stock) Block(place uint64, until int64) {
	s.Remove(place)
	if s.busy == nil {
		s.busy = make(map[uint64]int64)
	}
	if len(s.busy) < maxBusy {
		s.busy[place] = until
	}
}

// Blocked reports whether a host was heard to use a place.
func (s *Stock) Blocked(place uint64, now int64) bool { return s.busy[place] > now }

// Near returns the place nearest to one, going up and around, that counts as free and that fits.
// Parts of the pool are searched as a whole: within one the first that fits is taken, but for the
// place itself.
func (s *Stock) Near(place uint64, now int64, fits func(uint64) bool) (uint64, bool) {
	if len(s.until) == 0 {
		return 0, false
	}
	if s.until[place] > now && fits(place) {
		return place, true
	}
	n := len(s.buckets)
	for b, left := s.bucket(place), n; left > 0; b, left = (b+1)%n, left-1 {
		skip := bits.TrailingZeros64(s.filled[b/64] >> (b % 64))
		if skip = min(skip, 64-b%64); b+skip > n {
			skip = n - b
		}
		if skip > 0 {
			b, left = b+skip-1, left-skip+1
			continue
		}
		for _, p := range s.buckets[b] {
			if s.until[p] > now && fits(p) {
				return p, true
			}
		}
	}
	return 0, false
}

// Expire takes out the places whose time is over, and forgets what was in use.
func (s *Stock) Expire(now int64) {
	for len(s.queue) > 0 && s.queue[0].until <= now {
		if d := s.queue[0]; s.until[d.place] == d.until {
			s.Remove(d.place)
		}
		s.queue = s.queue[1:]
	}
	if len(s.queue) == 0 {
		s.queue = nil
	}
	maps.DeleteFunc(s.busy, func(_ uint64, until int64) bool { return until <= now })
}

// Due returns up to n places whose time is over before a time, the first to end first. They are
// probed again before others are.
func (s *Stock) Due(before int64, n int) (places []uint64) {
	for _, d := range s.queue {
		if d.until >= before || len(places) == n {
			break
		}
		if _, probing := s.pending[d.place]; s.until[d.place] == d.until && !probing {
			places = append(places, d.place)
		}
	}
	return places
}

// Fresh returns the number of places whose time lasts until a time at least.
func (s *Stock) Fresh(until int64) int {
	old := 0
	for _, d := range s.queue {
		if d.until >= until {
			break
		}
		if s.until[d.place] == d.until {
			old++
		}
	}
	return len(s.until) - old
}

// maxSteps bounds the places that one search for candidates looks at, under the lock of the server.
const maxSteps = 1 << 14

// Candidates returns up to n places of a pool of a size, to probe next, that fit and are neither in
// stock, nor being probed, nor in use. Each call goes on where the last one ended. The places are
// spread over the pool, always in the same order, so that a server that has lost its leases gives
// clients addresses near their previous ones.
func (s *Stock) Candidates(size uint64, n int, now int64, fits func(uint64) bool) (places []uint64) {
	stride := strideOf(size)
	for range min(size, maxSteps) {
		if len(places) >= n {
			break
		}
		hi, lo := bits.Mul64(s.next, stride)
		_, place := bits.Div64(hi%size, lo, size)
		s.next = (s.next + 1) % size
		if !fits(place) {
			continue
		}
		_, probing := s.pending[place]
		if _, have := s.until[place]; !have && !probing && s.busy[place] <= now {
			places = append(places, place)
		}
	}
	return places
}

// strideOf returns a number prime to size, near its golden section: its multiples modulo size reach
// each place once and are spread evenly at any time.
func strideOf(size uint64) uint64 {
	hi, lo := bits.Mul64(size, 11400714819323198485) // the golden section of 2^64
	stride := max(1, hi+lo>>63)
	for gcd(stride, size) != 1 {
		stride++
	}
	return stride
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
