package rack

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/proxy"
)

// openCache opens the proxy's cache. The proxy works without a cache, so a disk that fails does not
// stop the rack.
func (r *Rack) openCache() {
	log := r.log.With("component", "proxy")
	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: filepath.Join(r.cfg.Dir, "cache"), Log: log})
	if err != nil {
		log.Error("proxy cache disabled", "err", err)
		return
	}
	r.cache = cache
}

// Proxy returns the rack's proxy.
func (r *Rack) Proxy() *proxy.Proxy { return r.proxy }

// proxyServer serves the proxy on the port that the region configured, and moves when that port
// changes. Requests in progress on the old port continue.
type proxyServer struct {
	log     *slog.Logger
	handler http.Handler
	listen  func(ctx context.Context, port int) ([]net.Listener, error) // if nil, the proxy never moves
	moves   chan int                                                    // holds the latest configured port only

	opened  atomic.Bool
	serving []*http.Server
	running sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	port  int        // the port in use; 0 before the first
	moved chan struct{}
}

func newProxyServer(handler http.Handler, listen func(context.Context, int) ([]net.Listener, error), log *slog.Logger) *proxyServer {
	return &proxyServer{log: log, handler: handler, listen: listen, moves: make(chan int, 1), moved: make(chan struct{})}
}

// open reports whether the proxy has a listener.
func (s *proxyServer) open() bool { return s.opened.Load() }

// move sets the port to serve on, 0 for none. One goroutine at a time calls it.
func (s *proxyServer) move(port int) {
	if s.listen == nil {
		return
	}
	select {
	case <-s.moves:
	default:
	}
	s.moves <- port
}

// listenAgain is the pause before the next attempt to open a port that was in use.
const listenAgain = 5 * time.Second

// run serves until ctx ends, at first on the given listeners, if any.
func (s *proxyServer) run(ctx context.Context, first []net.Listener) error {
	if len(first) > 0 {
		if tcp, ok := first[0].Addr().(*net.TCPAddr); ok {
			s.setPort(tcp.Port)
		}
		s.serve(ctx, first)
	}
	var again <-chan time.Time
	wanted, _ := s.where()
	for {
		select {
		case <-ctx.Done():
			s.leave(ctx)
			s.running.Wait()
			return nil
		case wanted = <-s.moves:
		case <-again:
		}
		if again = nil; !s.follow(ctx, wanted) {
			again = time.After(listenAgain)
		}
	}
}

// follow moves to a port. If the port cannot be opened, follow logs the reason, stays on the old
// port and returns false.
func (s *proxyServer) follow(ctx context.Context, port int) bool {
	from, _ := s.where()
	if port == from {
		return true
	}
	var listeners []net.Listener
	if port != 0 {
		var err error
		if listeners, err = s.listen(ctx, port); err != nil {
			s.log.Error("proxy port not changed, trying again", "to", port, "from", from, "err", err)
			return false
		}
	}
	s.log.Info("proxy port changed", "from", from, "to", port)
	s.leave(ctx)
	s.setPort(port)
	s.serve(ctx, listeners)
	return true
}

// where returns the port in use and a channel that is closed when the port changes.
func (s *proxyServer) where() (port int, moved <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port, s.moved
}

// setPort records the port in use and wakes everything that follows it.
func (s *proxyServer) setPort(port int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.port = port
	close(s.moved)
	s.moved = make(chan struct{})
}

// at serves one more address, on the port in use, until ctx ends.
func (s *proxyServer) at(ctx context.Context, a netip.Addr) error {
	var ending sync.WaitGroup // requests in progress on previous ports
	defer ending.Wait()
	for ctx.Err() == nil {
		port, moved := s.where()
		if err := s.atPort(ctx, netip.AddrPortFrom(a, uint16(port)), moved, &ending); err != nil {
			return err
		}
	}
	return nil
}

// atPort serves one address until ctx ends or the proxy moves to another port. Requests in progress
// may continue after that.
func (s *proxyServer) atPort(ctx context.Context, at netip.AddrPort, moved <-chan struct{}, ending *sync.WaitGroup) error {
	failed := make(chan error, 1)
	if at.Port() != 0 {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at.String())
		if err != nil {
			return ExplainPort(err, "proxy", "tcp", at.String())
		}
		srv := s.server(ctx)
		ending.Go(func() { failed <- srv.Serve(proxy.LimitClients(ln, 0)) })
		defer ending.Go(func() { s.shutDown(ctx, srv) })
		defer ln.Close()
	}
	select {
	case <-ctx.Done():
	case <-moved:
	case err := <-failed:
		return err
	}
	return nil
}

const (
	// headerTime bounds the time in which a client sends the header of a request. Without it, a
	// client that sends one byte a minute holds a connection for ever.
	headerTime = 10 * time.Second
	// idleTime bounds the silence of a connection between requests.
	idleTime = 2 * time.Minute
	// maxHeader bounds the header of a request, in bytes.
	maxHeader = 64 << 10
)

// serve serves the proxy on listeners until ctx ends.
func (s *proxyServer) serve(ctx context.Context, listeners []net.Listener) {
	s.opened.Store(len(listeners) > 0)
	for _, ln := range listeners {
		srv := s.server(ctx)
		s.serving = append(s.serving, srv)
		s.running.Go(func() {
			if err := srv.Serve(proxy.LimitClients(ln, 0)); err != nil && err != http.ErrServerClosed {
				s.log.Error("proxy listener failed", "address", ln.Addr().String(), "err", err)
			}
		})
	}
}

// server returns an HTTP server with the bounds of the proxy.
func (s *proxyServer) server(ctx context.Context) *http.Server {
	return &http.Server{
		Handler: s.handler, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState:   func(c net.Conn, state http.ConnState) { bounds.Busy(c, state == http.StateActive) },
	}
}

// leave accepts no more connections. Open connections end by themselves, or shortly after ctx.
func (s *proxyServer) leave(ctx context.Context) {
	s.opened.Store(false)
	for _, srv := range s.serving {
		s.running.Go(func() { s.shutDown(ctx, srv) })
	}
	s.serving = nil
}

// shutDown waits a bounded time for requests in progress.
func (s *proxyServer) shutDown(ctx context.Context, srv *http.Server) {
	end, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, cancel) })()
	if srv.Shutdown(end) != nil {
		srv.Close()
	}
}
