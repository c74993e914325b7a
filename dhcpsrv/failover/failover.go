// Package failover describes the partner with which a DHCP server shares subnets, for embedders of
// package dhcpsrv:
//
//	snapshot.Partners = []failover.Partner{{Name: "beta", Self: "alpha"}}
//	snapshot.Subnets[0].Partner = "beta" // on one of the two servers with Secondary as well
//	err := server.Update(snapshot)
//	err = server.ServePartner(ctx, "beta", conn) // a Conn, as package rpc/peer has them
//	state := server.Partners()[0].State
//
// The server itself, and what the two exchange, belong to package dhcpsrv.
package failover

import (
	"context"
	"net/netip"
	"time"
)

// DefaultTakeover is the default of Partner.TakeoverAfter.
const DefaultTakeover = time.Hour

// Partner is another server that serves the subnets that name it as well. DESIGN.md describes
// failover.
type Partner struct {
	Name string // of the other server; unique in the snapshot
	Self string // this server's name at the partner; the two names also decide which addresses belong to which server
	// Addrs are the partner's addresses, the best one first. The server does not use them; the
	// caller of ServePartner may.
	Addrs []netip.Addr
	// TakeoverAfter is the time for which the partner must be away before this server takes its
	// addresses as well; 0 = DefaultTakeover, at least a minute. The longest lease time passes
	// before the first of them is given out.
	TakeoverAfter time.Duration
}

// State is the state of failover with one partner.
type State uint8

// The states of a partner. In all but Recovering, leases of both servers are renewed and
// reservations answered.
const (
	Recovering State = iota // just started: silent until the partner's leases have arrived, or for ten seconds
	// the partner is not heard: all clients are answered, new addresses come from this server's own
	Interrupted
	// away for TakeoverAfter: the partner's addresses are used as well, once its last leases are
	// over
	PartnerDown
	Normal // each answers the clients of its own buckets
)

var stateNames = [...]string{"recovering", "interrupted", "partner-down", "normal"}

// String returns the state in lower case, such as "partner-down".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// MarshalText returns the state as String does.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Status is the status of one partner now.
type Status struct {
	Name      string
	State     State
	Connected bool
	Contact   time.Time // when it was last heard; zero = never
	Waiting   int       // lease changes that the partner has not confirmed; counted only while connected
	// how far the partner's clock was ahead by the hellos, the time between these included
	Skew     time.Duration
	Takeover time.Time // when its addresses will be, or were, taken over; zero while it is connected
}

// Conn carries messages between two failover partners. A message arrives whole or not at all while
// the connection lasts; messages may overtake each other and arrive twice.
type Conn interface {
	// Send hands a message over, and may wait until there is room for it. It does not keep b.
	// Called by one goroutine.
	Send(b []byte) error
	// Receive waits for the next message, which is valid until the next call. Called by one
	// goroutine.
	Receive() ([]byte, error)
	// Close ends the connection, and the calls that wait. It may be called more than once and at
	// any time.
	Close() error
}

// Store is an optional ability of a lease store: after a restart the server knows how long it was
// away, how long its partners were, and whether the wall clock has lost the time. Without it, a
// server with partners waits after each start until it has its partner's leases, or until the last
// of them must be over.
type Store interface {
	// LoadPartners returns what was saved last, or fs.ErrNotExist.
	LoadPartners(ctx context.Context) ([]byte, error)
	// SavePartners replaces the saved data, whole or not at all, and returns once it would survive
	// a power failure. It is called every few seconds, or without partners every minute, never
	// concurrently.
	SavePartners(ctx context.Context, data []byte) error
}
