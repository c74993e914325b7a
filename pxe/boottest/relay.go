package boottest

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// relay is a router's DHCP relay agent: of DHCPv4 (RFC 2131 section 4, RFC 3046) or, on segments of
// IPv6, of DHCPv6 (RFC 8415 section 19).
type relay struct {
	node    *Node // towards the clients
	up      *packetConn
	down    *packetConn
	port    uint16 // of DHCP servers
	servers []netip.Addr
}

// RelayTo puts a router with an address on the segment: it relays DHCP to servers on the segment
// upstream, and forwards datagrams and streams between the two. Both segments are of IPv4, or both
// of IPv6. Relayed packets carry the name of the segment as circuit ID, or as interface ID. It
// panics as [Segment.Server] does.
func (s *Segment) RelayTo(upstream *Segment, addr netip.Addr, servers ...netip.Addr) {
	n := s.Server(addr)
	r := &relay{node: n, port: 67, servers: servers}
	if addr.Is6() {
		r.port = 547
	}
	r.up, r.down = newPacketConn(upstream.newNode(nil), r.port), newPacketConn(n, r.port)
	n.relay = r
	for _, link := range []struct{ from, to *Segment }{{s, upstream}, {upstream, s}} {
		link.from.mu.Lock()
		link.from.beyond = append(link.from.beyond, link.to)
		link.from.mu.Unlock()
	}
}

const maxHops = 16 // of relays, RFC 1542 section 4.1.1

// take passes a datagram on to the other side when it has arrived, which is not now.
func (r *relay) take(d datagram) {
	pass := r.pass4
	if r.port == 547 {
		pass = r.pass6
	}
	time.AfterFunc(time.Until(d.due), func() { pass(d) })
}

func (r *relay) pass4(d datagram) {
	m, err := dhcpv4.FromBytes(d.data)
	switch {
	case err != nil || m.HopCount > maxHops:
	case m.OpCode == dhcpv4.OpcodeBootReply:
		r.answer4(m)
	default:
		r.forward4(m)
	}
}

func (r *relay) forward4(m *dhcpv4.DHCPv4) {
	m.HopCount++
	if m.GatewayIPAddr.IsUnspecified() {
		m.GatewayIPAddr = r.node.Addr().AsSlice()
		m.UpdateOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, []byte(r.node.seg.Link))))
	}
	r.send(m.ToBytes())
}

// send sends to all servers.
func (r *relay) send(b []byte) {
	for _, server := range r.servers {
		_ = r.up.send(b, r.node.Addr(), netip.AddrPortFrom(server, r.port), nil)
	}
}

func (r *relay) answer4(m *dhcpv4.DHCPv4) {
	m.GatewayIPAddr = make([]byte, 4)
	delete(m.Options, dhcpv4.OptionRelayAgentInformation.Code())
	to, hw := broadcast, m.ClientHWAddr
	if m.IsBroadcast() || m.YourIPAddr.IsUnspecified() {
		hw = nil
	} else {
		to = addrOf(m.YourIPAddr)
	}
	_ = r.down.send(m.ToBytes(), r.node.Addr(), netip.AddrPortFrom(to, 68), hw)
}

// The types and options of DHCPv6 that a relay deals with, and the length of its header: RFC 8415
// sections 7.3, 9 and 21.
const (
	relayForward  = 12
	relayReply    = 13
	optionMessage = 9
	optionLink    = 18
	relayHeader   = 34
)

// pass6 leaves messages as they are, since firmware sends some that codecs refuse.
func (r *relay) pass6(d datagram) {
	switch {
	case len(d.data) == 0:
	case d.data[0] == relayReply:
		r.answer6(d.data)
	case d.data[0] == relayForward && (len(d.data) < relayHeader || d.data[1] >= maxHops):
	default:
		r.forward6(d)
	}
}

func (r *relay) forward6(d datagram) {
	hops := byte(0)
	if d.data[0] == relayForward {
		hops = d.data[1] + 1
	}
	out := append([]byte{relayForward, hops}, r.node.Addr().AsSlice()...)
	out = append(out, d.from.Addr().AsSlice()...)
	for _, o := range []struct {
		code uint16
		data []byte
	}{{optionLink, []byte(r.node.seg.Link)}, {optionMessage, d.data}} {
		out = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(out, o.code), uint16(len(o.data)))
		out = append(out, o.data...)
	}
	r.send(out)
}

// answer6 sends what a server's answer holds to whom it names.
func (r *relay) answer6(b []byte) {
	if len(b) < relayHeader {
		return
	}
	peer := netip.AddrFrom16([16]byte(b[18:relayHeader]))
	for b = b[relayHeader:]; len(b) >= 4; {
		code, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[4:]; n > len(b) {
			return
		}
		if code == optionMessage {
			_ = r.down.send(b[:n], r.node.local, netip.AddrPortFrom(peer, 546), nil)
			return
		}
		b = b[n:]
	}
}
