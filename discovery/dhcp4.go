package discovery

import (
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// Ports of DHCP.
const (
	portDHCPServer  = 67
	portDHCPClient  = 68
	portDHCP6Client = 546
	portDHCP6Server = 547
)

// fqdnWireFormat is the flag of option 81 for names in DNS wire format; without it they are ASCII
// (RFC 4702 section 2.1).
const fqdnWireFormat = 0x04

// decodeDHCPv4 overhears DHCP (RFC 2131) and appends what was seen to out: the client at its
// address once it asks for one that a server offered or that it has, and the server. A client
// without an address is no observation.
func decodeDHCPv4(f Frame, out []Observation) ([]Observation, error) {
	d, ok := ipPacket(f)
	if !ok {
		return out, ErrMalformed
	}
	srcPort, dstPort, b, ok := d.udp()
	if !ok || dstPort != portDHCPServer && dstPort != portDHCPClient {
		return out, ErrMalformed
	}
	// Some firmware leaves out the end option, which the library demands. Padding and a second end
	// do no harm.
	m, err := dhcpv4.FromBytes(append(slices.Clip(b), dhcpv4.OptionEnd.Code()))
	if err != nil || m.HWType != iana.HWTypeEthernet || len(m.ClientHWAddr) != len(MAC{}) {
		return out, ErrMalformed
	}
	if m.MessageType() == dhcpv4.MessageTypeNone {
		return out, ErrMalformed // BOOTP
	}
	before := len(out)
	if m.OpCode == dhcpv4.OpcodeBootRequest && dstPort == portDHCPServer {
		out = dhcpFromClient(f, m, out)
	} else if m.OpCode == dhcpv4.OpcodeBootReply && srcPort == portDHCPServer {
		out = dhcpFromServer(f, d.src, m, out)
	}
	if len(out) == before {
		return out, ErrNoObservation
	}
	return out, nil
}

func dhcpFromClient(f Frame, m *dhcpv4.DHCPv4, out []Observation) []Observation {
	if !m.GatewayIPAddr.IsUnspecified() {
		return out // relayed: the client is on another link
	}
	o := Observation{MAC: MAC(m.ClientHWAddr), VID: f.VID, Source: DHCPv4, Addr: addr4(m.ClientIPAddr)}
	server := addr4(m.ServerIdentifier())
	switch m.MessageType() {
	case dhcpv4.MessageTypeRequest:
		// Without a server the client only hopes for an address that it had (INIT-REBOOT).
		if o.Addr.IsUnspecified() && server.IsValid() {
			o.Addr = addr4(m.RequestedIPAddress())
		}
	case dhcpv4.MessageTypeInform:
	case dhcpv4.MessageTypeRelease:
		o.Gone = true
	default:
		return out
	}
	if usable(o.Addr) && o.MAC.Unicast() {
		if !o.Gone {
			o.Info = dhcpInfo(m)
		}
		out = append(out, o)
	}
	if m.MessageType() == dhcpv4.MessageTypeRequest && usable(server) {
		// The named server's own packets are unicast: a switch may not let them pass here.
		out = append(out, Observation{Addr: server, VID: f.VID, Source: DHCPv4, Info: &Info{DHCPServer: true}})
	}
	return out
}

// dhcpInfo returns what a client reports of itself.
func dhcpInfo(m *dhcpv4.DHCPv4) *Info {
	info := &Info{
		VendorClass: clean(m.Options.Get(dhcpv4.OptionClassIdentifier)),
		Fingerprint: numbers(m.Options.Get(dhcpv4.OptionParameterRequestList)),
	}
	name := hostname(m.Options.Get(dhcpv4.OptionHostName))
	if fqdn := m.Options.Get(dhcpv4.OptionFQDN); name == "" && len(fqdn) > 3 && fqdn[0]&fqdnWireFormat == 0 {
		name = hostname(fqdn[3:]) // after flags and two obsolete response codes
	}
	if name != "" {
		info.Names, info.flush = []Name{{name, DHCPv4}}, DHCPv4
	}
	return info
}

func dhcpFromServer(f Frame, src netip.Addr, m *dhcpv4.DHCPv4, out []Observation) []Observation {
	switch m.MessageType() {
	case dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak:
	default:
		return out
	}
	if server := addr4(m.ServerIdentifier()); usable(server) && f.Src.Unicast() {
		o := Observation{Addr: server, VID: f.VID, Source: DHCPv4, Info: &Info{DHCPServer: true}}
		if server == src { // else a relay forwards it
			o.MAC = f.Src
		}
		out = append(out, o)
	}
	client := Observation{Addr: addr4(m.YourIPAddr), MAC: MAC(m.ClientHWAddr), VID: f.VID, Source: DHCPv4}
	if m.MessageType() == dhcpv4.MessageTypeAck && usable(client.Addr) && client.MAC.Unicast() {
		out = append(out, client)
	}
	return out
}

// addr4 converts an address of a DHCP message. The result is not valid if ip is nil.
func addr4(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip.To4())
	return a
}

// numbers writes octets in decimal with commas.
func numbers(b []byte) string {
	text := make([]byte, 0, 4*len(b))
	for i, n := range b {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendUint(text, uint64(n), 10)
	}
	return string(text)
}
