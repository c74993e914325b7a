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
	// FindServers returns the other DHCP servers of a link, for [ModeAuto]; dhcplink.FindServers
	// asks by a DISCOVER. A site with several servers on one link wraps it to leave out its own.
	// This server and its partner are left out anyway. If nil, [Server.Update] refuses a subnet
	// with ModeAuto.
	FindServers func(ctx context.Context, link string) ([]RogueServer, error)
	// Debug per packet, Info per change of state, Warn for what an operator should check; nil =
	// discarded
	Log *slog.Logger

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
