package dhcpsrv

import (
	"context"
	"net"
	"net/netip"
)

// BootSelector chooses what a network-booting client loads. The server calls it once per OFFER and
// per ACK, from several goroutines at once and on the path of the packet: answer from memory. What
// needs a database belongs into [Host].Boot, since [Hosts] is not on that path. ctx ends when the
// server stops.
//
// It is called for every client, also for those that do not boot, such as an operating system that
// renews its lease. With the answer false the reply carries no boot data.
type BootSelector interface {
	SelectBoot(ctx context.Context, q BootQuery) (BootAnswer, bool)
}

// BootSelectorFunc makes a function a [BootSelector].
type BootSelectorFunc func(ctx context.Context, q BootQuery) (BootAnswer, bool)

// SelectBoot calls f.
func (f BootSelectorFunc) SelectBoot(ctx context.Context, q BootQuery) (BootAnswer, bool) {
	return f(ctx, q)
}

// SelectBoot returns a itself: a BootAnswer is a [BootSelector] with one answer, as for [Host].
func (a BootAnswer) SelectBoot(context.Context, BootQuery) (BootAnswer, bool) { return a, true }

// BootQuery holds what one packet says about the firmware that sent it. The comments name the
// options of IPv4; DHCPv6 has the architecture in option 61 and the classes in 16 and 15. Slices
// are valid only during the call.
type BootQuery struct {
	MAC              net.HardwareAddr // chaddr; empty for clients without a link address
	Client           netip.Addr       // the address offered or given to the client
	Server           netip.Addr       // this server's address towards the client
	Subnet           string           // name of the chosen subnet
	Link             string           // interface the packet came in on
	Arch             []uint16         // option 93 in order of preference (RFC 4578 section 2.1), else the architecture in VendorClass
	VendorClass      string           // option 60, such as "PXEClient:Arch:00007:UNDI:003000"
	UserClasses      []string         // option 77: iPXE's bare text, or all classes of an RFC 3004 list
	ClientUUID       []byte           // option 97 without its type byte: 16 bytes, or nil
	HasIPXE          bool             // some build of iPXE: option 175 is present, or a user class says so
	IPXE             []byte           // option 175 as sent: encapsulated feature options of iPXE
	RequestedOptions []byte           // option 55, the codes asked for
	Relay            netip.Addr       // relay agent (giaddr, link address of IPv6); invalid for clients on the link itself
	CircuitID        []byte           // option 82.1, or 18 of IPv6; nil = none
	RemoteID         []byte           // option 82.2, or 37 of IPv6; nil = none
}

// BootAnswer holds what a client loads.
type BootAnswer struct {
	// File is the name or URL of the boot file: the header field "file" when it fits, and option
	// 67. Over DHCPv6 it is option 59, and a bare name becomes a TFTP URL at NextServer.
	File string
	// NextServer is siaddr and option 66; invalid, or of the other family, = the subnet's Server.
	NextServer netip.Addr
	// Params are the parameters of the boot file, such as a kernel's command line (RFC 5970 section
	// 3.2): option 60 of DHCPv6, sent when the client requests it. IPv4 has no such option. Beyond
	// 1,024 bytes in all they are left out.
	Params []string
	// VendorClass is option 60 of the reply, or 16 of DHCPv6 under enterprise 343: UEFI HTTP boot
	// requires "HTTPClient". "" = none, except that a DHCPv6 client that sends "HTTPClient" and
	// gets an http or https URL receives it back.
	VendorClass string
	// Options are further options of IPv4, such as 43, 175 or 210, and Options6 of DHCPv6; they
	// override the options of the snapshot.
	Options, Options6 Options
}
