package dhcpsrv

import (
	"context"
	"net"
	"net/netip"
)

// BootSelector answers what a network-booting client shall load. The server asks once per OFFER and per ACK, from
// several goroutines at once and on the path of the packet: answer from memory. ctx ends when the server stops.
//
// It is asked for every client, also for those that are not booting (an operating system renewing its lease); the
// answer false means that the reply carries no boot data.
type BootSelector interface {
	SelectBoot(ctx context.Context, q BootQuery) (BootAnswer, bool)
}

// BootSelectorFunc makes a function a [BootSelector].
type BootSelectorFunc func(ctx context.Context, q BootQuery) (BootAnswer, bool)

// SelectBoot calls f.
func (f BootSelectorFunc) SelectBoot(ctx context.Context, q BootQuery) (BootAnswer, bool) {
	return f(ctx, q)
}

// BootQuery is what one packet tells about the firmware that sent it, with the options of IPv4 in the comments; DHCPv6 has
// the arch in option 61 and the classes in 16 and 15. Slices are valid only during the call.
type BootQuery struct {
	MAC              net.HardwareAddr // chaddr; empty for clients without a link address
	Client           netip.Addr       // the address offered or given to the client
	Server           netip.Addr       // this server's address towards the client
	Subnet           string           // name of the chosen subnet
	Link             string           // interface the packet came in on
	Arch             []uint16         // option 93 in order of preference (RFC 4578 section 2.1); empty when absent
	VendorClass      string           // option 60, such as "PXEClient:Arch:00007:UNDI:003000"
	UserClass        string           // option 77: iPXE's bare text, or the first class of an RFC 3004 list
	ClientUUID       []byte           // option 97 without its type byte: 16 bytes, or nil
	HasIPXE          bool             // option 175 is present: some build of iPXE
	IPXE             []byte           // option 175 as sent: encapsulated feature options of iPXE
	RequestedOptions []byte           // option 55, the codes asked for
}

// BootAnswer is what a client shall load.
type BootAnswer struct {
	// File is the boot file's name or URL: the header field "file" when it fits, and option 67. Over DHCPv6 it is option 59,
	// where a bare name becomes a URL of TFTP at NextServer.
	File string
	// NextServer is siaddr and option 66; invalid, or of the other family, = the subnet's Server.
	NextServer netip.Addr
	// Params are the parameters of the boot file (RFC 5970 section 3.2), option 60 of DHCPv6, sent when asked for: what a
	// kernel's command line holds. IPv4 has no such option. At most 1,024 bytes in all; those beyond are left out.
	Params []string
	// VendorClass is option 60 of the reply, or 16 of DHCPv6 under enterprise 343: UEFI HTTP boot insists on "HTTPClient".
	// "" = none, but over DHCPv6 a client that says "HTTPClient" and gets an http or https URL hears it back.
	VendorClass string
	// Options are further options of IPv4, such as 43, 175 or 210; they win over those of the snapshot.
	Options Options
}
