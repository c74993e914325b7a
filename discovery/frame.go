package discovery

import (
	"encoding/binary"
	"errors"
)

// A Frame is an Ethernet frame taken apart. Payload refers to the memory it was read from.
type Frame struct {
	Dst, Src MAC
	// VID is the outermost VLAN tag, zero for none. A priority tag (VID 0) is none.
	VID uint16
	// Type is the EtherType behind all tags.
	Type    uint16
	Payload []byte
}

// Ethernet types, in the numbers of IEEE 802.
const (
	etherIPv4   = 0x0800
	etherARP    = 0x0806
	etherVLAN   = 0x8100
	etherQinQ   = 0x88a8
	etherIPv6   = 0x86dd
	etherLLDP   = 0x88cc
	etherBeacon = 0x88b5 // IEEE Std 802 local experimental EtherType 1
)

const (
	etherHeader = 14
	maxTags     = 2
)

// ErrNoObservation is returned for well-formed packets that do not show the owner of an address:
// probes, senders without an address, replies without a receiver.
var ErrNoObservation = errors.New("discovery: no observation")

// ErrMalformed is returned for packets that break their protocol's format. Errors of the single
// decoders wrap it.
var ErrMalformed = errors.New("discovery: malformed packet")

// ParseFrame reads the header of an Ethernet frame with up to two VLAN tags (IEEE 802.1Q, 802.1ad).
// vid is the tag that the network interface has taken off already, zero when it has not.
func ParseFrame(b []byte, vid uint16) (Frame, error) {
	if len(b) < etherHeader {
		return Frame{}, ErrMalformed
	}
	f := Frame{Dst: MAC(b[:6]), Src: MAC(b[6:12]), VID: vid & 0x0fff, Type: binary.BigEndian.Uint16(b[12:]), Payload: b[etherHeader:]}
	for range maxTags {
		if f.Type != etherVLAN && f.Type != etherQinQ {
			break
		}
		if len(f.Payload) < 4 {
			return Frame{}, ErrMalformed
		}
		// The outermost tag counts, and the card may have taken it off already.
		if f.VID == 0 {
			f.VID = binary.BigEndian.Uint16(f.Payload) & 0x0fff
		}
		f.Type, f.Payload = binary.BigEndian.Uint16(f.Payload[2:]), f.Payload[4:]
	}
	return f, nil
}
