package dhcptest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gomaas/maas/dhcpsrv"
)

// Harness is one empty store to test.
type Harness struct {
	Store dhcpsrv.LeaseStore
	// Reopen abandons the store in use as a crash would, as far as possible without an orderly
	// close, and opens it again. If nil, the store is not durable, and the tests of durability are
	// skipped.
	Reopen func() dhcpsrv.LeaseStore
}

// Run tests a store; make is called for every subtest.
func Run(t *testing.T, make func(t *testing.T) Harness) {
	t.Helper()
	tests := []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"Empty", testEmpty},
		{"EveryField", testEveryField},
		{"Replace", testReplace},
		{"LastOfBatchCounts", testLastOfBatch},
		{"KeepsNoMemory", testKeepsNoMemory},
		{"CancelledCommit", testCancelled},
		{"StopLoading", testStopLoading},
		{"LargeBatches", testLarge},
		{"Durable", testDurable},
		{"Shift", testShift},
		{"VRFs", testVRFs},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, make(t)) })
	}
}

// Benchmark measures Commit with batches of 1, 64 and 1024 leases, and Load of 100,000.
func Benchmark(b *testing.B, make func(b *testing.B) Harness) {
	for _, size := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("Commit%d", size), func(b *testing.B) {
			h := make(b)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if err := h.Store.Commit(context.Background(), leases(n, size)); err != nil {
					b.Fatal(err)
				}
				n = (n + size) % 100_000
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "leases/s")
		})
	}
	b.Run("Load100k", func(b *testing.B) {
		h := make(b)
		if err := h.Store.Commit(context.Background(), leases(0, 100_000)); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if h.Reopen != nil {
				h.Store = h.Reopen()
			}
			if n := len(load(b, h.Store)); n != 100_000 {
				b.Fatalf("%d leases", n)
			}
		}
	})
}

var epoch = time.Date(2026, 11, 22, 10, 0, 0, 123e6, time.UTC)

// leases returns n leases of a machine room, starting with number first.
func leases(first, n int) []dhcpsrv.Lease {
	out := make([]dhcpsrv.Lease, n)
	for i := range out {
		out[i] = lease(first + i)
	}
	return out
}

func lease(i int) dhcpsrv.Lease {
	var addr [4]byte
	binary.BigEndian.PutUint32(addr[:], 10<<24+uint32(i))
	mac := net.HardwareAddr{0x52, 0x54, 0, byte(i >> 16), byte(i >> 8), byte(i)}
	l := dhcpsrv.Lease{
		Addr: netip.AddrFrom4(addr), State: dhcpsrv.Bound, MAC: mac, ClientID: append([]byte{1}, mac...),
		Hostname: fmt.Sprintf("node%d", i), Subnet: "room-1", Link: "eth0", Start: epoch, End: epoch.Add(time.Hour),
	}
	if i%2 == 1 {
		l.Changed = epoch.Add(time.Minute)
	}
	return l
}

// leaseKey distinguishes the leases of a store.
type leaseKey struct {
	addr netip.Addr
	vrf  string
}

func keyOf(l dhcpsrv.Lease) leaseKey { return leaseKey{l.Addr, l.VRF} }

// load returns all leases of a store by address and VRF, and fails on a duplicate.
func load(t testing.TB, s dhcpsrv.LeaseStore) map[leaseKey]dhcpsrv.Lease {
	t.Helper()
	out := make(map[leaseKey]dhcpsrv.Lease)
	for l, err := range s.Load(context.Background()) {
		if err != nil {
			t.Fatalf("Load: %v", err)
		}
		if _, twice := out[keyOf(l)]; twice {
			t.Errorf("Load gives %v twice", keyOf(l))
		}
		out[keyOf(l)] = l
	}
	return out
}

func commit(t testing.TB, s dhcpsrv.LeaseStore, batch ...dhcpsrv.Lease) {
	t.Helper()
	if err := s.Commit(context.Background(), batch); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// check compares the leases of a store with the wanted ones. Times count to the millisecond.
func check(t testing.TB, s dhcpsrv.LeaseStore, want ...dhcpsrv.Lease) {
	t.Helper()
	wanted := make(map[leaseKey]dhcpsrv.Lease)
	for _, l := range want {
		wanted[keyOf(l)] = l
	}
	sameTime := cmp.Comparer(func(a, b time.Time) bool { return a.Truncate(time.Millisecond).Equal(b.Truncate(time.Millisecond)) })
	sameAddr := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	if diff := cmp.Diff(wanted, load(t, s), sameTime, sameAddr); diff != "" {
		t.Errorf("leases (-want +got)\n%s", diff)
	}
}

func testEmpty(t *testing.T, h Harness) {
	check(t, h.Store)
	commit(t, h.Store)
	check(t, h.Store)
}

// full returns a lease with every field set, long texts and unusual bytes.
func full() dhcpsrv.Lease {
	l := lease(1)
	l.MAC = net.HardwareAddr{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	l.ClientID = []byte(strings.Repeat("\x00\xff'\"", 63))
	l.CircuitID = []byte(strings.Repeat("\xfe\n", 127))
	l.Relay = netip.MustParseAddr("10.255.0.1")
	l.Hostname = strings.Repeat("long-name.", 25)
	l.Subnet = "room 1; drop table leases -- é"
	l.VendorClass = "PXEClient:Arch:00007:UNDI:003000"
	l.State = dhcpsrv.Ended
	return l
}

func testEveryField(t *testing.T, h Harness) {
	bare := dhcpsrv.Lease{Addr: netip.MustParseAddr("10.0.0.9"), State: dhcpsrv.Declined, Start: epoch, End: time.Now().Add(time.Hour)}
	six := lease(2)
	six.Addr = netip.MustParseAddr("2001:db8::7")
	prefix := lease(3)
	prefix.Addr, prefix.Bits = netip.MustParseAddr("2001:db8:f000::"), 60
	commit(t, h.Store, full(), bare, six, prefix)
	check(t, h.Store, full(), bare, six, prefix)
}

func testReplace(t *testing.T, h Harness) {
	first, second := lease(1), full()
	second.Addr = first.Addr
	commit(t, h.Store, first)
	commit(t, h.Store, second)
	check(t, h.Store, second)
}

func testLastOfBatch(t *testing.T, h Harness) {
	released, granted := lease(1), lease(1)
	released.State = dhcpsrv.Ended
	granted.MAC = net.HardwareAddr{1, 2, 3, 4, 5, 6}
	commit(t, h.Store, lease(1), released, lease(2), granted)
	check(t, h.Store, granted, lease(2))
}

func testKeepsNoMemory(t *testing.T, h Harness) {
	batch := leases(1, 2)
	commit(t, h.Store, batch...)
	clear(batch[0].MAC)
	clear(batch[0].ClientID)
	clear(batch)
	check(t, h.Store, leases(1, 2)...)
	for l := range h.Store.Load(context.Background()) {
		clear(l.MAC)
	}
	check(t, h.Store, leases(1, 2)...)
}

func testCancelled(t *testing.T, h Harness) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Store.Commit(ctx, leases(1, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit with a context that has ended: %v", err)
	}
	commit(t, h.Store, lease(2))
	if _, ok := load(t, h.Store)[keyOf(lease(2))]; !ok {
		t.Error("the next commit is lost")
	}
}

func testStopLoading(t *testing.T, h Harness) {
	commit(t, h.Store, leases(1, 10)...)
	for range h.Store.Load(context.Background()) {
		break
	}
	check(t, h.Store, leases(1, 10)...)
}

func testLarge(t *testing.T, h Harness) {
	commit(t, h.Store, leases(0, 5000)...)
	commit(t, h.Store, leases(2500, 5000)...)
	check(t, h.Store, leases(0, 7500)...)
}

// testVRFs tests that an address has a record in each routing domain, of which a change replaces
// one.
func testVRFs(t *testing.T, h Harness) {
	var all []dhcpsrv.Lease
	for _, addr := range []string{"10.0.0.7", "2001:db8::7"} {
		for _, vrf := range []string{"", "red", "blue", "192.0.2.1%eth0"} {
			l := lease(1)
			l.Addr, l.VRF = netip.MustParseAddr(addr), vrf
			all = append(all, l)
		}
	}
	commit(t, h.Store, all...)
	for i := range all {
		all[i].Hostname = fmt.Sprint("again", i)
		commit(t, h.Store, all[i])
	}
	check(t, h.Store, all...)
	if store, ok := h.Store.(dhcpsrv.ShiftStore); ok {
		if err := store.Shift(context.Background(), time.Hour); err != nil {
			t.Fatalf("Shift: %v", err)
		}
		for i := range all {
			all[i] = shifted(all[i], time.Hour)
		}
	}
	if h.Reopen != nil {
		h.Store = h.Reopen()
	}
	check(t, h.Store, all...)
}

// shifted returns the lease as Shift leaves it.
func shifted(l dhcpsrv.Lease, by time.Duration) dhcpsrv.Lease {
	l.Start, l.End = l.Start.Add(by), l.End.Add(by)
	if !l.Changed.IsZero() {
		l.Changed = l.Changed.Add(by)
	}
	return l
}

// testShift tests stores that can move all times at once.
func testShift(t *testing.T, h Harness) {
	store, ok := h.Store.(dhcpsrv.ShiftStore)
	if !ok {
		t.Skip("the store cannot move times")
	}
	declined := dhcpsrv.Lease{Addr: netip.MustParseAddr("10.99.0.1"), State: dhcpsrv.Declined, Start: epoch, End: epoch.Add(time.Hour)}
	want := []dhcpsrv.Lease{declined}
	commit(t, h.Store, declined)
	for i, by := range []time.Duration{56 * 365 * 24 * time.Hour, -time.Hour} {
		more := leases(i*100, 150) // fifty of them again in the next round
		commit(t, h.Store, more...)
		want = append(want[:min(len(want), 1+i*100)], more...)
		if err := store.Shift(context.Background(), by); err != nil {
			t.Fatalf("Shift: %v", err)
		}
		for i := range want {
			want[i] = shifted(want[i], by)
		}
		check(t, h.Store, want...)
		if h.Reopen != nil {
			h.Store = h.Reopen()
			store = h.Store.(dhcpsrv.ShiftStore)
			check(t, h.Store, want...)
		}
	}
}

func testDurable(t *testing.T, h Harness) {
	if h.Reopen == nil {
		t.Skip("the store is not durable")
	}
	var want []dhcpsrv.Lease
	for round := range 5 {
		batch := leases(round*10, 15) // five of them again in the next round
		commit(t, h.Store, batch...)
		want = append(want, batch...)
		h.Store = h.Reopen()
		check(t, h.Store, want...)
	}
}
