package discovery

import (
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"
)

// mdnsQuestion appends the frame that asks, by multicast DNS, what an address is called (RFC 6762
// section 4). It appends nothing when the families differ.
func mdnsQuestion(b []byte, from MAC, source, about netip.Addr) []byte {
	arpa, err := dns.ReverseAddr(about.String())
	if err != nil || source.Is4() != about.Is4() {
		return b
	}
	m := dns.Msg{Question: []dns.Question{{Name: arpa, Qtype: dns.TypePTR, Qclass: dns.ClassINET}}}
	body, err := m.Pack()
	if err != nil {
		return b
	}
	udp := binary.BigEndian.AppendUint16(nil, portMDNS)
	udp = binary.BigEndian.AppendUint16(udp, portMDNS)
	udp = binary.BigEndian.AppendUint16(udp, uint16(udpHeader+len(body)))
	udp = append(append(udp, 0, 0), body...)
	if source.Is4() {
		return mdnsFrame4(b, from, source, udp)
	}
	src, dst := source.As16(), mdnsGroup6.As16()
	binary.BigEndian.PutUint16(udp[6:], checksum(src, dst, protoUDP, udp))
	return ipv6Frame(b, from, src, dst, protoUDP, udp)
}

// mdnsFrame4 appends an IPv4 packet to the group. The checksum of UDP is optional there (RFC 768).
func mdnsFrame4(b []byte, from MAC, source netip.Addr, udp []byte) []byte {
	b = append(append(b, 1, 0, 0x5e, 0, 0, 0xfb), from[:]...)
	b = binary.BigEndian.AppendUint16(b, etherIPv4)
	header := make([]byte, 20)
	header[0], header[8], header[9] = 0x45, 255, protoUDP
	binary.BigEndian.PutUint16(header[2:], uint16(len(header)+len(udp)))
	copy(header[12:], source.AsSlice())
	copy(header[16:], mdnsGroup4.AsSlice())
	binary.BigEndian.PutUint16(header[10:], ^sum16(0, header))
	return append(append(b, header...), udp...)
}

// ipv6Frame appends an IPv6 packet to a group.
func ipv6Frame(b []byte, from MAC, src, dst [16]byte, next byte, body []byte) []byte {
	b = append(append(b, 0x33, 0x33), dst[12:]...)
	b = binary.BigEndian.AppendUint16(append(b, from[:]...), etherIPv6)
	b = binary.BigEndian.AppendUint16(append(b, 0x60, 0, 0, 0), uint16(len(body)))
	b = append(append(append(b, next, 255), src[:]...), dst[:]...)
	return append(b, body...)
}
