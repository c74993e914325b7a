package dhcplink

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/mdlayher/ndp"
)

// Waits of a [Prober]: machines on the link answer within milliseconds, machines behind a relay
// after a few hops.
const (
	DefaultNeighborWait = 300 * time.Millisecond
	DefaultEchoWait     = 500 * time.Millisecond
)

// Prober is a [dhcpsrv.Prober] that uses the means that reaches an address. On a link it sends an
// ARP probe, which does not claim an address itself (RFC 5227 section 2.1.1), or a neighbor
// solicitation (RFC 4861 section 7.2.2). Behind a relay it sends an ICMP echo request, which a
// machine may choose not to answer. It needs CAP_NET_RAW, and works on Linux only. The zero value
// is ready.
type Prober struct {
	Wait time.Duration // for an answer; 0 = DefaultNeighborWait, or DefaultEchoWait behind a relay; the context limits it
}

// Probe implements [dhcpsrv.Prober].
func (p Prober) Probe(ctx context.Context, link string, addr netip.Addr) (bool, error) {
	_, inUse, err := p.ProbeOwner(ctx, link, addr)
	return inUse, err
}

// ProbeOwner implements [dhcpsrv.OwnerProber]. It knows the owner on a link, and not behind a
// relay.
func (p Prober) ProbeOwner(ctx context.Context, link string, addr netip.Addr) (owner net.HardwareAddr, inUse bool, err error) {
	addr = addr.Unmap()
	wait := p.Wait
	switch {
	case wait != 0:
	case link == "":
		wait = DefaultEchoWait
	default:
		wait = DefaultNeighborWait
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	switch {
	case link == "":
		inUse, err = echoProbe(ctx, addr)
		return nil, inUse, err
	case addr.Is4():
		return arpProbe(ctx, link, addr)
	}
	return neighborProbe(ctx, link, addr)
}

// Types of ICMP messages (RFC 792, 4443, 4861).
const (
	icmpEchoReply         = 0
	icmpEchoRequest       = 8
	icmp6EchoRequest      = 128
	icmp6EchoReply        = 129
	icmp6NeighborAdvert   = 136
	icmpEchoBytes         = 16
	neighborSolicitTarget = 8
)

// echoRequest returns an echo request with random contents, which the answer repeats after its
// first four bytes. The kernel fills in the checksum for IPv6 only.
func echoRequest(is6 bool) []byte {
	b := make([]byte, icmpEchoBytes)
	rand.Read(b[4:])
	if b[0] = icmpEchoRequest; is6 {
		b[0] = icmp6EchoRequest
		return b
	}
	binary.BigEndian.PutUint16(b[2:], ^fold(sum(0, b)))
	return b
}

// echoShows reports whether an ICMP message answers an echo request.
func echoShows(b, request []byte) bool {
	return len(b) >= icmpEchoBytes && (b[0] == icmpEchoReply || b[0] == icmp6EchoReply) && string(b[4:icmpEchoBytes]) == string(request[4:])
}

// neighborSolicit returns a message that asks for the link address of an IPv6 address and carries
// the sender's own.
func neighborSolicit(mac net.HardwareAddr, addr netip.Addr) ([]byte, error) {
	return ndp.MarshalMessage(&ndp.NeighborSolicitation{TargetAddress: addr, Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac}}})
}

// neighborShows reports whether an ICMP message proves that addr is in use, and the link address of
// its owner if the message has it.
func neighborShows(b []byte, addr netip.Addr) (owner net.HardwareAddr, shows bool) {
	m, err := ndp.ParseMessage(b)
	advert, is := m.(*ndp.NeighborAdvertisement)
	if err != nil || !is || advert.TargetAddress != addr {
		return nil, false
	}
	for _, o := range advert.Options {
		if a, is := o.(*ndp.LinkLayerAddress); is && a.Direction == ndp.Target {
			owner = a.Addr
		}
	}
	return owner, true
}
