package dhcplink

import "net/netip"

// ARP messages of Ethernet and IPv4 (RFC 826).
const (
	arpLen    = 28
	arpSender = 14 // offset of the sender's IP address
)

// arpRequest asks who has addr, for a sender that has no address yet.
func arpRequest(mac []byte, addr netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	b = append(b, mac...)
	b = append(b, make([]byte, 4+6)...)
	return append(b, addr.AsSlice()...)
}

// arpShows reports whether an ARP message shows somebody using addr.
func arpShows(b []byte, addr netip.Addr) bool {
	return len(b) >= arpLen && string(b[:6]) == "\x00\x01\x08\x00\x06\x04" && addr.As4() == [4]byte(b[arpSender:])
}
