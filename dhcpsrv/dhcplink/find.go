package dhcplink

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"

	"github.com/gomaas/maas/dhcpsrv"
)

// FindServers sends a DISCOVER from a random, locally administered link address on the interface
// named link, twice, and returns every server that makes an offer before ctx ends; three seconds
// are usually enough. The probe takes no lease, and servers of this process answer it as well. It
// needs CAP_NET_RAW; only Linux is supported.
func FindServers(ctx context.Context, link string) ([]dhcpsrv.RogueServer, error) {
	p := newProbePacket()
	servers, err := findServers(ctx, link, p)
	if err != nil {
		return nil, fmt.Errorf("dhcplink: look for DHCP servers on %q: %w", link, err)
	}
	return servers, nil
}

// probePacket is the DISCOVER of one probe.
type probePacket struct {
	data []byte
	xid  uint32
}

func newProbePacket() *probePacket {
	b := make([]byte, wire.MinSize)
	b[0], b[1], b[2] = wire.OpRequest, 1, 6
	rand.Read(b[4:8])
	b[10] = 0x80 // broadcast, since no host answers ARP for the link address
	rand.Read(b[28:34])
	b[28] = b[28]&^1 | 2
	options := append([]byte{99, 130, 83, 99}, wire.OptMessageType, 1, byte(wire.Discover), wire.OptParameterList, 2, wire.OptMask, wire.OptRouter, wire.OptEnd)
	copy(b[wire.HeaderLen-4:], options)
	var m wire.Msg
	if err := m.Parse(b); err != nil {
		panic(err) // built right above
	}
	return &probePacket{data: b, xid: m.XID()}
}

// match reads a payload as an answer to the probe.
func (p *probePacket) match(payload []byte, from netip.Addr) (dhcpsrv.RogueServer, bool) {
	var m wire.Msg
	if m.Parse(payload) != nil || m.Op() != wire.OpReply || m.XID() != p.xid || m.Type() != wire.Offer {
		return dhcpsrv.RogueServer{}, false
	}
	return dhcpsrv.RogueServer{ID: m.Addr(wire.OptServerID), Addr: from, Offer: m.YIAddr()}, true
}
