//go:build linux

package qemutest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"golang.org/x/net/ipv6"
)

// Advertise sends IPv6 router advertisements without a prefix on an interface
// of ns until the test ends. Without any router, iPXE sits out its IPv6
// configuration, which makes each of its boots some 12 s longer.
func Advertise(t testing.TB, ns *netlab.NS, ifname string) {
	t.Helper()
	var conn *ipv6.PacketConn
	err := ns.Do(func() error {
		raw, err := net.ListenPacket("ip6:ipv6-icmp", "::")
		if err != nil {
			return err
		}
		conn = ipv6.NewPacketConn(raw)
		ifi, err := net.InterfaceByName(ifname)
		if err != nil {
			return err
		}
		if err := conn.SetMulticastInterface(ifi); err != nil {
			return err
		}
		return conn.SetMulticastHopLimit(255) // RFC 4861 section 6.1.2
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		advertise(ctx, conn)
	}()
	t.Cleanup(func() { cancel(); <-done; conn.Close() })
}

func advertise(ctx context.Context, conn *ipv6.PacketConn) {
	// Type 134; hop limit 64, no flags, no lifetime: not a default router. The
	// kernel fills in the checksum.
	packet := []byte{134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	all := &net.IPAddr{IP: net.IPv6linklocalallnodes}
	for tick := time.NewTicker(500 * time.Millisecond); ; {
		_, _ = conn.WriteTo(packet, nil, all) // the link may not be ready yet
		select {
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}
