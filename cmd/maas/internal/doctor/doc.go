// Package doctor looks for what keeps a region or a rack on this host from working, and says how to
// cure it.
//
//	facts := doctor.Gather(ctx, doctor.Config{Data: "/var/lib/gomaas"})
//	for _, f := range doctor.Check(facts) {
//		fmt.Println(f.Severity, f.Text, f.Cure)
//	}
//
// Gather asks the host, the network and a daemon that runs; Check decides, and is pure. Nothing is
// changed: a probe takes no lease.
package doctor

import (
	"net/netip"
	"time"
)

// Facts are the gathered facts. A fact that could not be gathered has an error in its place, which
// is a finding too.
type Facts struct {
	// Daemon is whether one runs on the data directory.
	Daemon bool
	// Rack is whether machines are served from this host: there is a rack's data, or no daemon's at
	// all.
	Rack bool
	// MissingCapabilities are capabilities, such as CAP_NET_RAW, that this process or the daemon
	// lacks.
	MissingCapabilities []string
	Ports               []Port
	Links               []Link
	Searched            bool // for other DHCP servers
	Servers             []Server
	ServersErr          error
	Loaders             []Loader
	Data                Dir
	Clock               Clock
	Region              Region
	Certificate         Certificate
	VLANs               []VLAN
	Proposals           []Proposal // networks that racks have and were not given
	RoundTrips          []RoundTrip
	Upstreams           []Upstream
}

// Port is one that the daemon serves on.
type Port struct {
	What string // such as "TFTP"
	Net  string // udp or tcp
	Port int
	// By are the programs that have it, on addresses that are in the way.
	By []string
	// Ours is whether one of them is this program.
	Ours bool
}

// Link is a network interface that may serve machines.
type Link struct {
	Name   string
	MTU    int
	Up     bool
	Addrs  []netip.Prefix
	RPMode int // rp_filter in force: 0 off, 1 strict, 2 loose
}

// Server is a DHCP server that answered.
type Server struct {
	Link string
	Addr netip.Addr
	MAC  string
	Ours bool
}

// Loader is a boot loader.
type Loader struct {
	Name   string
	Err    error // why it cannot be read; nil = it can
	Secure bool  // it has to be signed for Secure Boot
	Signed bool
	CAs    []string // the authorities that signed it
	Damage error    // why it does not start, or starts nothing
}

// Dir is the data directory.
type Dir struct {
	Path   string
	Absent bool
	Err    error  // why it cannot be written
	Free   uint64 // bytes
}

// Clock is the difference between this host's clock and the region's; positive if this host is
// ahead.
type Clock struct {
	Known bool
	Ahead time.Duration
}

// Region is whether this host's rack reaches it.
type Region struct {
	Known bool // there is one to reach
	Tried []string
	Err   error
}

// Certificate is the rack's.
type Certificate struct {
	Known   bool
	Expires time.Time
	Now     time.Time
	Err     error
}

// Proposal is a network on a link of a rack that was not given it.
type Proposal struct{ Rack, Link, Network string }

// VLAN is one of the site with DHCP switched on.
type VLAN struct {
	Name    string // fabric and tag
	Subnets []string
	Ranges  bool     // there is a dynamic range
	Racks   []string // racks that are assigned to serve it
	Near    bool     // a rack has an address in it
	Relay   string   // VLAN that it is relayed to; empty = none
	MTU     int
}

// RoundTrip is a question that the daemon was asked in the way of machines.
type RoundTrip struct {
	What string // such as "TFTP"
	At   string // address
	Err  error
	Took time.Duration
}

// Upstream is a resolver that the racks forward queries for other names to.
type Upstream struct {
	Addr string
	Err  error
}

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	Fine    Severity = "fine"
	Warning Severity = "warning" // something does not work for some machines, or soon will not
	Bad     Severity = "error"   // something does not work
)

// Finding is the result of a check.
type Finding struct {
	Check    string   `json:"check"`
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
	Cure     string   `json:"cure,omitempty"` // what to do; empty when it is fine
}
