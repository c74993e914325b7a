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
	held           addr4      // ciaddr of a client that has the address; 0 = the client has none
	wanted         addr4      // option 50
	serverID       netip.Addr // option 54
	relayAgent     []byte     // option 82, without what only the server reads
	override       netip.Addr // option 82.11: the relay's address poses as the server (RFC 5107)

	vss      []byte    // selection of the routing domain; nil = none
	vssOwn   bool      // it is the client's, not the relay's
	agentBuf [255]byte // memory of relayAgent, if it differs from what was received
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
	r.held = r.heldAddr()
	if r.relayAgent = r.Option(wire.OptRelayAgent); len(r.relayAgent) > 255 {
		return dropMalformed
	}
	r.findVSS()
	if v := wire.SubOption(r.relayAgent, 11); len(v) == 4 {
		r.override = netip.AddrFrom4([4]byte(v))
	}
	return 0
}

// heldAddr returns ciaddr if the client has that address, else 0. RFC 2131 table 5 demands a ciaddr
// of zero before BOUND, but clients leave their former address there: NetworkManager's until
// version 1.58 when it starts over, BOOTP clients always. No host answers ARP for such an address,
// so it must neither receive the reply nor select the subnet.
func (r *request) heldAddr() addr4 {
	switch r.kind {
	case wire.Inform, wire.Release:
		return r.ciaddr
	case wire.Request:
		from := r.pkt.Src.Addr()
		switch {
		case r.pkt.Port == BootServerPort:
			return r.ciaddr // firmware has its address when it asks there (PXE 2.1 section 2.2.4)
		case r.wanted != 0, r.giaddr == 0 && from.IsValid() && from.IsUnspecified():
			return 0 // SELECTING or INIT-REBOOT, or a renewal that cannot come from its address
		case !r.serverID.IsValid(), addr4From(from) == r.ciaddr:
			return r.ciaddr
		}
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
	return r.giaddr == 0 && r.held != 0 && r.pkt.Dst.Is4() && r.pkt.Dst != limitedBroadcast
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// selectSubnet finds the shared network of the client and, in it, the preferred subnet. how names
// the deciding field for an explanation.
func (c *serving) selectSubnet(r *request) (seg *sharedNetwork, prefer *subnet, how string, why Reason) {
	linkSelection := wire.SubOption(r.relayAgent, 5)
	switch {
	case r.giaddr != 0 && len(linkSelection) == 4: // RFC 3527
		prefer, how, why = c.find(addr4(binary.BigEndian.Uint32(linkSelection))), "link selection of the relay (option 82.5)", dropUnknownRelay
	case r.selected() != 0: // RFC 3011: in place of the interface, and of the relay's address
		prefer, how, why = c.find(r.selected()), "subnet selection (option 118)", dropUnknownSubnet
	case r.giaddr != 0 && c.byRelay[r.giaddr] != nil:
		prefer, how = c.byRelay[r.giaddr], "relay of the subnet (giaddr)"
	case r.giaddr != 0:
		prefer, how, why = c.find(r.giaddr), "relay address (giaddr)", dropUnknownRelay
	default:
		if prefer, how = c.selectByLink(r); prefer == nil {
			return nil, nil, how, dropUnknownLink
		}
		return prefer.seg, prefer, how, 0
	}
	switch {
	case prefer == nil:
		return nil, nil, how, why
	case c.elsewhere(r, prefer):
		return nil, nil, how, dropElsewhere
	}
	return prefer.seg, prefer, how, 0
}

// elsewhere reports whether a packet that selects a subnet by its own fields came in on a link of
// another network, although the subnet is local on a link and none of its relays sent the packet. A
// host of one VLAN could take the addresses of another otherwise, by posing as a relay.
func (c *serving) elsewhere(r *request, sub *subnet) bool {
	if sub.Link == "" || r.pkt.Link == "" || r.giaddr != 0 && c.byRelay[r.giaddr] != nil {
		return false
	}
	seg := c.byLink[r.pkt.Link]
	return seg != nil && seg != sub.seg
}

// selectByLink finds the subnet of a client on a link, or of one that reached this server by routes
// from its own address; nil = none.
func (c *serving) selectByLink(r *request) (prefer *subnet, how string) {
	seg := c.byLink[r.pkt.Link]
	if r.pkt.Link == "" {
		seg = nil
	}
	if r.held != 0 {
		if sub := c.find(r.held); sub != nil && (sub.seg == seg || r.routed()) {
			return sub, "the client's own address (ciaddr)"
		}
	}
	if seg == nil {
		return nil, "link"
	}
	for _, sub := range seg.subnets {
		if sub.Server == r.pkt.Dst {
			return sub, "link, and the address it was sent to"
		}
	}
	return seg.subnets[0], "link"
}

// selected returns the subnet that the client, or a proxy for it, chose by option 118; 0 = none.
func (r *request) selected() addr4 { return addr4From(r.Addr(wire.OptSubnetSelect)) }

// isBoot reports whether firmware or a boot loader sent the packet: it gets the shorter lease.
func (r *request) isBoot() bool {
	class := r.Option(wire.OptVendorClass)
	return hasPrefix(class, "PXEClient") || hasPrefix(class, "HTTPClient") || r.Has(wire.OptIPXE)
}
