package region

import (
	"encoding/json"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/store/inventory"
)

// BenchmarkLeaseFacts records leases of clients that are not known, in batches as racks send them,
// and renewals of known ones.
func BenchmarkLeaseFacts(b *testing.B) {
	for name, clients := range map[string]int{"unknown": 1 << 24, "renewed": 4096} {
		b.Run(name, func(b *testing.B) {
			ctx := b.Context()
			r, err := Open(ctx, Config{Dir: b.TempDir(), Kinds: power.NewRegistry(power.Manual())})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			site := inventory.Bootstrap{Rack: "rack", Link: "eth0", Address: netip.MustParsePrefix("10.0.0.1/8"), DynamicFirst: netip.MustParseAddr("10.1.0.0"), DynamicLast: netip.MustParseAddr("10.250.0.0")}
			if _, err := r.inv.Bootstrap(ctx, site); err != nil {
				b.Fatal(err)
			}
			if err := r.publish(ctx); err != nil {
				b.Fatal(err)
			}
			const batch = 512
			seq, facts := 0, make([]rpc.Fact, batch)
			take := func() {
				for i := range facts {
					n := seq % clients
					begin := time.Now()
					lease := dhcprpc.Fact{
						Event: "granted", Addr: netip.AddrFrom4([4]byte{10, byte(1 + n>>16), byte(n >> 8), byte(n)}), MAC: net.HardwareAddr{2, 9, 0, byte(n >> 16), byte(n >> 8), byte(n)}.String(),
						Start: begin, End: begin.Add(time.Hour),
					}
					data, err := json.Marshal(lease)
					if err != nil {
						b.Fatal(err)
					}
					seq++
					facts[i] = rpc.Fact{Outbox: "box", Seq: uint64(seq), Kind: dhcprpc.FactKind, Time: begin, Data: data}
				}
				if err := r.takeFacts(ctx, "rack", facts); err != nil {
					b.Fatal(err)
				}
			}
			for clients < 1<<24 && seq < clients {
				take()
			}
			b.ReportAllocs()
			n, before := 0, cpuTime(b)
			for b.Loop() {
				take()
				n += batch
			}
			b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(n), "cpu-us/lease")
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "leases/s")
		})
	}
}

// cpuTime returns what the process took of the processors.
func cpuTime(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}
