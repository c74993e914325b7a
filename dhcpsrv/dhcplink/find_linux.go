package dhcplink

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/dhcpsrv"
)

var etherBroadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// findServers works on a packet socket: it needs neither an address nor the client port, which a
// DHCP client of this host may have.
func findServers(ctx context.Context, link string, p *probePacket) (found []dhcpsrv.RogueServer, err error) {
	ifi, err := net.InterfaceByName(link)
	if err != nil {
		return nil, err
	}
	conn, err := packet.Listen(ifi, packet.Datagram, unix.ETH_P_IP, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	frame := appendDatagram(nil, p.data, netip.AddrPortFrom(netip.IPv4Unspecified(), clientPort), netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), serverPort))
	send := func() error {
		_, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: etherBroadcast})
		return err
	}
	if err := send(); err != nil {
		return nil, err
	}
	again := time.AfterFunc(time.Second, func() { send() })
	defer again.Stop()
	buf := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFrom(buf)
		if ctx.Err() != nil {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		if s, ok := p.readFrame(buf[:n]); ok && !slices.ContainsFunc(found, func(f dhcpsrv.RogueServer) bool { return f.ID == s.ID && f.Addr == s.Addr }) {
			if a, ok := from.(*packet.Addr); ok {
				s.MAC = slices.Clone(a.HardwareAddr)
			}
			found = append(found, s)
		}
	}
}

// readFrame reads an IPv4 packet as an answer to the probe.
func (p *probePacket) readFrame(b []byte) (dhcpsrv.RogueServer, bool) {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != unix.IPPROTO_UDP {
		return dhcpsrv.RogueServer{}, false
	}
	head := int(b[0]&15) * 4
	if len(b) < head+8 || binary.BigEndian.Uint16(b[head+2:]) != clientPort {
		return dhcpsrv.RogueServer{}, false
	}
	return p.match(b[head+8:], netip.AddrFrom4([4]byte(b[12:16])))
}
