package explain_test

import (
	"encoding/hex"
	"net"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/gomaas/maas/cmd/maas/rack/explain"
	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe/firmware"
)

var mac = net.HardwareAddr{2, 0, 0, 0, 0, 1}

// TestMessagesAreRead reads the messages with another implementation.
func TestMessagesAreRead(t *testing.T) {
	arch := firmware.ArchEFI64HTTP
	m, err := dhcpv4.FromBytes(explain.Discover(mac, &arch, netip.MustParseAddr("192.0.2.1")))
	if err != nil {
		t.Fatal(err)
	}
	if m.MessageType() != dhcpv4.MessageTypeDiscover || m.ClientHWAddr.String() != mac.String() || m.GatewayIPAddr.String() != "192.0.2.1" ||
		m.ClassIdentifier() != "HTTPClient:Arch:00016:UNDI:003016" || uint16(m.ClientArch()[0]) != 16 {
		t.Errorf("%s", m.Summary())
	}
	six, err := dhcpv6.MessageFromBytes(explain.Solicit(mac, &arch))
	if err != nil {
		t.Fatal(err)
	}
	if six.MessageType != dhcpv6.MessageTypeSolicit || six.Options.OneIANA() == nil || six.Options.ClientID() == nil || uint16(six.Options.ArchTypes()[0]) != 16 {
		t.Errorf("%s", six.Summary())
	}
}

func TestParseArch(t *testing.T) {
	for text, want := range map[string]int{"": -1, "none": -1, "bios": 0, "uefi": 7, "arm64-http": 0x13, "0x1b": 27, "7": 7} {
		got, err := explain.ParseArch(text)
		if err != nil || (got == nil) != (want < 0) || got != nil && int(*got) != want {
			t.Errorf("ParseArch(%q) = %v, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"vax", "65536", "-1"} {
		if _, err := explain.ParseArch(text); err == nil {
			t.Errorf("ParseArch(%q): no error", text)
		}
	}
}

func TestReadable(t *testing.T) {
	for _, c := range []struct {
		code uint8
		data string
		want string
	}{{6, "c0000201c0000202", "192.0.2.1, 192.0.2.2"}, {51, "00000258", "600"}, {15, "6d616173", "maas"}, {43, "00ff", "00ff"}, {6, "c0", "c0"}} {
		data, _ := hex.DecodeString(c.data)
		if got := explain.Readable(dhcpsrv.Options{{Code: c.code, Data: data}}, false); got[0].Value != c.want {
			t.Errorf("option %d %s reads %q, want %q", c.code, c.data, got[0].Value, c.want)
		}
	}
}
