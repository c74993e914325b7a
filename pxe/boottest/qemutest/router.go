//go:build linux

package qemutest

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gomaas/maas/pxe/boottest/netlab"
	"golang.org/x/net/ipv6"
)

// Advertise sends IPv6 router advertisements on an interface of ns until the
// test ends. Without any router, iPXE sits out its IPv6 configuration, which
// makes each of its boots some 12 s longer. From a prefix of 64 bits guests make
// themselves an address; with none they have only their link-local one.
func Advertise(t testing.TB, ns *netlab.NS, ifname string, prefixes ...netip.Prefix) {
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
		advertise(ctx, conn, advertisement(prefixes))
	}()
	t.Cleanup(func() { cancel(); <-done; conn.Close() })
}

// advertisement is of type 134, with hop limit 64, no flags and no lifetime: not
// a default router. The kernel fills in the checksum. Each prefix is on the link
// and for addresses (RFC 4861 section 4.6.2), for ten minutes.
func advertisement(prefixes []netip.Prefix) []byte {
	packet := []byte{134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	for _, p := range prefixes {
		packet = append(packet, 3, 4, byte(p.Bits()), 0xc0, 0, 0, 2, 88, 0, 0, 2, 88, 0, 0, 0, 0)
		packet = append(packet, p.Masked().Addr().AsSlice()...)
	}
	return packet
}

func advertise(ctx context.Context, conn *ipv6.PacketConn, packet []byte) {
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
