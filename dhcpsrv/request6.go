package dhcpsrv

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// maxIAs bounds the identity associations of one message, and the addresses of each; further ones
// are left out.
const maxIAs = 16

// maxDUID is the longest DUID that is allowed (RFC 8415 section 11.1).
const maxDUID = 130

// request6 is one parsed packet with the fields that selection needs.
type request6 struct {
	wire6.Msg
	pkt      Packet
	duid     []byte
	serverID []byte // nil = none
	macs     []net.HardwareAddr
	macBuf   [3][6]byte // memory of macs
	ias      []wire6.IA // of type NA
	foreign  []wire6.IA // of the types TA, which this server does not serve, and PD

	vss     []byte // selection of the routing domain; nil = none
	vssFrom int    // the relay that sent it; -1 = the client
}

// parse reads a packet. A reason other than 0 drops it before any decision.
func (r *request6) parse(p Packet) Reason {
	r.pkt = p
	if r.Parse(p.Data) != nil {
		return dropMalformed
	}
	switch r.Type {
	case wire6.Advertise, wire6.Reply, wire6.Reconfigure, wire6.RelayReply:
		return dropNotRequest
	}
	if r.Type == 0 || r.Type > wire6.RelayReply {
		return dropUnknownType
	}
	r.duid, r.serverID = r.Options.Find(wire6.OptClientID), r.Options.Find(wire6.OptServerID)
	if len(r.duid) > maxDUID || len(r.duid) < 3 && r.duid != nil {
		return dropMalformed
	}
	r.ias, r.foreign = r.IAs(r.ias, r.foreign, maxIAs)
	r.findMACs()
	r.findVSS()
	return 0
}

// findMACs gathers the possible link addresses of the client, the most reliable first: the relay's
// option (RFC 6939), the source address, and the DUID, which may have been made from another
// interface.
func (r *request6) findMACs() {
	r.macs = r.macs[:0]
	heard := r.pkt.Src.Addr()
	if relay := r.relay(); relay != nil {
		heard = relay.Peer
		if v := relay.Options.Find(wire6.OptLinkAddr); len(v) == 8 && v[0] == 0 && v[1] == 1 {
			r.addMAC(v[2:])
		}
	}
	if heard.Is6() {
		r.addMAC(macOf6(heard))
	}
	r.addMAC(macOfDUID(r.duid))
}

func (r *request6) addMAC(mac net.HardwareAddr) {
	for _, have := range r.macs {
		if bytes.Equal(have, mac) {
			return
		}
	}
	if n := len(r.macs); usableMAC(mac) && n < len(r.macBuf) {
		r.macs = append(r.macs, r.macBuf[n][:copy(r.macBuf[n][:], mac)])
	}
}

// waited returns how long the client says it has asked (option 8, in hundredths of a second).
func (r *request6) waited() time.Duration {
	if v := r.Options.Find(wire6.OptElapsed); len(v) == 2 {
		return time.Duration(binary.BigEndian.Uint16(v)) * 10 * time.Millisecond
	}
	return 0
}

// relay returns the envelope of the relay that heard the client, or nil.
func (r *request6) relay() *wire6.Relay {
	if len(r.Relays) == 0 {
		return nil
	}
	return &r.Relays[len(r.Relays)-1]
}

// subscriber returns the subscriber ID of the client's line, when its relay sends one.
func (r *request6) subscriber() []byte {
	if relay := r.relay(); relay != nil {
		return clip(relay.Options.Find(wire6.OptSubscriber), 255)
	}
	return nil
}

// linkAddress returns the link address of the innermost relay that sends one: layer-2 relays leave
// it out (RFC 6221). A link-local address names no link, though some relays send one.
func (r *request6) linkAddress() netip.Addr {
	for i := len(r.Relays) - 1; i >= 0; i-- {
		if a := r.Relays[i].Link; !a.IsUnspecified() && !a.IsLinkLocalUnicast() {
			return a
		}
	}
	return netip.Addr{}
}

// circuitID returns the relay's name for the client's place, nil when there is none.
func (r *request6) circuitID() []byte {
	relay := r.relay()
	if relay == nil {
		return nil
	}
	return clip(relay.Options.Find(wire6.OptInterfaceID), 255)
}

// selectSubnet finds the shared network of the client and, in it, the subnet to prefer.
func (c *serving6) selectSubnet(r *request6) (prefer *subnet6, how string, why Reason) {
	if len(r.Relays) > 0 {
		for _, a := range []netip.Addr{r.linkAddress(), r.relay().Link, r.pkt.Src.Addr().WithZone("")} {
			if sub := c.byRelay[a]; sub != nil {
				return sub, "relay of the subnet", 0
			}
		}
	}
	if a := r.linkAddress(); a.IsValid() {
		if sub := c.find(a); sub != nil {
			// As with IPv4, a local subnet is not behind a relay that is heard on another link.
			if seg := c.byLink[r.pkt.Link]; sub.Link != "" && r.pkt.Link != "" && seg != nil && seg != sub.seg {
				return nil, "link address of the relay", dropElsewhere
			}
			return sub, "link address of the relay", 0
		}
		return nil, "link address of the relay", dropUnknownRelay
	}
	if seg := c.byLink[r.pkt.Link]; seg != nil && r.pkt.Link != "" {
		return seg.subnets[0], "link", 0
	}
	return nil, "link", dropUnknownLink
}

// reservation returns the client's reservation for a shared network, by its DUID or one of its link
// addresses.
func (c *serving6) reservation(r *request6, prefer *subnet6) (best *Reservation) {
	if len(c.byClient) == 0 {
		return nil
	}
	var buf [1 + maxDUID]byte
	rank := 0
	for i := range 2 + len(r.macs) {
		key := append(append(buf[:0], 'd'), r.duid...)
		switch {
		case i > len(r.macs):
			key = append(append(buf[:0], 's'), r.subscriber()...)
		case i > 0:
			key = append(append(buf[:0], 'm'), r.macs[i-1]...)
		}
		for _, res := range c.byClient[string(key)] {
			scope, this := c.scope(res), 1
			switch {
			case scope == nil:
			case scope.seg != prefer.seg:
				continue
			case res.Addr.IsValid() && scope == prefer:
				this = 4
			case res.Addr.IsValid():
				this = 3
			default:
				this = 2
			}
			if this > rank {
				best, rank = res, this
			}
		}
	}
	return best
}
