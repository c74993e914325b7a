package radv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Conn carries ICMPv6 messages between a [Server] and its links. ListenAdvertise of package
// dhcplink opens one on Linux; a test gives any type with these methods. ReadICMP and WriteICMP are
// each called by one goroutine. Close ends a blocked ReadICMP with an error that satisfies
// errors.Is(err, net.ErrClosed).
type Conn interface {
	// ReadICMP waits for a message with hop limit 255, which proves that it was sent on the link
	// itself.
	ReadICMP(b []byte) (n int, link string, src netip.Addr, err error)
	// WriteICMP sends a message with hop limit 255 from the link-local address of link. The
	// checksum is zero for the system to fill in.
	WriteICMP(b []byte, link string, dst netip.Addr) error
	Close() error
}

// Config sets up a [Server]. The zero value works.
type Config struct {
	Log *slog.Logger // Warn for what an operator should check; nil = discarded
}

// Server advertises on the links of one or several connections. Its methods are safe for concurrent
// use. Make one with [New].
type Server struct {
	log   *slog.Logger
	stats counters

	mu      sync.Mutex
	current map[string]*Advertisement // by link
	changed chan struct{}             // closed when current is replaced
}

// Stats holds the counters of a server since it was made.
type Stats struct {
	Sent        uint64 // advertisements
	Dropped     uint64 // solicitations that arrived faster than they are answered
	ReadErrors  uint64
	WriteErrors uint64
}

type counters struct{ sent, dropped, readErrors, writeErrors atomic.Uint64 }

// New returns a server without advertisements. It starts and opens nothing.
func New(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{log: cfg.Log, changed: make(chan struct{})}, nil
}

// Update replaces the advertisements. New and changed ones are sent at once, removed ones are
// withdrawn. When one is refused, all stay as they were.
func (s *Server) Update(ads []Advertisement) error {
	links, err := byLink(ads)
	if err != nil {
		return fmt.Errorf("radv: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.current, s.changed = links, make(chan struct{})
	return nil
}

func (s *Server) advertisements() (current map[string]*Advertisement, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, s.changed
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	c := &s.stats
	return Stats{Sent: c.sent.Load(), Dropped: c.dropped.Load(), ReadErrors: c.readErrors.Load(), WriteErrors: c.writeErrors.Load()}
}

// Serve advertises on each link of conn, unsolicited and when solicited, until ctx ends. Then it
// withdraws the default routes, closes conn and returns nil.
func (s *Server) Serve(ctx context.Context, conn Conn) error {
	heard, failed := make(chan message, 64), make(chan error, 1)
	go func() { failed <- s.read(ctx, conn, heard) }()
	a := &advertiser{s: s, conn: conn, links: make(map[string]*advertisedLink)}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		current, changed := s.advertisements()
		a.follow(current, time.Now())
		timer.Reset(a.step(time.Now()))
		select {
		case <-ctx.Done():
			a.withdraw()
			conn.Close()
			<-failed
			return nil
		case err := <-failed:
			conn.Close()
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("radv: read router solicitations: %w", err)
		case m := <-heard:
			if m.advertises {
				a.routerHeard(m, time.Now())
			} else {
				a.solicited(m, time.Now())
			}
		case <-changed:
		case <-timer.C:
		}
	}
}

// Router solicitations and advertisements (RFC 4861 sections 4.1 and 4.2).
const (
	icmpSolicit     = 133
	icmpAdvertise   = 134
	solicitHeader   = 8
	advertiseHeader = 16
)

// message is a router solicitation, or an advertisement of another router.
type message struct {
	link       string
	src        netip.Addr
	advertises bool
	lifetime   time.Duration // of an advertisement; 0 = the sender is no default router
}

// read passes valid messages on. It looks at the header only: a solicitation whose options a strict
// decoder refuses still deserves an answer.
func (s *Server) read(ctx context.Context, conn Conn, heard chan<- message) error {
	buf := make([]byte, 1500)
	for {
		n, link, src, err := conn.ReadICMP(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
				return err
			}
			s.stats.readErrors.Add(1)
			select { // an interface that is down must not keep a processor busy
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		m := message{link: link, src: src}
		switch {
		case n >= solicitHeader && buf[0] == icmpSolicit && buf[1] == 0:
		case n >= advertiseHeader && buf[0] == icmpAdvertise && buf[1] == 0 && src.IsLinkLocalUnicast():
			m.advertises, m.lifetime = true, time.Duration(binary.BigEndian.Uint16(buf[6:]))*time.Second
		default:
			continue
		}
		select {
		case heard <- m:
		default:
			s.stats.dropped.Add(1)
		}
	}
}
