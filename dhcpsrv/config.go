package dhcpsrv

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Defaults for zero fields of [Config].
const (
	defaultOfferHold = 30 * time.Second
	defaultWorkers   = 8
	defaultQueue     = 16384
)

// Config sets up a [Server]. The zero value works: leases in memory, no boot data, no probes.
type Config struct {
	Store LeaseStore // nil = a MemStore: leases are forgotten when the process ends
	// Hosts decides address and options of clients without a reservation. If nil, they get
	// addresses of the pools.
	Hosts Hosts
	Boot  BootSelector // nil = no boot data
	// Events is called for every change of a lease, after it is durable and before the client is
	// answered, in the order of the commits and never concurrently. It is on the path of the
	// packets: hand over and return. If nil, events are discarded.
	Events func(Event)
	// Prober is asked before an address is offered to a client that does not hold it. If nil,
	// addresses are offered unprobed.
	Prober Prober
	// ProbeAhead sets for how long an address that was probed before a client asked counts as free:
	// while Serve runs, each pool keeps a stock of such addresses, small without demand, so that
	// unknown clients need not wait for a probe. [Server.Heard] takes an address out of it. Zero
	// means three minutes. If negative, addresses are probed only when a client asks.
	ProbeAhead time.Duration
	// FindServers returns the other DHCP servers of a link, for [ModeAuto]; dhcplink.FindServers
	// asks by a DISCOVER. A site with several servers on one link wraps it to leave out its own.
	// This server and its partner are left out anyway. If nil, [Server.Update] refuses a subnet
	// with ModeAuto.
	FindServers func(ctx context.Context, link string) ([]RogueServer, error)
	// Watched is called for each address that a client takes from another server in [ModeWatch], by
	// several goroutines at once and on the path of the packets. If nil, leases are learned alone.
	Watched func(Watched)
	// Debug per packet, Info per change of state, Warn for what an operator should check; nil =
	// discarded
	Log *slog.Logger

	// Clock reads the wall clock, by which leases are stored. The server follows it when it is set,
	// so that leases keep the time they have left. If nil, it is time.Now.
	Clock func() time.Time

	ClientRate int // packets of one client (link address, or DUID) handled in a second; 0 = no limit

	HostLookups int // calls of Hosts under way at once; as many clients as Queue wait for theirs; 0 = 1024
	HostCache   int // answers of Hosts that are kept; 0 = 65536

	OfferHold time.Duration // how long an offered address is kept for its client; 0 = 30 s, at least 1 s
	Workers   int           // goroutines that handle packets, for each Serve; 0 = 8
	Queue     int           // packets waiting for a worker, for each Serve; beyond it the oldest is dropped; 0 = 16384
}

// Prober checks whether an address that the server believes to be free is in use.
type Prober interface {
	// Probe reports whether addr answers. link is the interface on which the subnet is local, or ""
	// when it is behind a relay. It may block until ctx ends (a second at most) and is called by
	// several goroutines at once. An error counts as "not in use": a broken probe must not stop the
	// service.
	Probe(ctx context.Context, link string, addr netip.Addr) (inUse bool, err error)
}

// An OwnerProber is a [Prober] that also returns the link address of the host that answers, or nil
// if it cannot know it. The server calls ProbeOwner in place of Probe: an answer of the client
// itself, or of a client of the address's reservation, is no conflict. Hosts that had the address
// before they asked for it answer so.
type OwnerProber interface {
	Prober
	ProbeOwner(ctx context.Context, link string, addr netip.Addr) (owner net.HardwareAddr, inUse bool, err error)
}

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
	NDI              []byte           // option 94, or 62 of IPv6: interface of the network card, type and version (RFC 4578 section 2.2); nil = none
	IPXE             []byte           // option 175 as sent: encapsulated feature options of iPXE
	RequestedOptions []byte           // option 55, the codes asked for
	Relay            netip.Addr       // relay agent (giaddr, link address of IPv6); invalid for clients on the link itself
	CircuitID        []byte           // option 82.1, or 18 of IPv6; nil = none
	RemoteID         []byte           // option 82.2, or 37 of IPv6; nil = none
	Proxy            bool             // another server gives the client its address, this one boot data (ModeProxy)
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
