package boottest

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// relay is a router's DHCP relay agent (RFC 2131 section 4, RFC 3046).
type relay struct {
	node    *Node // towards the clients
	up      *packetConn
	servers []netip.Addr
}

// RelayTo puts a router with an address on the segment: it relays DHCP to servers on the segment upstream, and datagrams and
// streams find their way between the two. Both segments are of IPv4. What it relays tells the servers the name of the
// segment as circuit ID. It panics as [Segment.Server] does.
func (s *Segment) RelayTo(upstream *Segment, addr netip.Addr, servers ...netip.Addr) {
	n := s.Server(addr)
	up := upstream.newNode(nil)
	n.relay = &relay{node: n, up: newPacketConn(up, 67), servers: servers}
	for _, link := range []struct{ from, to *Segment }{{s, upstream}, {upstream, s}} {
		link.from.mu.Lock()
		link.from.beyond = append(link.from.beyond, link.to)
		link.from.mu.Unlock()
	}
}

const maxHops = 16 // of relays, RFC 1542 section 4.1.1

// take passes a datagram on to the other side.
func (r *relay) take(d datagram) {
	m, err := dhcpv4.FromBytes(d.data)
	if err != nil || m.HopCount > maxHops {
		return
	}
	// It is here when it has arrived, which is not now.
	time.AfterFunc(time.Until(d.due), func() {
		if m.OpCode == dhcpv4.OpcodeBootReply {
			r.down(m)
			return
		}
		r.forward(m)
	})
}

func (r *relay) forward(m *dhcpv4.DHCPv4) {
	own := r.node.Addr()
	m.HopCount++
	if m.GatewayIPAddr.IsUnspecified() {
		m.GatewayIPAddr = own.AsSlice()
		m.UpdateOption(dhcpv4.OptRelayAgentInfo(dhcpv4.OptGeneric(dhcpv4.AgentCircuitIDSubOption, []byte(r.node.seg.Link))))
	}
	for _, server := range r.servers {
		_ = r.up.send(m.ToBytes(), own, netip.AddrPortFrom(server, 67), nil)
	}
}

func (r *relay) down(m *dhcpv4.DHCPv4) {
	m.GatewayIPAddr = make([]byte, 4)
	delete(m.Options, dhcpv4.OptionRelayAgentInformation.Code())
	c := newPacketConn(r.node, 67)
	to, hw := broadcast, m.ClientHWAddr
	if m.IsBroadcast() || m.YourIPAddr.IsUnspecified() {
		hw = nil
	} else {
		to = addrOf(m.YourIPAddr)
	}
	_ = c.send(m.ToBytes(), r.node.Addr(), netip.AddrPortFrom(to, 68), hw)
}
