package ipamtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gomaas/maas/ipam"
)

// A Harness holds the ledger that [Run] tests.
type Harness struct {
	// Ledger is empty.
	Ledger ipam.Ledger
	// Reopen returns a ledger with the record of Ledger, as after the end of its process; Ledger is
	// not used afterwards. If nil, the tests of what is durable skip.
	Reopen func(t *testing.T) ipam.Ledger
}

// Run runs the conformance suite. open makes a harness with an empty ledger and removes it when the
// test ends.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for name, test := range map[string]func(*testing.T, Harness){
		"Insert":       testInsert,
		"Delete":       testDelete,
		"Keys":         testKeys,
		"Families":     testFamilies,
		"Lister":       testLister,
		"Race":         testRace,
		"Cancellation": testCancellation,
		"Durable":      testDurable,
		"Pool":         testPool,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// RunBenchmarks measures a pair of Insert and Delete, alone and from many goroutines.
func RunBenchmarks(b *testing.B, open func(b *testing.B) ipam.Ledger) {
	pair := func(b *testing.B, l ipam.Ledger, a netip.Addr) {
		if err := l.Insert(b.Context(), a, "key"); err != nil {
			b.Error(err)
		}
		if err := l.Delete(b.Context(), a); err != nil {
			b.Error(err)
		}
	}
	b.Run("one", func(b *testing.B) {
		l := open(b)
		b.ReportAllocs()
		for b.Loop() {
			pair(b, l, addr(1))
		}
	})
	b.Run("many", func(b *testing.B) {
		l := open(b)
		b.ReportAllocs()
		b.SetParallelism(64) // a ledger on disk shares its syncs
		var n atomic.Int64
		b.RunParallel(func(pb *testing.PB) {
			a := addr(int(n.Add(1)))
			for pb.Next() {
				pair(b, l, a)
			}
		})
	})
}

func addr(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func insert(t *testing.T, l ipam.Ledger, a netip.Addr, key string) {
	t.Helper()
	if err := l.Insert(t.Context(), a, key); err != nil {
		t.Fatalf("insert %s for %q: %v", a, key, err)
	}
}

func holds(t *testing.T, l ipam.Ledger, a netip.Addr, key string) {
	t.Helper()
	if got, err := l.Holder(t.Context(), a); err != nil || got != key {
		t.Errorf("holder of %s is %q, %v; want %q", a, got, err, key)
	}
}

func isFree(t *testing.T, l ipam.Ledger, a netip.Addr) {
	t.Helper()
	if got, err := l.Holder(t.Context(), a); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("holder of %s, which is free: %q, %v; want fs.ErrNotExist", a, got, err)
	}
}

func testInsert(t *testing.T, h Harness) {
	isFree(t, h.Ledger, addr(1))
	insert(t, h.Ledger, addr(1), "one")
	holds(t, h.Ledger, addr(1), "one")
	for _, key := range []string{"one", "two"} { // also for its holder
		if err := h.Ledger.Insert(t.Context(), addr(1), key); !errors.Is(err, fs.ErrExist) {
			t.Errorf("insert of a held address for %q: %v; want fs.ErrExist", key, err)
		}
	}
	holds(t, h.Ledger, addr(1), "one")
	isFree(t, h.Ledger, addr(2))
}

func testDelete(t *testing.T, h Harness) {
	if err := h.Ledger.Delete(t.Context(), addr(1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("delete of a free address: %v; want fs.ErrNotExist", err)
	}
	insert(t, h.Ledger, addr(1), "one")
	insert(t, h.Ledger, addr(2), "two")
	for i := range 2 {
		if err := h.Ledger.Delete(t.Context(), addr(1)); (err == nil) != (i == 0) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("delete %d: %v", i, err)
		}
	}
	isFree(t, h.Ledger, addr(1))
	holds(t, h.Ledger, addr(2), "two")
	insert(t, h.Ledger, addr(1), "three")
	holds(t, h.Ledger, addr(1), "three")
}

// testKeys: one key may have many addresses, and keys are any text.
func testKeys(t *testing.T, h Harness) {
	for i, key := range []string{"", "same", "same", "52:54:00:00:00:01 eth0", "Ünïcode", "line\nbreak", "quote ' \" \\", "nul\x00", string(make([]byte, 200))} {
		insert(t, h.Ledger, addr(i), key)
		holds(t, h.Ledger, addr(i), key)
	}
}

func testFamilies(t *testing.T, h Harness) {
	for i, text := range []string{"10.0.0.1", "::10.0.0.1", "fd00::1", "0.0.0.0", "::", "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		a := netip.MustParseAddr(text)
		insert(t, h.Ledger, a, fmt.Sprint(i))
		holds(t, h.Ledger, a, fmt.Sprint(i))
	}
}

func listed(t *testing.T, l ipam.Ledger, prefix string) (out []netip.Addr) {
	t.Helper()
	lister, ok := l.(ipam.Lister)
	if !ok {
		t.Skip("the ledger is no Lister")
	}
	for a, err := range lister.Addrs(t.Context(), netip.MustParsePrefix(prefix)) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, a)
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out
}

func testLister(t *testing.T, h Harness) {
	listed(t, h.Ledger, "10.0.0.0/8")
	for i := range 300 {
		insert(t, h.Ledger, addr(i), "k")
	}
	insert(t, h.Ledger, netip.MustParseAddr("fd00::7"), "k")
	for prefix, want := range map[string]int{"10.0.0.0/24": 256, "10.0.1.0/24": 44, "10.0.0.0/8": 300, "10.9.0.0/16": 0, "fd00::/64": 1, "10.0.0.7/32": 1} {
		got := listed(t, h.Ledger, prefix)
		if len(got) != want || !slices.IsSortedFunc(got, netip.Addr.Compare) || len(slices.Compact(got)) != want {
			t.Errorf("%s: %d addresses, want %d", prefix, len(got), want)
		}
	}
	// The reader of the list may change the ledger.
	for a, err := range h.Ledger.(ipam.Lister).Addrs(t.Context(), netip.MustParsePrefix("10.0.0.0/24")) {
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Ledger.Delete(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if got := listed(t, h.Ledger, "10.0.0.0/8"); len(got) != 44 {
		t.Errorf("%d addresses are left, want 44", len(got))
	}
	for range h.Ledger.(ipam.Lister).Addrs(t.Context(), netip.MustParsePrefix("10.0.0.0/8")) {
		break // must not leave anything locked
	}
	insert(t, h.Ledger, addr(1), "k")
}

// testRace: of many calls for one address exactly one succeeds.
func testRace(t *testing.T, h Harness) {
	const callers, addresses = 8, 50
	var won [addresses]atomic.Int64
	var running sync.WaitGroup
	for c := range callers {
		running.Go(func() {
			for i := range addresses {
				switch err := h.Ledger.Insert(t.Context(), addr(i), fmt.Sprint(c)); {
				case err == nil:
					won[i].Add(1)
				case !errors.Is(err, fs.ErrExist):
					t.Errorf("insert: %v", err)
				}
			}
		})
	}
	running.Wait()
	for i := range addresses {
		if n := won[i].Load(); n != 1 {
			t.Errorf("%s was given to %d callers", addr(i), n)
		}
	}
}

func testCancellation(t *testing.T, h Harness) {
	insert(t, h.Ledger, addr(1), "one")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Ledger.Insert(ctx, addr(2), "two"); err == nil {
		holds(t, h.Ledger, addr(2), "two") // a ledger that does not wait may go on
	} else {
		isFree(t, h.Ledger, addr(2))
	}
	if err := h.Ledger.Delete(ctx, addr(1)); err == nil {
		isFree(t, h.Ledger, addr(1))
	} else {
		holds(t, h.Ledger, addr(1), "one")
	}
}

func testDurable(t *testing.T, h Harness) {
	if h.Reopen == nil {
		t.Skip("the ledger is not durable")
	}
	want := map[netip.Addr]string{}
	for i := range 200 {
		insert(t, h.Ledger, addr(i), fmt.Sprint("key ", i))
		want[addr(i)] = fmt.Sprint("key ", i)
	}
	for i := range 50 {
		if err := h.Ledger.Delete(t.Context(), addr(3*i)); err != nil {
			t.Fatal(err)
		}
		delete(want, addr(3*i))
	}
	l := h.Reopen(t)
	for i := range 200 {
		if key, ok := want[addr(i)]; ok {
			holds(t, l, addr(i), key)
		} else {
			isFree(t, l, addr(i))
		}
	}
	if _, ok := l.(ipam.Lister); !ok {
		return
	}
	if got := listed(t, l, "10.0.0.0/8"); !slices.Equal(got, slices.SortedFunc(maps.Keys(want), netip.Addr.Compare)) {
		t.Errorf("%d addresses are listed, want %d", len(got), len(want))
	}
}

// testPool: a Pool gives out all addresses of its subnet once.
func testPool(t *testing.T, h Harness) {
	usage := ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/26")}}
	pool, err := ipam.NewPool(t.Context(), ipam.PoolConfig{Usage: usage, Ledger: h.Ledger})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	given := map[netip.Addr]string{}
	var running sync.WaitGroup
	for c := range 4 {
		running.Go(func() {
			for {
				key := fmt.Sprint("caller ", c)
				a, err := pool.Next(t.Context(), key)
				if full := (*ipam.ExhaustedError)(nil); errors.As(err, &full) {
					return
				}
				mu.Lock()
				if _, twice := given[a]; err != nil || twice {
					t.Errorf("%s, %v; given before: %v", a, err, twice)
				}
				given[a] = key
				mu.Unlock()
			}
		})
	}
	running.Wait()
	if len(given) != 62 {
		t.Errorf("%d addresses of 62 were given out", len(given))
	}
	for a, key := range given {
		holds(t, h.Ledger, a, key)
	}
}
