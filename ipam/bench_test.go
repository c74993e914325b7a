package ipam_test

import (
	"net/netip"
	"runtime"
	"strconv"
	"testing"

	"github.com/gomaas/maas/ipam"
)

// BenchmarkNext allocates and releases one address at a given filling.
func BenchmarkNext(b *testing.B) {
	for _, prefix := range []string{"10.0.0.0/16", "10.0.0.0/12", "fd00::/64"} {
		for _, percent := range []int{0, 50, 99} {
			b.Run(prefix[:4]+prefix[len(prefix)-3:]+"/filled-"+strconv.Itoa(percent), func(b *testing.B) {
				p := newPool(b, ipam.PoolConfig{Usage: usage(prefix)})
				n := min(p.Free(), 1<<20) * percent / 100
				fillScattered(b, p, n)
				b.ReportAllocs()
				for b.Loop() {
					a, err := p.Next(b.Context(), "k")
					if err != nil {
						b.Fatal(err)
					}
					if err := p.Release(b.Context(), a); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// fillScattered leaves many gaps: that is the hard case.
func fillScattered(b *testing.B, p *ipam.Pool, n int) {
	for i := range n {
		if _, err := p.For(b.Context(), strconv.Itoa(i)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFill16 gives out a whole /16, per address, by tenths.
func BenchmarkFill16(b *testing.B) {
	for b.Loop() {
		p := newPool(b, ipam.PoolConfig{Usage: usage("10.0.0.0/16")})
		for range 65534 {
			if _, err := p.Next(b.Context(), "k"); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/65534, "ns/address")
}

// BenchmarkFor chooses by key in a /16 at a given filling.
func BenchmarkFor(b *testing.B) {
	for _, percent := range []int{0, 99} {
		b.Run("filled-"+strconv.Itoa(percent), func(b *testing.B) {
			p := newPool(b, ipam.PoolConfig{Usage: usage("10.0.0.0/16")})
			fillScattered(b, p, 65534*percent/100)
			b.ReportAllocs()
			for b.Loop() {
				a, err := p.For(b.Context(), "52:54:00:12:34:56")
				if err != nil {
					b.Fatal(err)
				}
				_ = p.Release(b.Context(), a)
			}
		})
	}
}

// BenchmarkMemory reports bytes per address held, of a filled /12 (1M).
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		p := newPool(b, ipam.PoolConfig{Usage: usage("10.0.0.0/12")})
		n := p.Free()
		for range n {
			if _, err := p.Next(b.Context(), "k"); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/address")
		runtime.KeepAlive(p)
	}
}

// BenchmarkNewPool builds a pool of a million addresses, empty and half used.
func BenchmarkNewPool(b *testing.B) {
	b.Run("empty", func(b *testing.B) {
		for b.Loop() {
			newPool(b, ipam.PoolConfig{Usage: usage("10.0.0.0/12")})
		}
	})
	b.Run("every-second-used", func(b *testing.B) {
		u, l := usage("10.0.0.0/12"), new(ipam.MemLedger)
		a := u.Subnet.Prefix.Addr()
		for range 1 << 19 {
			a = a.Next().Next()
			if err := l.Insert(b.Context(), a, ""); err != nil {
				b.Fatal(err)
			}
		}
		for b.Loop() {
			newPool(b, ipam.PoolConfig{Usage: u, Ledger: l})
		}
	})
}

// BenchmarkStatistics is of a /16 with half its addresses held.
func BenchmarkStatistics(b *testing.B) {
	u := usage("10.0.0.0/16")
	a := u.Subnet.Prefix.Addr()
	for range 1 << 15 {
		u.Allocations = append(u.Allocations, ipam.Allocation{Addr: a})
		a = a.Next().Next()
	}
	b.ReportAllocs()
	for b.Loop() {
		u.Statistics()
	}
	_ = netip.Addr{}
}
