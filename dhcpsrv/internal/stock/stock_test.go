package stock_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/gomaas/maas/dhcpsrv/internal/stock"
)

func any(uint64) bool { return true }

// Candidates reach every place of a pool once, whatever its size, and are spread over it from the beginning.
func TestCandidates(t *testing.T) {
	for _, size := range []uint64{1, 2, 3, 7, 10, 64, 1000, 1024, 4099} {
		var s stock.Stock
		seen := map[uint64]bool{}
		for _, p := range s.Candidates(size, int(size), 0, any) {
			if seen[p] || p >= size {
				t.Fatalf("size %d: place %d twice or outside", size, p)
			}
			seen[p] = true
		}
		if len(seen) != int(size) {
			t.Errorf("size %d: %d places", size, len(seen))
		}
	}
	var s stock.Stock
	quarters := [4]int{}
	const huge = 1 << 62
	for _, p := range s.Candidates(huge, 32, 0, any) {
		quarters[p/(huge/4)]++
	}
	for _, n := range quarters {
		if n < 6 || n > 10 {
			t.Errorf("32 places by quarter of the pool: %v", quarters)
		}
	}
}

// A stock agrees with a plain map whatever is done to it, and what Near returns is in it, fits, and is the place asked for if that is.
func TestStock(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.SampledFrom([]uint64{1, 5, 64, 130, 5000, 1 << 62}).Draw(rt, "size")
		var s stock.Stock
		free, busy, pending := map[uint64]int64{}, map[uint64]int64{}, map[uint64]bool{}
		now := int64(0)
		place := func() uint64 {
			return rapid.Uint64Range(0, min(size, 200)-1).Draw(rt, "place") * (size / min(size, 200))
		}
		remove := func(p uint64) { delete(free, p); delete(pending, p) }
		rt.Repeat(map[string]func(*rapid.T){
			"probe": func(*rapid.T) {
				for _, p := range s.Candidates(size, 3, now, any) {
					if free[p] != 0 || pending[p] || busy[p] > now {
						rt.Fatalf("candidate %d is known", p)
					}
					s.Begin(p, size)
					pending[p] = true
				}
			},
			"result": func(*rapid.T) {
				p, inUse, until := place(), rapid.Bool().Draw(rt, "in use"), now+10
				if s.End(p, inUse, until) != pending[p] {
					rt.Fatalf("result of %d counts: %v", p, !pending[p])
				}
				if !pending[p] {
					return
				}
				if remove(p); inUse {
					busy[p] = until
				} else {
					free[p] = until
				}
			},
			"begin":  func(*rapid.T) { p := place(); s.Begin(p, size); pending[p] = true },
			"remove": func(*rapid.T) { p := place(); s.Remove(p); remove(p) },
			"heard":  func(*rapid.T) { p := place(); s.Block(p, now+10); remove(p); busy[p] = now + 10 },
			"time":   func(*rapid.T) { now += rapid.Int64Range(0, 12).Draw(rt, "time") },
			"expire": func(*rapid.T) {
				s.Expire(now)
				for p, until := range free {
					if until <= now {
						remove(p)
					}
				}
			},
			"": func(*rapid.T) {
				if s.Len() != len(free) || s.Pending() != len(pending) {
					rt.Fatalf("%d in stock, %d being probed; want %d and %d", s.Len(), s.Pending(), len(free), len(pending))
				}
				good := 0
				odd := func(p uint64) bool { return p%2 == 1 }
				for p, until := range free {
					if until > now && odd(p) {
						good++
					}
					if s.Has(p, now) != (until > now) {
						rt.Fatalf("place %d with %d at %d: %v", p, until, now, s.Has(p, now))
					}
					if near, ok := s.Near(p, now, any); until > now && (near != p || !ok) {
						rt.Fatalf("near %d is %d", p, near)
					}
				}
				from := place()
				if p, ok := s.Near(from, now, odd); ok != (good > 0) || ok && (free[p] <= now || !odd(p)) {
					rt.Fatalf("near %d is %d, %v, of %v at %d", from, p, ok, free, now)
				}
				for _, p := range s.Due(now+5, 2) {
					if free[p] == 0 || free[p] >= now+5 || pending[p] {
						rt.Fatalf("place %d is due", p)
					}
				}
			},
		})
	})
}
