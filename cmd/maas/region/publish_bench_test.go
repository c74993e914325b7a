package region

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory"
)

// BenchmarkNetworkChange publishes a change of a subnet for ten racks and 10,000 machines.
func BenchmarkNetworkChange(b *testing.B) {
	ctx := b.Context()
	r, err := Open(ctx, Config{Dir: b.TempDir(), Kinds: power.NewRegistry(power.Manual())})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	if _, err := r.inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack0", Link: "eth0", Address: netip.MustParsePrefix("10.0.0.1/14")}); err != nil {
		b.Fatal(err)
	}
	for i := 1; i < 10; i++ {
		link := inventory.RackLink{Name: "eth0", Addrs: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 14)}}
		if _, err := r.inv.RegisterRack(ctx, inventory.Rack{Name: fmt.Sprint("rack", i), Links: []inventory.RackLink{link}}); err != nil {
			b.Fatal(err)
		}
	}
	subnets, err := r.inv.Subnets.List(ctx)
	if err != nil {
		b.Fatal(err)
	}
	err = r.inv.Atomically(ctx, func(ctx context.Context) error {
		a := netip.MustParseAddr("10.1.0.0")
		for i := range 10_000 {
			m, _, err := r.inv.Enlist(ctx, inventory.Enlistment{MAC: net.HardwareAddr{2, 0, 0, 0, byte(i >> 8), byte(i)}, Hostname: fmt.Sprint("node", i)})
			if err != nil {
				return err
			}
			a = a.Next()
			if _, err := r.inv.LinkInterface(ctx, m.Interfaces[0].ID, inventory.LinkRequest{Mode: ipam.LinkStatic, SubnetID: subnets[0].ID, Addr: a}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = r.publish(ctx)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s, err := r.inv.Subnets.Get(ctx, subnets[0].ID)
		if err != nil {
			b.Fatal(err)
		}
		s.DenyProxy = !s.DenyProxy
		if _, err := r.inv.Subnets.Update(ctx, s); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := r.publish(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
