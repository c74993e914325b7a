package discovery

import (
	"encoding/binary"
	"net/netip"
)

// IP protocol numbers.
const (
	protoUDP    = 17
	protoICMPv6 = 58
	protoDstOpt = 60
)

const (
	ipv6Header = 40
	udpHeader  = 8
)

// A datagram is an IP packet's transport header and what follows.
type datagram struct {
	src, dst netip.Addr
	proto    byte
	hops     byte // TTL or hop limit
	body     []byte
}

// ipPacket reads the IP header of a frame. Fragments are refused: none of the protocols here sends
// them.
func ipPacket(f Frame) (d datagram, ok bool) {
	p := f.Payload
	switch f.Type {
	case etherIPv4:
		if len(p) < 20 || p[0]>>4 != 4 {
			return d, false
		}
		header, total := int(p[0]&0xf)*4, int(binary.BigEndian.Uint16(p[2:]))
		if header < 20 || total < header || total > len(p) || binary.BigEndian.Uint16(p[6:])&0x3fff != 0 {
			return d, false
		}
		return datagram{
			src: netip.AddrFrom4([4]byte(p[12:16])), dst: netip.AddrFrom4([4]byte(p[16:20])), proto: p[9], hops: p[8], body: p[header:total],
		}, true
	case etherIPv6:
		if len(p) < ipv6Header || p[0]>>4 != 6 {
			return d, false
		}
		total := ipv6Header + int(binary.BigEndian.Uint16(p[4:]))
		if total > len(p) {
			return d, false
		}
		return datagram{
			src: netip.AddrFrom16([16]byte(p[8:24])), dst: netip.AddrFrom16([16]byte(p[24:40])), proto: p[6], hops: p[7], body: p[ipv6Header:total],
		}, true
	}
	return d, false
}

// udp reads a UDP header (RFC 768). It does not check the sum: for local virtual machines the
// network card fills it in later.
func (d datagram) udp() (src, dst uint16, body []byte, ok bool) {
	if d.proto != protoUDP || len(d.body) < udpHeader {
		return 0, 0, nil, false
	}
	length := int(binary.BigEndian.Uint16(d.body[4:]))
	if length < udpHeader || length > len(d.body) {
		return 0, 0, nil, false
	}
	return binary.BigEndian.Uint16(d.body), binary.BigEndian.Uint16(d.body[2:]), d.body[udpHeader:length], true
}
