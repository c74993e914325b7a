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
)

// Server serves files by TFTP. Its methods may be used from many goroutines.
type Server struct {
	cfg   Config
	log   *slog.Logger
	large chan struct{} // one token for each large file on its way

	// mu guards the following.
	mu     sync.Mutex
	total  int
	client map[netip.Addr]int // transfers of each
}

// New checks cfg and makes a server; it opens and starts nothing.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	// A quarter of the places is left to small files, see Config.MaxPerClient.
	large := make(chan struct{}, max(cfg.MaxTransfers-cfg.MaxTransfers/4, 1))
	return &Server{cfg: cfg, log: cfg.Log, large: large, client: make(map[netip.Addr]int)}, nil
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

	// mu guards active.
	mu     sync.Mutex
	active map[tid]*transfer
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
	if t != nil {
		if t.request == string(p) && !t.moving.Load() {
			return // the request was repeated before our answer arrived
		}
		// The client began another transfer from the same port: some ROMs have only one.
		t.cancel(errReplaced)
	}
	r, wireErr := parseRequest(p)
	if wireErr != nil {
		l.reject(from, wireErr)
		return
	}
	r.Client, r.Local = from.client, from.local
	l.start(ctx, r, string(p), from)
}

var errReplaced = errors.New("tftp: client started another transfer from the same port")

// start takes a place among the transfers and runs one.
func (l *listener) start(ctx context.Context, r *Request, packet string, from peer) {
	s := l.server
	if !s.enter(r.Client.Addr()) {
		s.log.Warn("tftp request dropped: too many transfers", "client", r.Client, "file", clean(r.Name))
		s.cfg.Events(Transfer{Name: r.Name, Mode: r.Mode, Client: r.Client, Local: r.Local, Asked: r.Options,
			Start: time.Now(), Size: -1, Err: ErrBusy})
		return
	}
	ctx, cancel := context.WithCancelCause(ctx)
	t := &transfer{request: packet, cancel: cancel, events: s.cfg.Events}
	// Without a socket of its own the transfer gets its packets from handle, which knows them by
	// the client's address.
	if s.cfg.SinglePort || l.port.udp == nil {
		t.shared = l.sharedWire(from)
	}
	l.mu.Lock()
	l.active[from.tid] = t
	l.mu.Unlock()
	l.wg.Go(func() {
		defer cancel(nil)
		defer s.leave(r.Client.Addr())
		stats := t.run(ctx, s, r)
		l.mu.Lock()
		// A client that began again from the same port has another transfer there by now.
		if l.active[from.tid] == t {
			delete(l.active, from.tid)
		}
		l.mu.Unlock()
		s.log.Debug("tftp transfer", "client", stats.Client, "file", clean(stats.Name), "bytes", stats.Bytes, "took", stats.Duration,
			"options", stats.Granted, "count", stats.Retransmits, "err", stats.Err)
		t.events(stats)
	})
}

func (s *Server) enter(client netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total >= s.cfg.MaxTransfers || s.client[client] >= s.cfg.MaxPerClient {
		return false
	}
	s.total++
	s.client[client]++
	return true
}

func (s *Server) leave(client netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total--
	if s.client[client]--; s.client[client] == 0 {
		delete(s.client, client)
	}
}

// smallFile is the size up to which a file need not wait for larger ones.
const smallFile = 1 << 20

// place takes a place among the large files, unless the file is small; it is left by calling leave.
// ErrBusy says that there is none.
func (s *Server) place(size int64) (leave func(), err error) {
	if size >= 0 && size <= smallFile {
		return func() {}, nil
	}
	select {
	case s.large <- struct{}{}:
		return func() { <-s.large }, nil
	default:
		return nil, ErrBusy
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
