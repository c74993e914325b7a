package pxe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// Serve answers HTTP requests on l until ctx ends, then gives those in service
// two seconds and returns nil. It closes l. Use Handler to be part of another
// HTTP server instead.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	rest := newHandover(l.Addr())
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idleTimeout}
	ls := lanes{server: s, rest: rest, open: make(map[net.Conn]bool)}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(rest) }) // ends with rest
	lanesCtx, stopLanes := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	err := ls.accept(lanesCtx, l, &wg)

	stopLanes()
	ls.interrupt()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if ctx.Err() == nil || srv.Shutdown(grace) != nil {
		srv.Close()
	}
	rest.Close()
	late := context.AfterFunc(grace, ls.cut)
	if ctx.Err() == nil {
		ls.cut()
	}
	wg.Wait()
	late()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("pxe: http on %s: %w", l.Addr(), err)
}

// lanes are the connections of one Serve that net/http does not have.
type lanes struct {
	server *Server
	rest   *handover

	mu   sync.Mutex
	open map[net.Conn]bool
}

// accept takes connections until the listener fails.
func (ls *lanes) accept(ctx context.Context, l net.Listener, wg *sync.WaitGroup) error {
	for pause := time.Duration(0); ; {
		conn, err := l.Accept()
		var temporary interface{ Temporary() bool }
		switch {
		case err == nil:
			pause = 0
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &temporary) && temporary.Temporary(): // such as too many open files
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			ls.server.log.Warn("cannot accept a connection", "err", err, "again in", pause)
			time.Sleep(pause)
			continue
		default:
			return err
		}
		_ = giveUp(conn, idleTimeout) // without it, deadlines do the same later
		if rate := ls.server.cfg.HTTPRate; rate > 0 {
			if err := pace(conn, rate); err != nil {
				ls.server.log.Warn("cannot pace a connection", "addr", conn.RemoteAddr(), "err", err)
			}
		}
		ls.mu.Lock()
		ls.open[conn] = true
		ls.mu.Unlock()
		wg.Go(func() { ls.serve(ctx, conn) })
	}
}

// serve runs a connection's lane. A resolver that panics costs its client the connection, as in net/http.
func (ls *lanes) serve(ctx context.Context, conn net.Conn) {
	lane, handOver := ls.server.newLane(conn), false
	defer func() {
		if broken := recover(); broken != nil {
			ls.server.log.Error("a request panicked", "addr", conn.RemoteAddr(), "panic", broken, "stack", string(debug.Stack()))
			handOver = false
		}
		ls.mu.Lock()
		delete(ls.open, conn)
		ls.mu.Unlock()
		if handOver {
			_ = conn.SetWriteDeadline(time.Time{}) // that of the last answer
		}
		if !handOver || !ls.rest.push(&readAgain{Conn: conn, first: lane.buf}) {
			conn.Close()
		}
	}()
	handOver = lane.run(ctx)
}

// interrupt ends what waits for a request.
func (ls *lanes) interrupt() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for conn := range ls.open {
		_ = conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// cut ends everything.
func (ls *lanes) cut() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for conn := range ls.open {
		conn.Close()
	}
}

// handover is a listener of connections that others have accepted.
type handover struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandover(addr net.Addr) *handover {
	return &handover{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// push waits until the connection is taken; it reports false when nobody will.
func (h *handover) push(conn net.Conn) bool {
	select {
	case h.conns <- conn:
		return true
	case <-h.closed:
		return false
	}
}

// Accept returns the next connection.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and push fail.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr returns where the connections came in.
func (h *handover) Addr() net.Addr { return h.addr }
