package dhcpsrv

import (
	"context"
	"errors"
	"iter"
	"net/netip"
)

// Server serves DHCPv4 from a [Snapshot]. Its methods are safe for concurrent use.
type Server struct{ cfg Config }

// New loads the leases from cfg.Store and returns a server with an empty snapshot. It starts and opens nothing.
func New(cfg Config) (*Server, error) { return &Server{cfg: cfg}, nil }

// Update checks snap as a whole and, when it is sound, serves from it at once; exchanges under way finish. An unsound one
// is refused with an error that names the object, and the former snapshot stays.
func (s *Server) Update(snap Snapshot) error { return errors.ErrUnsupported }

// Serve answers packets from conn until ctx ends, then closes conn, finishes what it has read and returns nil.
func (s *Server) Serve(ctx context.Context, conn Conn) error { return errors.ErrUnsupported }

// Handle answers one packet without a socket: it decides, makes the lease durable and returns the reply.
func (s *Server) Handle(ctx context.Context, p Packet) (Reply, bool) { return Reply{}, false }

// Leases returns all leases, remembered and quarantined ones included, in no particular order.
func (s *Server) Leases() iter.Seq[Lease] { return func(func(Lease) bool) {} }

// Lookup returns the lease that is bound to addr now.
func (s *Server) Lookup(addr netip.Addr) (Lease, bool) { return Lease{}, false }
