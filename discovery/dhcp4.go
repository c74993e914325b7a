package discovery

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// Ports of DHCP.
const (
	portDHCPServer  = 67
	portDHCPClient  = 68
	portDHCP6Client = 546
	portDHCP6Server = 547
)

// DHCPv4 message types (RFC 2132 section 9.6).
const (
	dhcpDiscover = 1
	dhcpOffer    = 2
	dhcpRequest  = 3
	dhcpAck      = 5
	dhcpNak      = 6
	dhcpRelease  = 7
	dhcpInform   = 8
)

// dhcpOptions are those that tell something about the client. They refer to the packet.
type dhcpOptions struct {
	kind                           byte
	requested, server              netip.Addr
	host, fqdn, vendor, parameters []byte
}

// DecodeDHCPv4 overhears DHCP (RFC 2131) and appends what was seen to out: the client at its address once it asks for one that
// a server offered or that it has, and the server. A client without an address is no sighting.
func DecodeDHCPv4(f Frame, out []Sighting) ([]Sighting, error) {
	d, ok := ipPacket(f)
	if !ok {
		return out, ErrMalformed
	}
	srcPort, dstPort, b, ok := d.udp()
	if !ok || dstPort != portDHCPServer && dstPort != portDHCPClient || len(b) < 240 {
		return out, ErrMalformed
	}
	if binary.BigEndian.Uint32(b[236:]) != 0x63825363 || b[1] != 1 || b[2] != 6 {
		return out, ErrMalformed
	}
	o, err := parseDHCPOptions(b[240:])
	if err != nil {
		return out, err
	}
	before := len(out)
	if b[0] == 1 && dstPort == portDHCPServer {
		out = dhcpFromClient(f, b, o, out)
	} else if b[0] == 2 && srcPort == portDHCPServer {
		out = dhcpFromServer(f, d, b, o, out)
	}
	if len(out) == before {
		return out, ErrNoSighting
	}
	return out, nil
}

func dhcpFromClient(f Frame, b []byte, o dhcpOptions, out []Sighting) []Sighting {
	if netip.AddrFrom4([4]byte(b[24:28])) != netip.AddrFrom4([4]byte{}) {
		return out // relayed: it comes from another link
	}
	s := Sighting{MAC: MAC(b[28:34]), VID: f.VID, Source: DHCPv4, Addr: netip.AddrFrom4([4]byte(b[12:16]))}
	switch o.kind {
	case dhcpRequest:
		// Without a server the client only hopes for an address that it had (INIT-REBOOT).
		if s.Addr.IsUnspecified() && o.server.IsValid() {
			s.Addr = o.requested
		}
	case dhcpInform:
	case dhcpRelease:
		s.Gone = true
	default:
		return out
	}
	if usable(s.Addr) && s.MAC.Unicast() {
		if !s.Gone {
			s.Info = &Info{VendorClass: clean(o.vendor), Fingerprint: numbers(o.parameters)}
			if name := o.name(); name != "" {
				s.Info.Names, s.Info.flush = []Name{{name, DHCPv4}}, DHCPv4
			}
		}
		out = append(out, s)
	}
	if o.kind == dhcpRequest && usable(o.server) {
		// Whom a client names is a server, although its own packets go past this one.
		out = append(out, Sighting{Addr: o.server, VID: f.VID, Source: DHCPv4, Info: &Info{DHCPServer: true}})
	}
	return out
}

func dhcpFromServer(f Frame, d datagram, b []byte, o dhcpOptions, out []Sighting) []Sighting {
	if o.kind != dhcpOffer && o.kind != dhcpAck && o.kind != dhcpNak {
		return out
	}
	if server := o.server; usable(server) && f.Src.Unicast() {
		s := Sighting{Addr: server, VID: f.VID, Source: DHCPv4, Info: &Info{DHCPServer: true}}
		if server == d.src { // else a relay brings it
			s.MAC = f.Src
		}
		out = append(out, s)
	}
	client := Sighting{Addr: netip.AddrFrom4([4]byte(b[16:20])), MAC: MAC(b[28:34]), VID: f.VID, Source: DHCPv4}
	if o.kind == dhcpAck && usable(client.Addr) && client.MAC.Unicast() {
		out = append(out, client)
	}
	return out
}

// parseDHCPOptions walks the options (RFC 2132). What firmware puts behind the end is not looked at.
func parseDHCPOptions(b []byte) (o dhcpOptions, err error) {
	for len(b) > 0 && b[0] != 255 {
		if b[0] == 0 {
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return o, ErrMalformed
		}
		value := b[2 : 2+int(b[1])]
		switch b[0] {
		case 12:
			o.host = value
		case 50:
			o.requested = addr4(value)
		case 53:
			if len(value) == 1 {
				o.kind = value[0]
			}
		case 54:
			o.server = addr4(value)
		case 55:
			o.parameters = value
		case 60:
			o.vendor = value
		case 81:
			if len(value) > 3 && value[0]&4 == 0 { // ASCII encoding; the other one is DNS wire format
				o.fqdn = value[3:]
			}
		}
		b = b[2+int(b[1]):]
	}
	if o.kind == 0 {
		return o, ErrMalformed // BOOTP
	}
	return o, nil
}

func addr4(b []byte) netip.Addr {
	if len(b) != 4 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b))
}

// name is what the client calls itself.
func (o dhcpOptions) name() string {
	if name := hostname(o.host); name != "" {
		return name
	}
	return hostname(o.fqdn)
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
