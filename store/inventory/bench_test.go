package inventory_test

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// fleet makes an inventory in a file with n machines that hold leases.
func fleet(b *testing.B, n int) *inventory.Inventory {
	b.Helper()
	inv, ctx := openInventory(b, "sqlite://"+filepath.Join(b.TempDir(), "maas.db")), b.Context()
	must[ipam.Subnet](b)(inv.Bootstrap(ctx, inventory.Bootstrap{Rack: "rack1", Link: "eth0", Address: prefix("10.0.0.2/16")}))
	first := addr("10.0.192.0")
	err := inv.Atomically(ctx, func(ctx context.Context) error {
		a := first
		for i := range n {
			if _, _, err := inv.Enlist(ctx, inventory.Enlistment{MAC: mac(i), Hostname: fmt.Sprint("node", i)}); err != nil {
				return err
			}
			a = a.Next()
			if err := inv.Leases.Record(ctx, inventory.LeaseFact{MAC: mac(i), Addr: a, Expires: time.Now().Add(time.Hour)}); err != nil {
				return err
			}
		}
		return nil
	})
	ok(b, err)
	return inv
}

func BenchmarkModelAndPlans(b *testing.B) {
	for _, n := range []int{100, 5000} {
		b.Run(fmt.Sprint("machines-", n), func(b *testing.B) {
			inv := fleet(b, n)
			b.ReportAllocs()
			for b.Loop() {
				m := model(b, inv)
				plan.DHCP(m, m.Racks[0])
				plan.DNS(m)
				for _, n := range plan.Nodes(m) {
					plan.BootOf(m, n)
				}
			}
		})
	}
}

// BenchmarkRecordLease is one durable transaction per lease.
func BenchmarkRecordLease(b *testing.B) {
	inv := fleet(b, 1000)
	a, i := addr("10.0.200.0"), 0
	for b.Loop() {
		a, i = a.Next(), i+1
		if !a.IsValid() || a == addr("10.0.255.254") {
			a = addr("10.0.200.0").Next()
		}
		ok(b, inv.Leases.Record(b.Context(), inventory.LeaseFact{MAC: mac(i % 1000), Addr: a, Expires: time.Now().Add(time.Hour)}))
	}
}

// BenchmarkEnlistKnown measures the cost of every boot of a known machine.
func BenchmarkEnlistKnown(b *testing.B) {
	inv := fleet(b, 1000)
	i := 0
	for b.Loop() {
		i++
		_, _, err := inv.Enlist(b.Context(), inventory.Enlistment{MAC: mac(i % 1000)})
		ok(b, err)
	}
}

// BenchmarkReserveAddress gives out an address of a /16 and takes it back, at
// a given filling, each durably.
func BenchmarkReserveAddress(b *testing.B) {
	for _, percent := range []int{0, 99} {
		b.Run(fmt.Sprint("filled-", percent), func(b *testing.B) {
			inv, ctx := openInventory(b, "sqlite://"+filepath.Join(b.TempDir(), "maas.db")), b.Context()
			s := must[ipam.Subnet](b)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/16")}))
			err := inv.Atomically(ctx, func(ctx context.Context) error {
				for range 65534 * percent / 100 {
					if _, err := inv.ReserveAddress(ctx, inventory.Reservation{SubnetID: s.ID}); err != nil {
						return err
					}
				}
				return nil
			})
			ok(b, err)
			for b.Loop() {
				a := must[ipam.Allocation](b)(inv.ReserveAddress(ctx, inventory.Reservation{SubnetID: s.ID}))
				ok(b, inv.ReleaseAddress(ctx, a.Addr, "", false))
			}
		})
	}
}

// BenchmarkRecordLeaseAmongSubnets records leases of one subnet of a site with many.
func BenchmarkRecordLeaseAmongSubnets(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint("subnets-", n), func(b *testing.B) {
			inv, ctx := openInventory(b, "memory:"), b.Context()
			ok(b, inv.Atomically(ctx, func(ctx context.Context) error {
				for i := range n {
					p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i / 256), byte(i % 256), 0}), 24)
					if _, err := inv.Subnets.Create(ctx, ipam.Subnet{Prefix: p}); err != nil {
						return err
					}
				}
				_, err := inv.Ranges.Create(ctx, ipam.Range{Type: ipam.RangeDynamic, Start: addr("10.0.0.10"), End: addr("10.0.0.250")})
				return err
			}))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a := netip.AddrFrom4([4]byte{10, 0, 0, byte(10 + i%240)})
				ok(b, inv.Leases.Record(ctx, inventory.LeaseFact{MAC: mac(i % 240), Addr: a, Expires: time.Now().Add(time.Hour)}))
			}
		})
	}
}
