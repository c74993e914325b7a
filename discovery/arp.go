package discovery

import (
	"encoding/binary"
	"net/netip"
)

const arpLength = 28

// ARP operations.
const (
	arpRequest = 1
	arpReply   = 2
)

// decodeARP reads an ARP packet (RFC 826) of Ethernet and IPv4, and returns its sender. A probe
// (RFC 5227) has a sender without an address and is no observation.
func decodeARP(f Frame) (Observation, error) {
	body := f.Payload
	if f.Type != etherARP || len(body) < arpLength {
		return Observation{}, ErrMalformed
	}
	// Ethernet and IPv4 are the only combination in use. Hardware type, protocol and their lengths:
	// a frame of another kind is well formed.
	if [6]byte(body[:6]) != [6]byte{0, 1, 8, 0, 6, 4} {
		return Observation{}, ErrNoObservation
	}
	op := binary.BigEndian.Uint16(body[6:])
	if op != arpRequest && op != arpReply {
		return Observation{}, ErrNoObservation
	}
	s := Observation{Addr: netip.AddrFrom4([4]byte(body[14:18])), MAC: MAC(body[8:14]), VID: f.VID, Source: ARP}
	// A device asks, and announces itself by naming its own address twice (RFC 5227 section 3), for
	// itself only; a router with proxy ARP answers for others.
	s.Own = op == arpRequest || [4]byte(body[24:28]) == [4]byte(body[14:18])
	if !usable(s.Addr) || !s.MAC.Unicast() {
		return Observation{}, ErrNoObservation
	}
	return s, nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// usable reports whether a device on the link can have the address.
func usable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a != broadcast
}

// arpQuestion appends the frame that asks who has an address. A source that is not valid makes it a
// probe (RFC 5227), which no neighbour learns from.
func arpQuestion(b []byte, from MAC, source, target netip.Addr) []byte {
	b = append(b, 255, 255, 255, 255, 255, 255)
	b = append(b, from[:]...)
	b = append(b, 8, 6, 0, 1, 8, 0, 6, 4, 0, arpRequest)
	b = append(b, from[:]...)
	var src [4]byte
	if source.Is4() {
		src = source.As4()
	}
	b = append(b, src[:]...)
	b = append(b, 0, 0, 0, 0, 0, 0)
	dst := target.As4()
	return append(b, dst[:]...)
}
