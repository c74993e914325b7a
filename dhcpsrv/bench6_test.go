package dhcpsrv_test

import (
	"context"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/gomaas/maas/dhcpsrv"
)

// A SOLICIT and its ADVERTISE, without socket and store.
func BenchmarkSolicit6(b *testing.B) {
	c := newClient6(b, newServer(b, dhcpsrv.Config{}, office6()), "02:00:00:00:00:01")
	p := c.packet(dhcpv6.MessageTypeSolicit, ia(1))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.s.Handle6(context.Background(), p); !ok {
			b.Fatal("no answer")
		}
	}
}
