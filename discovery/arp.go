package discovery

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
)

// A Sighting is one packet's word that a device with a MAC uses an address.
type Sighting struct {
	Addr netip.Addr
	MAC  net.HardwareAddr
	// VID is the VLAN tag of the frame, zero for untagged.
	VID uint16
}

// Ethernet types, in the numbers of IEEE 802.
const (
	etherARP  = 0x0806
	etherVLAN = 0x8100
)

// ErrNoSighting is returned for frames that are well formed but say nothing about who owns an address: probes, senders
// without an address, replies to nobody.
var ErrNoSighting = errors.New("discovery: no sighting")

var errShort = errors.New("discovery: frame is too short for ARP")

// DecodeARP reads an Ethernet frame with an ARP packet (RFC 826), with or without one VLAN tag. The sender is what was seen.
// The result does not refer to the frame.
func DecodeARP(frame []byte) (Sighting, error) {
	if len(frame) < 14 {
		return Sighting{}, errShort
	}
	var s Sighting
	kind, body := binary.BigEndian.Uint16(frame[12:]), frame[14:]
	if kind == etherVLAN && len(body) >= 4 {
		s.VID = binary.BigEndian.Uint16(body) & 0x0fff
		kind, body = binary.BigEndian.Uint16(body[2:]), body[4:]
	}
	if kind != etherARP || len(body) < 28 {
		return Sighting{}, errShort
	}
	// Ethernet and IPv4 are the only combination in use.
	if [6]byte(body[:6]) != [6]byte{0, 1, 8, 0, 6, 4} {
		return Sighting{}, ErrNoSighting
	}
	s.Addr = netip.AddrFrom4([4]byte(body[14:18]))
	if s.Addr.IsUnspecified() || s.Addr.IsMulticast() || s.Addr == broadcast {
		return Sighting{}, ErrNoSighting
	}
	mac := body[8:14]
	if mac[0]&1 != 0 || [6]byte(mac) == [6]byte{} {
		return Sighting{}, ErrNoSighting
	}
	s.MAC = net.HardwareAddr(append([]byte(nil), mac...))
	return s, nil
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})
