package dhcpsrv

import (
	"context"
	"net/netip"
	"time"
)

// DefaultARPWait is how long an [ARPProber] listens for an answer: machines answer within milliseconds, sleeping ones
// within a few hundred.
const DefaultARPWait = 300 * time.Millisecond

// ARPProber is a [Prober] that asks for an address by ARP, without claiming one itself (RFC 5227 section 2.1.1). Addresses
// behind relays are not probed. It needs CAP_NET_RAW, and works on Linux only. The zero value is ready.
type ARPProber struct {
	Wait time.Duration // 0 = DefaultARPWait; the context of the probe limits it
}

// Probe implements [Prober].
func (p ARPProber) Probe(ctx context.Context, link string, addr netip.Addr) (bool, error) {
	if link == "" || !addr.Is4() {
		return false, nil
	}
	wait := p.Wait
	if wait == 0 {
		wait = DefaultARPWait
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return arpProbe(ctx, link, addr)
}

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
