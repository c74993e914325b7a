package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/ipam"
	"pgregory.net/rapid"
)

func usage(prefix string) ipam.Usage {
	return ipam.Usage{Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix(prefix)}}
}

func newPool(t testing.TB, cfg ipam.PoolConfig) *ipam.Pool {
	t.Helper()
	p, err := ipam.NewPool(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bestFit is the rule of Next, address by address: of the shortest run of
// free addresses, the lowest.
func bestFit(free []netip.Addr) (netip.Addr, bool) {
	best, length := netip.Addr{}, 0
	for i := 0; i < len(free); {
		j := i + 1
		for j < len(free) && free[j] == free[j-1].Next() {
			j++
		}
		if length == 0 || j-i < length {
			best, length = free[i], j-i
		}
		i = j
	}
	return best, length > 0
}

func TestPoolMatchesOracle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		u := genUsage(rt)
		u.Neighbours, u.Exclude, u.Subnet.DNSServers = nil, nil, nil
		pool := newPool(t, ipam.PoolConfig{Usage: *u})
		set, ctx := u.FreeForAuto(), t.Context()
		var free, held []netip.Addr
		for _, a := range addrsOf(u.Subnet.Prefix) {
			if set.Contains(a) {
				free = append(free, a)
			}
		}
		move := func(a netip.Addr, from, to *[]netip.Addr) {
			i := slices.Index(*from, a)
			if i < 0 {
				rt.Fatalf("%s was not where it must be", a)
			}
			*from = slices.Delete(*from, i, i+1)
			*to = append(*to, a)
			slices.SortFunc(*to, netip.Addr.Compare)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"next": func(rt *rapid.T) {
				want, ok := bestFit(free)
				got, err := pool.Next(ctx, "k")
				if (err == nil) != ok || ok && got != want {
					rt.Fatalf("Next = %v, %v; want %v", got, err, want)
				}
				if ok {
					move(got, &free, &held)
				}
			},
			"for": func(rt *rapid.T) {
				got, err := pool.For(ctx, rapid.StringN(1, 4, -1).Draw(rt, "key"))
				if (err == nil) != (len(free) > 0) {
					rt.Fatalf("For = %v, %v with %d free", got, err, len(free))
				}
				if err == nil {
					move(got, &free, &held)
				}
			},
			"take": func(rt *rapid.T) {
				a := rapid.SampledFrom(addrsOf(u.Subnet.Prefix)).Draw(rt, "addr")
				wasFree := slices.Contains(free, a)
				if err := pool.Take(ctx, a, "k"); err == nil && wasFree {
					move(a, &free, &held)
				} else if wasFree {
					rt.Fatalf("Take(%s) = %v, though free", a, err)
				} else if err == nil && slices.Contains(held, a) {
					rt.Fatalf("Take(%s) gave out a held address", a)
				}
			},
			"release": func(rt *rapid.T) {
				if len(held) == 0 {
					rt.Skip()
				}
				a := rapid.SampledFrom(held).Draw(rt, "addr")
				if err := pool.Release(ctx, a); err != nil {
					rt.Fatal(err)
				}
				move(a, &held, &free)
			},
			"": func(rt *rapid.T) {
				if pool.Free() != len(free) {
					rt.Fatalf("Free() = %d, want %d", pool.Free(), len(free))
				}
			},
		})
	})
}

func TestPoolByKeyIsStable(t *testing.T) {
	for _, prefix := range []string{"10.0.0.0/24", "fd00::/64", "fd00::/48"} {
		t.Run(prefix, func(t *testing.T) {
			pick := func() (got []netip.Addr) {
				p := newPool(t, ipam.PoolConfig{Usage: usage(prefix)})
				for i := range 100 {
					a, err := p.For(t.Context(), fmt.Sprintf("52:54:00:00:00:%02x", i))
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, a)
				}
				return got
			}
			first := pick()
			if second := pick(); !slices.Equal(first, second) {
				t.Errorf("a second run gave other addresses:\n%v\n%v", first, second)
			}
		})
	}
}

func TestPoolQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, ipam.PoolConfig{Usage: usage("10.0.0.0/29"), Quarantine: time.Minute})
		ctx := t.Context()
		first, _ := p.Next(ctx, "a")
		if err := p.Release(ctx, first); err != nil {
			t.Fatal(err)
		}
		for range 5 { // .2 to .6
			if a, err := p.Next(ctx, "b"); err != nil || a == first {
				t.Fatalf("Next = %v, %v while %s rests", a, err, first)
			}
		}
		if a, err := p.Next(ctx, "c"); err != nil || a != first {
			t.Fatalf("Next = %v, %v; want the resting %s as the last resort", a, err, first)
		}
		if err := p.Release(ctx, first); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := p.Free(); n != 1 {
			t.Errorf("Free() = %d after the quarantine, want 1", n)
		}
	})
}

func TestPoolReturnsToItsLastHolder(t *testing.T) {
	p := newPool(t, ipam.PoolConfig{Usage: usage("10.0.0.0/16"), Quarantine: time.Hour})
	a, err := p.For(t.Context(), "mac")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Release(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if b, _ := p.For(t.Context(), "mac"); b != a {
		t.Errorf("For after release = %s, want %s: the quarantine is against others", b, a)
	}
}

func TestPoolNeighboursAreTheLastResort(t *testing.T) {
	u := usage("10.0.0.0/30") // .1 and .2
	old := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	u.Neighbours = []ipam.Neighbour{
		{Addr: netip.MustParseAddr("10.0.0.1"), LastSeen: old.Add(time.Hour)},
		{Addr: netip.MustParseAddr("10.0.0.2"), LastSeen: old},
	}
	p := newPool(t, ipam.PoolConfig{Usage: u})
	for _, want := range []string{"10.0.0.2", "10.0.0.1"} {
		if a, err := p.Next(t.Context(), ""); err != nil || a.String() != want {
			t.Fatalf("Next = %v, %v; want %s", a, err, want)
		}
	}
	_, err := p.Next(t.Context(), "")
	var full *ipam.ExhaustedError
	if !errors.As(err, &full) {
		t.Fatalf("err = %v, want *ExhaustedError", err)
	}
}

func TestPoolAllOrNothing(t *testing.T) {
	p := newPool(t, ipam.PoolConfig{Usage: usage("10.0.0.0/29")})
	_, err := p.NextN(t.Context(), 7, "")
	var full *ipam.ExhaustedError
	if !errors.As(err, &full) || full.Free != 6 || full.Wanted != 7 {
		t.Fatalf("err = %v, want 6 free of 7 wanted", err)
	}
	if got, err := p.NextN(t.Context(), 6, ""); err != nil || len(got) != 6 {
		t.Fatalf("after the refusal: %v, %v", got, err)
	}
}

// Pools that share a ledger, as processes share a database, never give one
// address twice and never refuse while one is free.
func TestPoolsShareALedger(t *testing.T) {
	ledger := new(ipam.MemLedger)
	const pools, each = 4, 16
	var mu sync.Mutex
	got := map[netip.Addr]int{}
	var wg sync.WaitGroup
	for range pools {
		p := newPool(t, ipam.PoolConfig{Usage: usage("10.0.0.0/24"), Ledger: ledger})
		for range each {
			wg.Go(func() {
				for {
					a, err := p.Next(t.Context(), "k")
					if err != nil {
						var full *ipam.ExhaustedError
						if !errors.As(err, &full) {
							t.Error(err)
						}
						return
					}
					mu.Lock()
					got[a]++
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	if len(got) != 254 || ledger.Len() != 254 {
		t.Errorf("%d addresses given out, %d in the ledger, want 254 and 254", len(got), ledger.Len())
	}
	for a, n := range got {
		if n != 1 {
			t.Errorf("%s given out %d times", a, n)
		}
	}
}

// What another process releases is found when the own view is used up.
func TestPoolRereadsLedgerBeforeRefusing(t *testing.T) {
	ledger := new(ipam.MemLedger)
	p := newPool(t, ipam.PoolConfig{Usage: usage("10.0.0.0/29"), Ledger: ledger})
	all, err := p.NextN(t.Context(), 6, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.Delete(t.Context(), all[3]); err != nil {
		t.Fatal(err)
	}
	if a, err := p.Next(t.Context(), ""); err != nil || a != all[3] {
		t.Errorf("Next = %v, %v; want %s", a, err, all[3])
	}
}

type brokenLedger struct{ ipam.MemLedger }

var errDisk = errors.New("disk full")

func (*brokenLedger) Insert(context.Context, netip.Addr, string) error { return errDisk }

func TestPoolKeepsAddressWhenLedgerFails(t *testing.T) {
	p := newPool(t, ipam.PoolConfig{Usage: usage("10.0.0.0/30"), Ledger: new(brokenLedger)})
	for range 10 {
		if _, err := p.Next(t.Context(), ""); !errors.Is(err, errDisk) {
			t.Fatalf("err = %v, want the ledger's", err)
		}
	}
	if p.Free() != 2 {
		t.Errorf("Free() = %d, want 2", p.Free())
	}
}

func TestPoolTakeNamesTheObstacle(t *testing.T) {
	u := usage("10.0.0.0/24")
	u.Ranges = []ipam.Range{{Type: ipam.RangeDynamic, Start: netip.MustParseAddr("10.0.0.100"), End: netip.MustParseAddr("10.0.0.199")}}
	p := newPool(t, ipam.PoolConfig{Usage: u})
	a := netip.MustParseAddr("10.0.0.9")
	if err := p.Take(t.Context(), a, "node1 eth0"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ addr, want string }{
		{"10.0.0.9", "ipam: address 10.0.0.9: is in use (held by node1 eth0)"},
		{"10.0.0.150", "ipam: address 10.0.0.150: belongs to the DHCP server (dynamic range 10.0.0.100-10.0.0.199)"},
		{"10.0.0.0", "ipam: address 10.0.0.0: the first address of 10.0.0.0/24 names the network and cannot be used"},
		{"10.0.1.1", "ipam: address 10.0.1.1: is not in subnet 10.0.0.0/24"},
	} {
		if err := p.Take(t.Context(), netip.MustParseAddr(tt.addr), "x"); err == nil || err.Error() != tt.want {
			t.Errorf("Take(%s) = %v\nwant %s", tt.addr, err, tt.want)
		}
	}
	if err := p.Take(t.Context(), a, "x"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a held address is not fs.ErrExist: %v", err)
	}
	if err := p.Release(t.Context(), netip.MustParseAddr("10.0.0.77")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("releasing a free address is not fs.ErrNotExist: %v", err)
	}
}

func ExamplePool() {
	ctx := context.Background()
	pool, err := ipam.NewPool(ctx, ipam.PoolConfig{Usage: ipam.Usage{
		Subnet: ipam.Subnet{Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1")},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	a, _ := pool.Next(ctx, "node1 eth0")
	fmt.Println(a)
	fmt.Println(pool.Take(ctx, a, "node2 eth0"))
	// Output:
	// 10.0.0.2
	// ipam: address 10.0.0.2: is in use (held by node1 eth0)
}

// Statistics of a Pool are those of a Usage that has what the Pool gave out.
func TestPoolStatistics(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		u := genUsage(rt)
		u.Subnet.DNSServers = nil
		var ledger ipam.Ledger
		if rapid.Bool().Draw(rt, "own ledger") {
			ledger = new(ipam.MemLedger)
			u.Allocations = nil
		}
		pool := newPool(t, ipam.PoolConfig{Usage: *u, Ledger: ledger})
		want := *u
		for range rapid.IntRange(0, 20).Draw(rt, "addresses") {
			a, err := pool.Next(t.Context(), "k")
			if err != nil {
				break
			}
			want.Allocations = append(slices.Clip(want.Allocations), ipam.Allocation{Addr: a})
		}
		// A neighbour that has a lease may be given out as the last resort, and its lease goes on afterwards.
		leased := func(a netip.Addr) bool {
			return slices.ContainsFunc(u.Allocations, func(l ipam.Allocation) bool { return l.Addr == a })
		}
		if n := len(want.Allocations); n > len(u.Allocations) && !leased(want.Allocations[n-1].Addr) && rapid.Bool().Draw(rt, "release") {
			if err := pool.Release(t.Context(), want.Allocations[n-1].Addr); err != nil {
				rt.Fatal(err)
			}
			want.Allocations = want.Allocations[:n-1]
		}
		if got, want := pool.Statistics(), want.Statistics(); got.String() != want.String() || got.Largest.Cmp(want.Largest) != 0 {
			rt.Fatalf("%v, largest %v; want %v, %v", got, got.Largest, want, want.Largest)
		}
	})
	if got := new(ipam.Pool).Statistics(); got.Total.Sign() != 0 {
		t.Errorf("of no subnet: %v", got)
	}
}

// What would be ignored by mistake is refused: an address in it would be given out.
func TestPoolsRefuseWhatIsOutside(t *testing.T) {
	addr := netip.MustParseAddr
	for name, change := range map[string]func(*ipam.Usage){
		"range in another network":    func(u *ipam.Usage) { u.Ranges = []ipam.Range{{Start: addr("10.0.1.1"), End: addr("10.0.1.9")}} },
		"range of another family":     func(u *ipam.Usage) { u.Ranges = []ipam.Range{{Start: addr("fd00::1"), End: addr("fd00::9")}} },
		"range backwards":             func(u *ipam.Usage) { u.Ranges = []ipam.Range{{Start: addr("10.0.0.9"), End: addr("10.0.0.2")}} },
		"range without end":           func(u *ipam.Usage) { u.Ranges = []ipam.Range{{Start: addr("10.0.0.9")}} },
		"route without gateway":       func(u *ipam.Usage) { u.Routes = []ipam.StaticRoute{{}} },
		"route in another network":    func(u *ipam.Usage) { u.Routes = []ipam.StaticRoute{{Gateway: addr("10.0.1.1")}} },
		"route with a metric below 0": func(u *ipam.Usage) { u.Routes = []ipam.StaticRoute{{Gateway: addr("10.0.0.1"), Metric: -1}} },
		"reserved in another network": func(u *ipam.Usage) { u.Reserved = []ipam.ReservedIP{{Addr: addr("10.0.1.7")}} },
		"reserved nothing":            func(u *ipam.Usage) { u.Reserved = []ipam.ReservedIP{{}} },
	} {
		u := usage("10.0.0.0/28")
		change(&u)
		if _, err := ipam.NewPool(t.Context(), ipam.PoolConfig{Usage: u}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	u := usage("10.0.0.0/28") // a range may reach beyond a subnet that was made smaller
	u.Ranges = []ipam.Range{{Start: addr("10.0.0.9"), End: addr("10.0.0.200")}}
	if _, err := ipam.NewPool(t.Context(), ipam.PoolConfig{Usage: u}); err != nil {
		t.Error(err)
	}
}
