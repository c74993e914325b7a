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
	arpTarget = 24 // offset of the IP address that is asked about
)

// arpRequest asks for the owner of addr. Its sender address is zero, so that no cache learns from
// it (RFC 5227 section 2.1.1).
func arpRequest(mac []byte, addr netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	b = append(b, mac...)
	b = append(b, make([]byte, 4+6)...)
	return append(b, addr.AsSlice()...)
}

// arpShows returns the address that an ARP message proves to be in use, a reply or an announcement
// of its owner, and the owner's link address. It returns an invalid address for other messages, and
// for ARP probes, which have none.
func arpShows(b []byte) (addr netip.Addr, owner net.HardwareAddr) {
	if len(b) < arpLen || string(b[:6]) != "\x00\x01\x08\x00\x06\x04" {
		return netip.Addr{}, nil
	}
	if addr = netip.AddrFrom4([4]byte(b[arpSender:])); addr.IsUnspecified() {
		return netip.Addr{}, nil
	}
	return addr, slices.Clone(b[arpOwner:arpSender])
}
