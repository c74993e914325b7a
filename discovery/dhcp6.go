package discovery

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// DHCPv6 message types (RFC 8415 section 7.3).
const (
	dhcp6Advertise = 2
	dhcp6Request   = 3
	dhcp6Confirm   = 4
	dhcp6Renew     = 5
	dhcp6Rebind    = 6
	dhcp6Reply     = 7
	dhcp6RelayForw = 12
)

// DHCPv6 options.
const (
	opt6IANA        = 3
	opt6IAAddr      = 5
	opt6ORO         = 6
	opt6VendorClass = 16
	opt6FQDN        = 39
)

// DecodeDHCPv6 overhears DHCPv6 (RFC 8415) and appends what was seen to out: the client at its link-local address and at the
// address it asks for, and servers.
func DecodeDHCPv6(f Frame, out []Sighting) ([]Sighting, error) {
	d, ok := ipPacket(f)
	if !ok || f.Type != etherIPv6 {
		return out, ErrMalformed
	}
	srcPort, dstPort, b, ok := d.udp()
	if !ok || dstPort != portDHCP6Server && dstPort != portDHCP6Client || len(b) < 4 {
		return out, ErrMalformed
	}
	s := Sighting{Addr: d.src, MAC: f.Src, VID: f.VID, Source: DHCPv6}
	// Clients and servers of the link talk from their link-local addresses; all else has been relayed or routed.
	if b[0] >= dhcp6RelayForw || !d.src.IsLinkLocalUnicast() || !f.Src.Unicast() {
		return out, ErrNoSighting
	}
	if dstPort == portDHCP6Client {
		if srcPort != portDHCP6Server || b[0] != dhcp6Advertise && b[0] != dhcp6Reply {
			return out, ErrNoSighting
		}
		s.Info = &Info{DHCPServer: true}
		return append(out, s), nil
	}
	info, asked, err := dhcp6Info(b[4:])
	if err != nil {
		return out, err
	}
	s.Info = info
	out = append(out, s)
	if usable(asked) && (b[0] == dhcp6Request || b[0] >= dhcp6Confirm && b[0] <= dhcp6Rebind) {
		s.Addr = asked
		out = append(out, s)
	}
	return out, nil
}

// dhcp6Info reads a client's options: what it tells of itself, and the first address that it asks for.
func dhcp6Info(b []byte) (info *Info, asked netip.Addr, err error) {
	info = &Info{}
	err = eachOption6(b, func(code uint16, value []byte) {
		switch code {
		case opt6FQDN:
			if name := wireName(value); name != "" {
				info.Names, info.flush = []Name{{name, DHCPv6}}, DHCPv6
			}
		case opt6VendorClass:
			if len(value) > 6 { // enterprise number, then texts with their lengths
				info.VendorClass = clean(value[6:])
			}
		case opt6ORO:
			info.Fingerprint = numbers16(value)
		case opt6IANA:
			if len(value) < 12 {
				return
			}
			// Broken options inside are as good as none.
			_ = eachOption6(value[12:], func(code uint16, value []byte) {
				if code == opt6IAAddr && len(value) >= 24 && !asked.IsValid() {
					asked = netip.AddrFrom16([16]byte(value[:16]))
				}
			})
		}
	})
	return info, asked, err
}

func eachOption6(b []byte, f func(code uint16, value []byte)) error {
	for len(b) > 0 {
		if len(b) < 4 || len(b) < 4+int(binary.BigEndian.Uint16(b[2:])) {
			return ErrMalformed
		}
		end := 4 + int(binary.BigEndian.Uint16(b[2:]))
		f(binary.BigEndian.Uint16(b), b[4:end])
		b = b[end:]
	}
	return nil
}

// wireName reads the name of the FQDN option (RFC 4704): flags, then a name in DNS wire format that may lack its end.
func wireName(b []byte) string {
	if len(b) < 2 {
		return ""
	}
	var labels []string
	for b = b[1:]; len(b) > 0 && b[0] != 0; b = b[1+int(b[0]):] {
		if b[0] > 63 || len(b) < 1+int(b[0]) {
			return ""
		}
		labels = append(labels, string(b[1:1+int(b[0])]))
	}
	return hostname([]byte(strings.Join(labels, ".")))
}

func numbers16(b []byte) string {
	text := make([]byte, 0, 2*len(b))
	for i := 0; i+1 < len(b) && len(text) < maxText; i += 2 {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendUint(text, uint64(binary.BigEndian.Uint16(b[i:])), 10)
	}
	return string(text)
}
