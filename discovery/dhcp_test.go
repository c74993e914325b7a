package discovery_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"github.com/gomaas/maas/discovery"
)

// udp4 builds the frame of a UDP datagram without checksums.
func udp4(t testing.TB, from discovery.MAC, source string, srcPort, dstPort uint16, body []byte) discovery.Frame {
	t.Helper()
	src := netip.MustParseAddr(source).As4()
	b := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(body)))
	b = append(append(b, src[:]...), 255, 255, 255, 255)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, srcPort), dstPort)
	b = append(binary.BigEndian.AppendUint16(b, uint16(8+len(body))), 0, 0)
	frame := append(append([]byte{255, 255, 255, 255, 255, 255}, from[:]...), 8, 0)
	return parsed(t, append(append(frame, b...), body...))
}

// udp6 is udp4 for IPv6.
func udp6(t testing.TB, from discovery.MAC, source string, srcPort, dstPort uint16, body []byte) discovery.Frame {
	t.Helper()
	src, dst := netip.MustParseAddr(source).As16(), netip.MustParseAddr("ff02::1:2").As16()
	b := binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(8+len(body)))
	b = append(append(append(b, 17, 1), src[:]...), dst[:]...)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, srcPort), dstPort)
	b = append(binary.BigEndian.AppendUint16(b, uint16(8+len(body))), 0, 0)
	frame := append(append([]byte{0x33, 0x33, 0, 1, 0, 2}, from[:]...), 0x86, 0xdd)
	return parsed(t, append(append(frame, b...), body...))
}

func parsed(t testing.TB, b []byte) discovery.Frame {
	t.Helper()
	f, err := discovery.ParseFrame(b, 0)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// told shortens observations, or the error: address, MAC, what is known.
func told(seen []discovery.Observation, err error) string {
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, o := range seen {
		line := fmt.Sprint(o.Addr, " ", o.MAC)
		if o.Gone {
			line += " gone"
		}
		if i := o.Info; i != nil {
			for _, n := range i.Names {
				line += " name=" + n.Name
			}
			if i.DHCPServer {
				line += " server"
			}
			if i.VendorClass != "" {
				line += " vendor=" + i.VendorClass
			}
			if i.Fingerprint != "" {
				line += " options=" + i.Fingerprint
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

var clientHW = net.HardwareAddr{2, 0, 0, 0, 0, 9}

func TestDecodeDHCPv4Messages(t *testing.T) {
	server, offered := net.IPv4(192, 0, 2, 1), net.IPv4(192, 0, 2, 7)
	fromClient := func(kind dhcpv4.MessageType, o ...dhcpv4.Modifier) []byte {
		m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(clientHW), dhcpv4.WithMessageType(kind)}, o...)...)
		if err != nil {
			t.Fatal(err)
		}
		return m.ToBytes()
	}
	option := func(code dhcpv4.OptionCode, b ...byte) dhcpv4.Modifier {
		return dhcpv4.WithGeneric(code, b)
	}
	serverIs, wants := option(dhcpv4.OptionServerIdentifier, server.To4()...), option(dhcpv4.OptionRequestedIPAddress, offered.To4()...)
	chosen := fromClient(dhcpv4.MessageTypeRequest, serverIs, wants,
		option(dhcpv4.OptionHostName, []byte("node-1")...), option(dhcpv4.OptionClassIdentifier, []byte("PXEClient")...),
		option(dhcpv4.OptionParameterRequestList, 1, 3, 66))
	unended := bytes.TrimRight(chosen, "\x00") // what pads a message to the least size of BOOTP
	unended = slices.Clip(unended[:len(unended)-1])
	reply := func(m []byte) []byte { m[0] = 2; return m }
	const observed = "192.0.2.7 02:00:00:00:00:09"
	const malformed, nothing = "discovery: malformed packet", "discovery: no observation"
	for _, c := range []struct {
		name     string
		src, dst uint16
		body     []byte
		want     string
	}{
		{"discover", 68, 67, fromClient(dhcpv4.MessageTypeDiscover, wants), nothing},
		{"request after an offer", 68, 67, chosen, observed + " name=node-1 vendor=PXEClient options=1,3,66; 192.0.2.1  server"},
		{"request of an address of before", 68, 67, fromClient(dhcpv4.MessageTypeRequest, wants), nothing},
		{"renewal", 68, 67, fromClient(dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(offered)), observed},
		{"inform", 68, 67, fromClient(dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(offered)), observed},
		{"release", 68, 67, fromClient(dhcpv4.MessageTypeRelease, dhcpv4.WithClientIP(offered)), observed + " gone"},
		{"relayed", 68, 67, fromClient(dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(offered), dhcpv4.WithRelay(server)), nothing},
		{"domain name in ASCII", 68, 67, fromClient(dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(offered), option(dhcpv4.OptionFQDN, []byte("\x00\x00\x00node-2.maas")...)),
			observed + " name=node-2.maas"},
		{"domain name in wire format", 68, 67, fromClient(dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(offered), option(dhcpv4.OptionFQDN, []byte("\x04\x00\x00\x06node-2\x00")...)), observed},
		{"offer", 67, 68, reply(fromClient(dhcpv4.MessageTypeOffer, serverIs, dhcpv4.WithYourIP(offered))), "192.0.2.1 02:00:00:00:00:01 server"},
		{"acknowledgement", 67, 68, reply(fromClient(dhcpv4.MessageTypeAck, serverIs, dhcpv4.WithYourIP(offered))), "192.0.2.1 02:00:00:00:00:01 server; " + observed},
		{"relayed offer", 67, 68, reply(fromClient(dhcpv4.MessageTypeOffer, option(dhcpv4.OptionServerIdentifier, 198, 51, 100, 1))), "198.51.100.1  server"},
		{"request from a server's port", 67, 68, chosen, nothing},
		{"end option missing", 68, 67, unended, observed + " name=node-1 vendor=PXEClient options=1,3,66; 192.0.2.1  server"},
		{"option cut", 68, 67, append(unended, 12, 40, 'a'), malformed},
		{"BOOTP", 68, 67, fromClient(dhcpv4.MessageTypeNone)[:240], malformed},
		{"another hardware", 68, 67, append([]byte{1, 6}, chosen[2:]...), malformed},
		{"another length of addresses", 68, 67, append([]byte{1, 1, 16}, chosen[3:]...), malformed},
		{"short", 68, 67, chosen[:239], malformed},
		{"another port", 53, 53, chosen, malformed},
	} {
		if got := told(discovery.DecodeDHCPv4(udp4(t, mac(1), "192.0.2.1", c.src, c.dst, c.body), nil)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestDecodeDHCPv6Messages(t *testing.T) {
	fromClient := func(kind dhcpv6.MessageType, o ...dhcpv6.Option) []byte {
		m, err := dhcpv6.NewMessage()
		if err != nil {
			t.Fatal(err)
		}
		m.MessageType = kind
		for _, o := range o {
			m.AddOption(o)
		}
		return m.ToBytes()
	}
	asked := &dhcpv6.OptIANA{Options: dhcpv6.IdentityOptions{Options: dhcpv6.Options{&dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP("2001:db8::7")}}}}
	name := &dhcpv6.OptFQDN{DomainName: &rfc1035label.Labels{Labels: []string{"node-1.maas"}}}
	vendor := &dhcpv6.OptVendorClass{EnterpriseNumber: 343, Data: [][]byte{[]byte("HTTPClient")}}
	const self, malformed, nothing = "fe80::1 02:00:00:00:00:01", "discovery: malformed packet", "discovery: no observation"
	for _, c := range []struct {
		name, source string
		src, dst     uint16
		body         []byte
		want         string
	}{
		{"solicit", "fe80::1", 546, 547, fromClient(dhcpv6.MessageTypeSolicit, asked), self},
		{"request", "fe80::1", 546, 547, fromClient(dhcpv6.MessageTypeRequest, asked), self + "; 2001:db8::7 02:00:00:00:00:01"},
		{"renewal", "fe80::1", 546, 547, fromClient(dhcpv6.MessageTypeRenew, asked), self + "; 2001:db8::7 02:00:00:00:00:01"},
		{"release", "fe80::1", 546, 547, fromClient(dhcpv6.MessageTypeRelease, asked), self},
		{"what a client says of itself", "fe80::1", 546, 547, fromClient(dhcpv6.MessageTypeSolicit, name, vendor, dhcpv6.OptRequestedOption(23, 24, 59)),
			self + " name=node-1.maas vendor=HTTPClient options=23,24,59"},
		{"broken association", "fe80::1", 546, 547, append(fromClient(dhcpv6.MessageTypeRequest), 0, 3, 0, 13, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 9), self},
		{"vendor class without data", "fe80::1", 546, 547, append(fromClient(dhcpv6.MessageTypeSolicit), 0, 16, 0, 4, 0, 0, 1, 87), self},
		{"option cut", "fe80::1", 546, 547, append(fromClient(dhcpv6.MessageTypeSolicit), 0, 39, 0, 9, 0), malformed},
		{"advertise", "fe80::1", 547, 546, fromClient(dhcpv6.MessageTypeAdvertise), self + " server"},
		{"reply", "fe80::1", 547, 546, fromClient(dhcpv6.MessageTypeReply), self + " server"},
		{"solicit to a client", "fe80::1", 547, 546, fromClient(dhcpv6.MessageTypeSolicit), nothing},
		{"relayed", "fe80::1", 547, 547, append([]byte{12, 0}, make([]byte, 32)...), nothing},
		{"routed", "2001:db8::9", 546, 547, fromClient(dhcpv6.MessageTypeRequest, asked), nothing},
		{"short", "fe80::1", 546, 547, []byte{1, 2, 3}, malformed},
		{"another port", "fe80::1", 53, 53, fromClient(dhcpv6.MessageTypeSolicit), malformed},
	} {
		if got := told(discovery.DecodeDHCPv6(udp6(t, mac(1), c.source, c.src, c.dst, c.body), nil)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// A name that points to itself takes some decoders a hundred megabytes, wherever in the message it lies.
func TestNamesThatPointToThemselvesCostNothing(t *testing.T) {
	bomb := []byte{0}
	for len(bomb) < 700 {
		bomb = append(bomb, 1, 'a')
	}
	for bomb = append(bomb, 0); len(bomb) < 1300; {
		bomb = append(bomb, 0xc0, 0)
	}
	option := func(code uint16, value []byte) []byte {
		return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, code), uint16(len(value))), value...)
	}
	name := option(39, bomb)
	address := option(5, append(make([]byte, 24), name...))
	for where, options := range map[string][]byte{"message": name, "association": option(3, append(make([]byte, 12), name...)),
		"address": option(3, append(make([]byte, 12), address...)), "search list": option(24, bomb)} {
		f := udp6(t, mac(1), "fe80::1", 546, 547, append([]byte{3, 0, 0, 1}, options...))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if got := told(discovery.DecodeDHCPv6(f, nil)); !strings.HasPrefix(got, "fe80::1 ") {
			t.Errorf("%s: %s", where, got)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d octets allocated", where, n)
		}
	}
}
