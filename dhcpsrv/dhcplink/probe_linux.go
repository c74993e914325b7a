package dhcplink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/mdlayher/ndp"
	"golang.org/x/net/ipv6"
)

// echoProbe sends by the routes of the host. An unreachable address is not an error: no host there
// answers.
func echoProbe(ctx context.Context, addr netip.Addr) (inUse bool, err error) {
	network, local := "ip4:icmp", "0.0.0.0"
	if addr.Is6() {
		network, local = "ip6:ipv6-icmp", "::"
	}
	conn, err := net.ListenPacket(network, local)
	if err != nil {
		return false, fmt.Errorf("dhcplink: probe %v: %w", addr, err)
	}
	defer conn.Close()
	request := echoRequest(addr.Is6())
	if _, err := conn.WriteTo(request, &net.IPAddr{IP: addr.AsSlice()}); err != nil {
		if errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH) {
			return false, nil
		}
		return false, fmt.Errorf("dhcplink: probe %v: %w", addr, err)
	}
	return hear(ctx, conn, addr, func(b []byte) bool { return echoShows(b, request) })
}

func neighborProbe(ctx context.Context, link string, addr netip.Addr) (owner net.HardwareAddr, inUse bool, err error) {
	fail := func(err error) (net.HardwareAddr, bool, error) {
		return nil, false, fmt.Errorf("dhcplink: probe %v on %q: %w", addr, link, err)
	}
	ifi, err := net.InterfaceByName(link)
	if err != nil {
		return fail(err)
	}
	if len(ifi.HardwareAddr) != 6 {
		return nil, false, nil // no neighbor discovery with Ethernet addresses there
	}
	conn, err := net.ListenPacket("ip6:ipv6-icmp", "::")
	if err != nil {
		return fail(err)
	}
	defer conn.Close()
	pc := ipv6.NewPacketConn(conn)
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeNeighborAdvertisement)
	if err := errors.Join(pc.SetICMPFilter(&filter), pc.SetMulticastHopLimit(onLinkHops)); err != nil {
		return fail(err)
	}
	group, err := ndp.SolicitedNodeMulticast(addr)
	if err != nil {
		return fail(err)
	}
	solicit, err := neighborSolicit(ifi.HardwareAddr, addr)
	if err != nil {
		return fail(err)
	}
	to := &net.IPAddr{IP: group.AsSlice()} // without a zone: the net package remembers names of zones for longer than interfaces last
	if _, err := pc.WriteTo(solicit, &ipv6.ControlMessage{IfIndex: ifi.Index, HopLimit: onLinkHops}, to); err != nil {
		return fail(err)
	}
	inUse, err = hear(ctx, conn, addr, func(b []byte) (shows bool) {
		owner, shows = neighborShows(b, addr)
		return shows
	})
	return owner, inUse, err
}

// hear reads ICMP messages until one shows that the address is in use, or ctx ends.
func hear(ctx context.Context, conn net.PacketConn, addr netip.Addr, shows func([]byte) bool) (inUse bool, err error) {
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, 1500)
	for {
		n, _, err := conn.ReadFrom(buf)
		switch {
		case ctx.Err() != nil:
			return false, nil
		case err != nil:
			return false, fmt.Errorf("dhcplink: probe %v: %w", addr, err)
		case shows(buf[:n]):
			return true, nil
		}
	}
}
