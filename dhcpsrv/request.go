package dhcpsrv

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// maxHops bounds the relays that a message may have passed (RFC 1542 section 4.1.1).
const maxHops = 16

// request is one parsed packet with the fields that selection needs.
type request struct {
	wire.Msg
	pkt  Packet
	kind wire.Type

	giaddr, ciaddr addr4
	wanted         addr4      // option 50
	serverID       netip.Addr // option 54
	relayAgent     []byte     // option 82
	override       netip.Addr // option 82.11: the relay's address poses as the server (RFC 5107)
}

// parse reads a packet. A reason other than 0 drops it before any decision.
func (r *request) parse(p Packet) Reason {
	r.pkt = p
	if err := r.Parse(p.Data); err != nil {
		return dropMalformed
	}
	if r.Op() != wire.OpRequest {
		return dropNotRequest
	}
	if r.Hops() > maxHops {
		return dropHops
	}
	r.kind = r.Type()
	r.giaddr, r.ciaddr = addr4From(r.GIAddr()), addr4From(r.CIAddr())
	r.wanted = addr4From(r.Addr(wire.OptRequestedIP))
	r.serverID = r.Addr(wire.OptServerID)
	if r.relayAgent = r.Option(wire.OptRelayAgent); len(r.relayAgent) > 255 {
		return dropMalformed
	}
	if v := wire.SubOption(r.relayAgent, 11); len(v) == 4 {
		r.override = netip.AddrFrom4([4]byte(v))
	}
	return 0
}

// subscriber returns the subscriber ID of the client's line, when its relay sends one.
func (r *request) subscriber() []byte { return wire.SubOption(r.relayAgent, 6) }

// waited returns how long the client says it has asked (secs). Some clients count in the wrong byte
// order and seem to have waited for long.
func (r *request) waited() time.Duration { return time.Duration(r.Secs()) * time.Second }

// routed reports whether the client sent to this server's own address: then it already has an
// address.
func (r *request) routed() bool {
	return r.giaddr == 0 && r.ciaddr != 0 && r.pkt.Dst.Is4() && r.pkt.Dst != limitedBroadcast
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// selectSubnet finds the shared network of the client and, in it, the preferred subnet. how names
// the deciding field for an explanation.
func (c *serving) selectSubnet(r *request) (seg *sharedNetwork, prefer *subnet, how string, why Reason) {
	if r.giaddr != 0 {
		target, how := r.giaddr, "relay address (giaddr)"
		if v := wire.SubOption(r.relayAgent, 5); len(v) == 4 { // RFC 3527
			target, how = addr4(binary.BigEndian.Uint32(v)), "link selection of the relay (option 82.5)"
		} else if a := r.Addr(wire.OptSubnetSelect); a.Is4() { // RFC 3011
			target, how = addr4From(a), "subnet selection (option 118)"
		}
		if sub := c.find(target); sub != nil {
			return sub.seg, sub, how, 0
		}
		return nil, nil, how, dropUnknownRelay
	}
	seg = c.byLink[r.pkt.Link]
	if r.pkt.Link == "" {
		seg = nil
	}
	if r.ciaddr != 0 {
		if sub := c.find(r.ciaddr); sub != nil && (sub.seg == seg || r.routed()) {
			return sub.seg, sub, "the client's own address (ciaddr)", 0
		}
	}
	if seg == nil {
		return nil, nil, "link", dropUnknownLink
	}
	for _, sub := range seg.subnets {
		if sub.Server == r.pkt.Dst {
			return seg, sub, "link, and the address it was sent to", 0
		}
	}
	return seg, seg.subnets[0], "link", 0
}

// isBoot reports whether firmware or a boot loader sent the packet: it gets the shorter lease.
func (r *request) isBoot() bool {
	class := r.Option(wire.OptVendorClass)
	return hasPrefix(class, "PXEClient") || hasPrefix(class, "HTTPClient") || r.Has(wire.OptIPXE)
}
