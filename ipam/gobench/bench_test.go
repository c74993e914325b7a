// Package gobench compares package ipam with github.com/metal-stack/go-ipam,
// both in memory, in one run:
//
//	cd ipam/gobench && go test -bench . -benchtime 2000x
//
// Each operation acquires one address of a /16 and releases it again. The
// prefix is filled to a share first; go-ipam looks for the first free address
// from the start of the prefix, and fills up from there, as it would in use.
// Filling it address by address takes many minutes, so its shares are loaded
// in the form that its Dump writes.
package gobench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/gomaas/maas/ipam"
	goipam "github.com/metal-stack/go-ipam"
)

const prefix = "10.0.0.0/16"

// allocator has the methods of both.
type allocator interface {
	next(ctx context.Context) (netip.Addr, error)
	fill(ctx context.Context, first []netip.Addr) error // of an empty one
	release(ctx context.Context, a netip.Addr) error
}

type ours struct{ *ipam.Pool }

func newOurs(ctx context.Context) (allocator, error) {
	pool, err := ipam.NewPool(ctx, ipam.PoolConfig{Usage: ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix(prefix)}}})
	return ours{pool}, err
}

func (o ours) next(ctx context.Context) (netip.Addr, error)    { return o.Next(ctx, "k") }
func (o ours) release(ctx context.Context, a netip.Addr) error { return o.Release(ctx, a) }

func (o ours) fill(ctx context.Context, first []netip.Addr) error {
	for _, a := range first {
		if err := o.Take(ctx, a, "k"); err != nil {
			return err
		}
	}
	return nil
}

type theirs struct{ goipam.Ipamer }

func newTheirs(ctx context.Context) (allocator, error) {
	i := goipam.NewWithStorage(goipam.NewMemory(ctx))
	_, err := i.NewPrefix(ctx, prefix)
	return theirs{i}, err
}

func (t theirs) next(ctx context.Context) (netip.Addr, error) {
	ip, err := t.AcquireIP(ctx, prefix)
	if err != nil {
		return netip.Addr{}, err
	}
	return ip.IP, nil
}

func (t theirs) fill(ctx context.Context, first []netip.Addr) error {
	if _, err := t.DeletePrefix(ctx, prefix); err != nil {
		return err
	}
	held := map[netip.Addr]bool{netip.MustParseAddr("10.0.0.0"): true, netip.MustParseAddr("10.0.255.255"): true}
	for _, a := range first {
		held[a] = true
	}
	dump, err := json.Marshal([]map[string]any{{
		"Cidr": prefix, "ParentCidr": "", "Namespace": "", "AvailableChildPrefixes": map[string]bool{}, "IPs": held, "Version": 1,
	}})
	if err != nil {
		return err
	}
	return t.Load(ctx, string(dump))
}

func (t theirs) release(ctx context.Context, a netip.Addr) error {
	return t.ReleaseIPFromPrefix(ctx, prefix, a.String())
}

var allocators = []struct {
	name string
	make func(context.Context) (allocator, error)
}{{"maas", newOurs}, {"go-ipam", newTheirs}}

func BenchmarkAcquireRelease(b *testing.B) {
	for _, percent := range []int{0, 50, 99} {
		for _, kind := range allocators {
			b.Run(fmt.Sprintf("filled-%d/%s", percent, kind.name), func(b *testing.B) {
				a, err := kind.make(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				fill(b, a, 65534*percent/100)
				b.ReportAllocs()
				for b.Loop() {
					addr, err := a.next(b.Context())
					if err == nil {
						err = a.release(b.Context(), addr)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// fill fills with the first n addresses.
func fill(b *testing.B, a allocator, n int) {
	b.Helper()
	at := netip.MustParsePrefix(prefix).Addr()
	first := make([]netip.Addr, n)
	for i := range first {
		at = at.Next()
		first[i] = at
	}
	if err := a.fill(b.Context(), first); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFill acquires 1,000 addresses of an empty /16, one after the other.
func BenchmarkFill(b *testing.B) {
	const n = 1000
	for _, kind := range allocators {
		b.Run(kind.name, func(b *testing.B) {
			for b.Loop() {
				a, err := kind.make(b.Context())
				for range n {
					if err == nil {
						_, err = a.next(b.Context())
					}
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/address")
		})
	}
}

// BenchmarkMemory reports bytes per address held when a /16 is half full.
func BenchmarkMemory(b *testing.B) {
	const n = 32767
	for _, kind := range allocators {
		b.Run(kind.name, func(b *testing.B) {
			for b.Loop() {
				before := heap()
				a, err := kind.make(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				fill(b, a, n)
				b.ReportMetric((heap()-before)/n, "B/address")
				runtime.KeepAlive(a)
			}
		})
	}
}

func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkDurable acquires and releases an address with the record in a file, when 1,000 addresses are held: ours in a
// journal that is synced, theirs in the JSON file that it writes anew, and does not sync.
func BenchmarkDurable(b *testing.B) {
	kinds := []struct {
		name string
		make func(b *testing.B) (allocator, error)
	}{
		{"maas", func(b *testing.B) (allocator, error) {
			journal, err := ipam.OpenJournal(b.TempDir() + "/addresses")
			if err != nil {
				return nil, err
			}
			b.Cleanup(func() { journal.Close() })
			usage := ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix(prefix)}}
			pool, err := ipam.NewPool(b.Context(), ipam.PoolConfig{Usage: usage, Ledger: journal})
			return ours{pool}, err
		}},
		{"go-ipam", func(b *testing.B) (allocator, error) {
			i := goipam.NewWithStorage(goipam.NewLocalFile(b.Context(), b.TempDir()+"/addresses"))
			_, err := i.NewPrefix(b.Context(), prefix)
			return theirs{i}, err
		}},
	}
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			a, err := kind.make(b)
			if err != nil {
				b.Fatal(err)
			}
			for range 1000 {
				if _, err := a.next(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				addr, err := a.next(b.Context())
				if err == nil {
					err = a.release(b.Context(), addr)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
