package explain

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/pxe/firmware"
)

// xid is the transaction of these messages. They never reach a network, so it need not be random.
const xid = 0x65786c70

// Discover returns the DISCOVER of a machine's firmware (RFC 2131, RFC 4578), or of an operating
// system if arch is nil. relay is the relay that forwards it; the zero Addr means none.
func Discover(mac net.HardwareAddr, arch *firmware.Arch, relay netip.Addr) []byte {
	b := make([]byte, 240, 400)
	b[0], b[1], b[2] = 1, 1, byte(len(mac))
	binary.BigEndian.PutUint32(b[4:], xid)
	binary.BigEndian.PutUint16(b[10:], 0x8000) // broadcast flag: the machine has no address yet
	if relay.Is4() {
		b[3] = 1
		copy(b[24:], relay.AsSlice())
	}
	copy(b[28:44], mac)
	copy(b[236:], []byte{99, 130, 83, 99})
	add := func(code byte, data ...byte) { b = append(append(b, code, byte(len(data))), data...) }
	add(53, 1)
	add(55, 1, 2, 3, 6, 12, 15, 17, 26, 28, 42, 43, 51, 54, 58, 59, 60, 66, 67, 97, 114, 119, 121, 128, 129, 150, 175, 209, 210)
	add(57, 1472>>8, 1472&0xff)
	if arch != nil {
		add(60, []byte(VendorClass(*arch))...)
		add(93, byte(*arch>>8), byte(*arch))
		add(94, 1, 3, 16)
		add(97, make([]byte, 17)...)
	}
	return append(b, 255)
}

// VendorClass returns the vendor class that firmware of an architecture sends.
func VendorClass(arch firmware.Arch) string {
	client := "PXEClient"
	switch arch {
	case firmware.ArchEFI32HTTP, firmware.ArchEFI64HTTP, firmware.ArchARM32HTTP, firmware.ArchARM64HTTP, firmware.ArchRISCV64HTTP:
		client = "HTTPClient"
	}
	return fmt.Sprintf("%s:Arch:%05d:UNDI:003016", client, arch)
}

// Solicit returns the SOLICIT of a machine (RFC 8415, RFC 5970).
func Solicit(mac net.HardwareAddr, arch *firmware.Arch) []byte {
	b := []byte{1, xid >> 16 & 0xff, xid >> 8 & 0xff, xid & 0xff}
	add := func(code uint16, data ...byte) {
		b = binary.BigEndian.AppendUint16(b, code)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
	}
	add(1, append([]byte{0, 3, 0, 1}, mac...)...)             // DUID-LL
	add(3, append([]byte{0, 0, 0, 1}, make([]byte, 8)...)...) // IA_NA
	add(6, 0, 23, 0, 24, 0, 56, 0, 59, 0, 60)                 // option request
	add(8, 0, 0)                                              // elapsed time
	if arch == nil {
		return b
	}
	class := VendorClass(*arch)
	add(61, byte(*arch>>8), byte(*arch))
	// enterprise number 343 (Intel), as EDK II sends it
	add(16, append([]byte{0, 0, 1, 0x57, byte(len(class) >> 8), byte(len(class))}, class...)...)
	return b
}

// Packet returns a message of a machine on an interface or, with IPv4, behind a relay.
func Packet(q Query, mac net.HardwareAddr, subnet dhcpsrv.Subnet) dhcpsrv.Packet {
	if q.IPv6 {
		return dhcpsrv.Packet{
			Data: Solicit(mac, q.Arch), Link: subnet.Link, Src: netip.AddrPortFrom(linkLocal(mac), 546), Dst: netip.MustParseAddr("ff02::1:2"),
		}
	}
	if subnet.Link != "" {
		return dhcpsrv.Packet{Data: Discover(mac, q.Arch, netip.Addr{}), Link: subnet.Link, Src: netip.AddrPortFrom(netip.IPv4Unspecified(), 68)}
	}
	relay := relayOf(subnet)
	return dhcpsrv.Packet{Data: Discover(mac, q.Arch, relay), Src: netip.AddrPortFrom(relay, 67), Dst: subnet.Server}
}

// relayOf returns the likely address of the subnet's relay: its router, else its first address.
func relayOf(subnet dhcpsrv.Subnet) netip.Addr {
	for _, r := range subnet.Routers {
		if subnet.Prefix.Contains(r) {
			return r
		}
	}
	return subnet.Prefix.Masked().Addr().Next()
}

// linkLocal returns the address that a machine forms from its MAC (RFC 4291 appendix A).
func linkLocal(mac net.HardwareAddr) netip.Addr {
	a := [16]byte{0xfe, 0x80, 11: 0xff, 12: 0xfe}
	if len(mac) >= 6 {
		copy(a[8:11], mac[:3])
		copy(a[13:], mac[3:6])
		a[8] ^= 2
	}
	return netip.AddrFrom16(a)
}
