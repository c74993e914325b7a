package dhcpsrv_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcptest"
	"github.com/gomaas/maas/dhcpsrv/failover"
)

// campusOf is the campus shared by two servers. Only alpha is asked, and answers all.
func campusOf(n int) dhcpsrv.Snapshot {
	snap := campus()
	sub := &snap.Subnets[0]
	own, other := simNames[n], simNames[1-n]
	snap.Partners = []failover.Partner{{Name: other, Self: own}}
	sub.Partner, sub.Secondary = other, n == 1
	sub.PartnerServer = ip([]string{"10.0.0.2", "10.0.0.1"}[n])
	sub.Server = ip([]string{"10.0.0.1", "10.0.0.2"}[n])
	return snap
}

// link connects two servers until the benchmark ends.
func link(b *testing.B, s [2]*dhcpsrv.Server) {
	x, y := dhcptest.PartnerPipe(dhcptest.Faults{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	for n, end := range []*dhcptest.PartnerEnd{x, y} {
		go func() { done <- s[n].ServePartner(ctx, simNames[1-n], end) }()
	}
	b.Cleanup(func() {
		cancel()
		<-done
		<-done
	})
	for s[0].Partners()[0].State != failover.Normal {
		time.Sleep(time.Millisecond)
	}
}

// BenchmarkPartnerDORA measures whole exchanges with leases on two disks, as BenchmarkDORA does with one.
func BenchmarkPartnerDORA(b *testing.B) {
	var s [2]*dhcpsrv.Server
	for n := range s {
		s[n] = newServer(b, dhcpsrv.Config{Store: openJournal(b, filepath.Join(b.TempDir(), "leases"))}, campusOf(n))
	}
	link(b, s)
	var next atomic.Uint32
	b.SetParallelism(256)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		d := newDORA(b)
		d.discover[9], d.request[9] = 60, 60 // they have waited, so whose half they are does not matter
		for pb.Next() {
			d.run(b, s[0], next.Add(1))
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "exchanges/s")
	b.ReportMetric(float64(s[0].Stats().PartnerLate)/float64(b.N), "late/op")
}

// BenchmarkPartnerSync measures how long it takes until a server without leases has 100,000 of its partner, on disk.
func BenchmarkPartnerSync(b *testing.B) {
	store := new(dhcpsrv.MemStore)
	var batch []dhcpsrv.Lease
	for i := range uint32(100_000) {
		a := netip.AddrFrom4([4]byte{10, byte(1 + i>>16), byte(i >> 8), byte(i)})
		batch = append(batch, dhcpsrv.Lease{
			Addr: a, State: dhcpsrv.Bound, MAC: macOf(i), Hostname: "node", Subnet: "campus", Link: "eth0",
			Start: time.Now(), Changed: time.Now(), End: time.Now().Add(time.Hour),
		})
	}
	if err := store.Commit(b.Context(), batch); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var s [2]*dhcpsrv.Server
		s[0] = newServer(b, dhcpsrv.Config{Store: store}, campusOf(0))
		s[1] = newServer(b, dhcpsrv.Config{Store: openJournal(b, filepath.Join(b.TempDir(), "leases"))}, campusOf(1))
		link(b, s)
	}
}
