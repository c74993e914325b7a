package dhcplink

import (
	"net"
	"net/netip"
	"slices"
)

// ARP messages of Ethernet and IPv4 (RFC 826).
const (
	arpLen    = 28
	arpOwner  = 8  // offset of the sender's link address
	arpSender = 14 // offset of the sender's IP address
)

// arpRequest asks for the owner of addr. Its sender address is zero, so that no cache learns from
// it (RFC 5227 section 2.1.1).
func arpRequest(mac []byte, addr netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	b = append(b, mac...)
	b = append(b, make([]byte, 4+6)...)
	return append(b, addr.AsSlice()...)
}

// arpShows reports whether an ARP message proves that addr is in use: a reply, a probe or an
// announcement of its owner.
func arpShows(b []byte, addr netip.Addr) (owner net.HardwareAddr, shows bool) {
	if len(b) < arpLen || string(b[:6]) != "\x00\x01\x08\x00\x06\x04" || addr.As4() != [4]byte(b[arpSender:]) {
		return nil, false
	}
	return slices.Clone(b[arpOwner:arpSender]), true
}
