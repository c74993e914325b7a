package plan_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/schema"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func mac(n int) net.HardwareAddr {
	return net.HardwareAddr{0x52, 0x54, 0, byte(n >> 16), byte(n >> 8), byte(n)}
}

func nic(n int) inventory.Interface {
	return inventory.Interface{Interface: ipam.Interface{MAC: mac(n), Enabled: true}}
}

func openInventory(t testing.TB, url string) *inventory.Inventory {
	t.Helper()
	db, err := store.Open(t.Context(), url, schema.FS)
	ok(t, err)
	t.Cleanup(func() { db.Close() })
	return must[*inventory.Inventory](t)(inventory.Open(t.Context(), db, inventory.Config{}))
}

func model(t testing.TB, inv *inventory.Inventory) *inventory.Model {
	t.Helper()
	return must[*inventory.Model](t)(inv.Model(t.Context()))
}

// errOf keeps the error of a call that returns a value too.
func errOf[T any](_ T, err error) error { return err }
