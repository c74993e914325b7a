package tftp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gomaas/maas/internal/bounds"
)

// Server serves files by TFTP. Its methods may be used from many goroutines.
type Server struct {
	cfg       Config
	log       *slog.Logger
	dropped   *bounds.Log
	places    *places
	strangers *strangers
}

// dropLines is the rate of log lines about requests that were dropped.
var dropLines = bounds.Rate{Burst: 10, Every: 5 * time.Second}

// New checks cfg and makes a server; it opens and starts nothing.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{
		cfg: cfg, log: cfg.Log, dropped: bounds.NewLog(cfg.Log, dropLines), places: newPlaces(cfg), strangers: newStrangers(cfg.Known),
	}, nil
}

// Serve answers the requests that arrive on conn until ctx ends, then cuts off its transfers, waits
// for them and returns nil; else it returns why conn failed. It closes conn. Several conns may be
// served at a time.
func (s *Server) Serve(ctx context.Context, conn net.PacketConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()

	l := &listener{server: s, port: newPort(conn), active: make(map[tid]*transfer)}
	defer l.wg.Wait()
	defer l.end()
	defer cancel()
	b := make([]byte, maxRequest)
	for failed := 0; ; {
		n, from, addr, local, err := l.port.receive(b)
		switch {
		case ctx.Err() != nil:
			return nil
		// A closed conn never recovers; other errors may, such as a lack of buffers.
		case errors.Is(err, net.ErrClosed), err != nil && failed >= maxReceiveErrors:
			return fmt.Errorf("tftp: receive on %s: %w", conn.LocalAddr(), err)
		case err != nil:
			// Such as an ICMP error for an answer sent earlier.
			failed++
			time.Sleep(time.Millisecond)
			continue
		}
		failed = 0
		l.handle(ctx, b[:n], peer{tid{from, local}, addr})
	}
}

const maxReceiveErrors = 100 // in a row, before a conn is taken for broken

// tid identifies a transfer: the client's end and the address it wrote to.
type tid struct {
	client netip.AddrPort
	local  netip.Addr
}

type peer struct {
	tid
	addr net.Addr // for answers over a conn that is no UDP socket
}

// listener is the state of one Serve.
type listener struct {
	server *Server
	port   *port
	wg     sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	active map[tid]*transfer
	ended  bool
}

// end keeps transfers that wait for a place from starting.
func (l *listener) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// handle sorts a packet: to the transfer it belongs to, or to a new one.
func (l *listener) handle(ctx context.Context, p []byte, from peer) {
	l.mu.Lock()
	t := l.active[from.tid]
	l.mu.Unlock()
	switch opcode(p) {
	case opACK, opERROR, opDATA, opOACK:
		if t != nil && t.shared != nil {
			t.shared.deliver(p)
		}
		return
	}
	s := l.server
	if !s.cfg.Accept(from.client.Addr()) {
		s.dropped.Warn("tftp request dropped: unknown source", "client", from.client)
		return
	}
	if t != nil {
		if t.request == string(p) && !t.moving.Load() && !t.mute.Load() {
			return // the request was repeated before our answer arrived
		}
		// The client began another transfer from the same port: some ROMs have only one.
		t.cancel(errReplaced)
	}
	r, wireErr := parseRequest(p)
	if _, takes := s.cfg.Handler.(Creator); wireErr == nil && r.Write && !takes {
		wireErr = errReadOnly
	}
	if wireErr != nil {
		l.reject(from, wireErr)
		return
	}
	r.Client, r.Local = from.client, from.local
	l.start(ctx, r, string(p), from, !s.strangers.knows(from.client.Addr()))
}

var errReplaced = errors.New("tftp: client started another transfer from the same port")

// start takes a place among the transfers and runs one, or has it wait.
func (l *listener) start(ctx context.Context, r *Request, packet string, from peer, stranger bool) {
	s := l.server
	ctx, cancel := context.WithCancelCause(ctx)
	t := &transfer{request: packet, cancel: cancel, events: s.cfg.Events, client: r.Client.Addr(), stranger: stranger}
	asked := time.Now()
	t.start = func() { l.run(ctx, t, r, from, asked) }
	// Without a socket of its own the transfer gets its packets from handle, which knows them by
	// the client's address.
	if s.cfg.SinglePort || l.port.udp == nil {
		t.shared = l.sharedWire(from)
	}
	l.mu.Lock()
	l.active[from.tid] = t
	l.mu.Unlock()
	e, victim := s.places.enter(t)
	if victim != nil {
		victim.cancel(ErrBusy)
	}
	switch e {
	case entered:
		t.start()
	case refused:
		cancel(ErrBusy)
		l.forget(from.tid, t)
		s.dropped.Warn("tftp request dropped: too many transfers", "client", r.Client, "file", clean(r.Name))
		s.cfg.Events(Transfer{Name: r.Name, Mode: r.Mode, Client: r.Client, Local: r.Local, Asked: r.Options,
			Start: time.Now(), Size: -1, Err: ErrBusy})
	}
}

// run runs a transfer that has a place, and then starts those that waited for it.
func (l *listener) run(ctx context.Context, t *transfer, r *Request, from peer, asked time.Time) {
	s := l.server
	after := func() {
		t.cancel(nil)
		l.forget(from.tid, t)
		for _, next := range s.places.leave(t) {
			next.start()
		}
	}
	running := func() {
		defer after()
		stats := t.run(ctx, s, r)
		if errors.Is(stats.Err, errAgain) {
			return // the request counts when it is repeated
		}
		s.log.Debug("tftp transfer", "client", stats.Client, "file", clean(stats.Name), "bytes", stats.Bytes, "took", stats.Duration,
			"options", stats.Granted, "count", stats.Retransmits, "err", stats.Err)
		t.events(stats)
	}
	if time.Since(asked) > patience || ctx.Err() != nil || !l.goUnlessEnded(running) {
		after()
	}
}

// goUnlessEnded runs f, for which Serve waits, unless Serve is about to return.
func (l *listener) goUnlessEnded(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.wg.Go(f)
	}
	return !l.ended
}

// patience is the time after which a client whose request waits for a place has given up.
const patience = 10 * time.Second

// forget removes a transfer from those that packets belong to.
func (l *listener) forget(id tid, t *transfer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// A client that began again from the same port has another transfer there by now.
	if l.active[id] == t {
		delete(l.active, id)
	}
}

// reject answers a request that starts no transfer.
func (l *listener) reject(from peer, e *Error) {
	l.server.log.Debug("tftp request rejected", "client", from.client, "err", e)
	_ = l.sharedWire(from).write(appendError(nil, e))
}

// sharedWire makes a wire on the port of the request itself.
func (l *listener) sharedWire(from peer) *sharedWire {
	if l.port.udp == nil {
		return newSharedWire(l.port.conn, from.addr)
	}
	return l.port.udpShared(from.tid)
}
