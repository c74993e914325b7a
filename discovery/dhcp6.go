package discovery

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// decodeDHCPv6 overhears DHCPv6 (RFC 8415) and appends what was seen to out: the client at its
// link-local address and at the address it asks for, and servers.
func decodeDHCPv6(f Frame, out []Observation) ([]Observation, error) {
	d, ok := ipPacket(f)
	if !ok || f.Type != etherIPv6 {
		return out, ErrMalformed
	}
	srcPort, dstPort, b, ok := d.udp()
	if !ok || dstPort != portDHCP6Server && dstPort != portDHCP6Client || len(b) < 4 {
		return out, ErrMalformed
	}
	o := Observation{Addr: d.src, MAC: f.Src, VID: f.VID, Source: DHCPv6}
	kind := dhcpv6.MessageType(b[0])
	// Clients and servers of the link send from their link-local addresses; other packets have been
	// relayed or routed.
	if kind >= dhcpv6.MessageTypeRelayForward || !d.src.IsLinkLocalUnicast() || !f.Src.Unicast() {
		return out, ErrNoObservation
	}
	if dstPort == portDHCP6Client {
		if srcPort != portDHCP6Server || kind != dhcpv6.MessageTypeAdvertise && kind != dhcpv6.MessageTypeReply {
			return out, ErrNoObservation
		}
		o.Info = &Info{DHCPServer: true}
		return append(out, o), nil
	}
	var options dhcpv6.Options
	if err := options.FromBytesWithParser(b[4:], parseDHCPv6Option); err != nil {
		return out, ErrMalformed
	}
	o.Info = dhcp6Info(options)
	out = append(out, o)
	switch kind {
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeConfirm, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind:
		if o.Addr = requested6(options); usable(o.Addr) {
			out = append(out, o)
		}
	}
	return out, nil
}

// parseDHCPv6Option decodes the options that tell of a client. Names are left as they are: the
// library follows compression pointers in them, which RFC 8415 section 10 forbids, so that one
// frame of 1,400 octets took 90 ms. An option that is broken inside is left as it is too, since the
// others still tell of the client.
func parseDHCPv6Option(code dhcpv6.OptionCode, data []byte) (dhcpv6.Option, error) {
	switch code {
	case dhcpv6.OptionVendorClass:
		if o := new(dhcpv6.OptVendorClass); o.FromBytes(data) == nil {
			return o, nil
		}
	case dhcpv6.OptionIANA:
		const header = 12 // association, T1, T2
		o := new(dhcpv6.OptIANA)
		if len(data) >= header && o.Options.FromBytesWithParser(data[header:], parseIAOption) == nil {
			return o, nil
		}
	}
	return &dhcpv6.OptionGeneric{OptionCode: code, OptionData: data}, nil
}

// parseIAOption decodes an address without the options inside of it, which may be of any kind and
// depth.
func parseIAOption(code dhcpv6.OptionCode, data []byte) (dhcpv6.Option, error) {
	const size = 24 // address and two lifetimes
	if o := new(dhcpv6.OptIAAddress); code == dhcpv6.OptionIAAddr && len(data) >= size && o.FromBytes(data[:size]) == nil {
		return o, nil
	}
	return &dhcpv6.OptionGeneric{OptionCode: code}, nil
}

// dhcp6Info returns what a client reports of itself.
func dhcp6Info(options dhcpv6.Options) *Info {
	info := &Info{}
	for _, o := range options {
		switch o := o.(type) {
		case *dhcpv6.OptVendorClass:
			info.VendorClass = clean(o.Data[0]) // the decoder demands one
		case *dhcpv6.OptionGeneric:
			switch o.OptionCode {
			case dhcpv6.OptionORO:
				info.Fingerprint = numbers16(o.OptionData)
			case dhcpv6.OptionFQDN:
				if name := wireName(o.OptionData); name != "" {
					info.Names, info.flush = []Name{{name, DHCPv6}}, DHCPv6
				}
			}
		}
	}
	return info
}

// requested6 returns the first address that a client asks for, not valid if there is none.
func requested6(options dhcpv6.Options) netip.Addr {
	for _, o := range options {
		ia, ok := o.(*dhcpv6.OptIANA)
		if !ok {
			continue
		}
		if a := ia.Options.OneAddress(); a != nil {
			addr, _ := netip.AddrFromSlice(a.IPv6Addr)
			return addr
		}
	}
	return netip.Addr{}
}

// wireName reads the name of the FQDN option (RFC 4704): flags, then a name in DNS wire format that
// may lack its end.
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

// numbers16 writes pairs of octets in decimal with commas.
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
