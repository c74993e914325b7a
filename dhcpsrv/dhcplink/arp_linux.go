package dhcplink

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

func arpProbe(ctx context.Context, link string, addr netip.Addr) (owner net.HardwareAddr, inUse bool, err error) {
	ifi, err := net.InterfaceByName(link)
	if err != nil {
		return nil, false, fmt.Errorf("dhcplink: probe %v on %q: %w", addr, link, err)
	}
	if len(ifi.HardwareAddr) != 6 {
		return nil, false, nil // no ARP there
	}
	conn, err := packet.Listen(ifi, packet.Datagram, unix.ETH_P_ARP, nil)
	if err != nil {
		return nil, false, fmt.Errorf("dhcplink: probe %v on %q: %w", addr, link, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	if _, err := conn.WriteTo(arpRequest(ifi.HardwareAddr, addr), &packet.Addr{HardwareAddr: etherBroadcast}); err != nil {
		return nil, false, fmt.Errorf("dhcplink: probe %v on %q: %w", addr, link, err)
	}
	buf := make([]byte, 128)
	for {
		n, _, err := conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, fmt.Errorf("dhcplink: probe %v on %q: %w", addr, link, err)
		}
		if owner, shows := arpShows(buf[:n], addr); shows {
			return owner, true, nil
		}
	}
}
