//go:build linux

package qemutest

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// Advertise sends IPv6 router advertisements on an interface of ns until the test ends. Without any
// router, iPXE sits out its IPv6 configuration, which makes each of its boots some 12 s longer.
// From a prefix of 64 bits guests make themselves an address; with none they have only their
// link-local one.
func Advertise(t testing.TB, ns *netlab.NS, ifname string, prefixes ...netip.Prefix) {
	t.Helper()
	packet, err := advertisement(prefixes)
	if err != nil {
		t.Fatal(err)
	}
	var conn *ipv6.PacketConn
	err = ns.Do(func() error {
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
		advertise(ctx, conn, packet)
	}()
	t.Cleanup(func() { cancel(); <-done; conn.Close() })
}

// prefixLife is the lifetime of a prefix; the tests are over long before.
const prefixLife = 10 * time.Minute

// advertisement encodes a router advertisement. The router is no default router, since its lifetime
// is zero: guests get addresses, and routes to their own link alone. The kernel fills in the
// checksum.
func advertisement(prefixes []netip.Prefix) ([]byte, error) {
	m := &ndp.RouterAdvertisement{CurrentHopLimit: 64}
	for _, p := range prefixes {
		m.Options = append(m.Options, &ndp.PrefixInformation{
			Prefix: p.Masked().Addr(), PrefixLength: uint8(p.Bits()), OnLink: true, AutonomousAddressConfiguration: true,
			ValidLifetime: prefixLife, PreferredLifetime: prefixLife,
		})
	}
	return ndp.MarshalMessage(m)
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
