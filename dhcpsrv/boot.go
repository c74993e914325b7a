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

// BootQuery is what one packet tells about the firmware that sent it. Slices are valid only during the call.
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
	File        string     // boot file name or URL: header field "file" when it fits, and option 67
	NextServer  netip.Addr // siaddr and option 66; invalid = the subnet's Server
	VendorClass string     // option 60 of the reply: UEFI HTTP boot insists on "HTTPClient"; "" = none
	Options     Options    // further options, such as 43, 175 or 210; they win over those of the snapshot
}
