package rack

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomaas/maas/proxy"
)

// openCache opens the proxy's cache. Machines are served without one, too, so a disk that refuses it is no reason to stop.
func (r *Rack) openCache() {
	log := r.log.With("component", "proxy")
	cache, err := proxy.OpenCache(proxy.CacheConfig{Dir: filepath.Join(r.cfg.Dir, "cache"), Log: log})
	if err != nil {
		log.Error("the proxy keeps nothing", "err", err)
		return
	}
	r.cache = cache
}

// Proxy is the rack's proxy.
func (r *Rack) Proxy() *proxy.Proxy { return r.proxy }

// proxyServer serves the proxy on the port that the region says, and moves when that changes. What is in progress on the old
// port goes on.
type proxyServer struct {
	log     *slog.Logger
	handler http.Handler
	listen  func(ctx context.Context, port int) ([]net.Listener, error) // nil: it stays where it is
	moves   chan int                                                    // the port to be on, the latest only

	opened  atomic.Bool
	port    int // where it is, 0 = nowhere
	serving []*http.Server
	running sync.WaitGroup
}

func newProxyServer(handler http.Handler, listen func(context.Context, int) ([]net.Listener, error), log *slog.Logger) *proxyServer {
	return &proxyServer{log: log, handler: handler, listen: listen, moves: make(chan int, 1)}
}

// open reports whether it serves anywhere.
func (s *proxyServer) open() bool { return s.opened.Load() }

// move says which port to be on, 0 for none. It is called by one goroutine at a time.
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

// listenAgain is how long after a port could not be had it is tried again.
const listenAgain = 5 * time.Second

// run serves until ctx ends, at first on these listeners, if any.
func (s *proxyServer) run(ctx context.Context, first []net.Listener) error {
	if len(first) > 0 {
		if tcp, ok := first[0].Addr().(*net.TCPAddr); ok {
			s.port = tcp.Port
		}
		s.serve(ctx, first)
	}
	var again <-chan time.Time
	wanted := s.port
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

// follow goes to a port. Where that cannot be had it stays, says so, and reports false.
func (s *proxyServer) follow(ctx context.Context, port int) bool {
	if port == s.port {
		return true
	}
	var listeners []net.Listener
	if port != 0 {
		var err error
		if listeners, err = s.listen(ctx, port); err != nil {
			s.log.Error("the proxy cannot move and is tried again", "port", port, "stays", s.port, "err", err)
			return false
		}
	}
	s.log.Info("the proxy moves", "from", s.port, "to", port)
	s.leave(ctx)
	s.port = port
	s.serve(ctx, listeners)
	return true
}

const (
	// headerTime is how long a client may take for a request's header.
	headerTime = 10 * time.Second
	// idleTime is how long a connection may be silent between requests.
	idleTime = 2 * time.Minute
	// maxHeader bounds a request's header, in bytes.
	maxHeader = 64 << 10
)

func (s *proxyServer) serve(ctx context.Context, listeners []net.Listener) {
	s.opened.Store(len(listeners) > 0)
	for _, ln := range listeners {
		srv := &http.Server{
			Handler: s.handler, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
			BaseContext: func(net.Listener) context.Context { return ctx },
		}
		s.serving = append(s.serving, srv)
		s.running.Go(func() {
			if err := srv.Serve(proxy.LimitClients(ln, 0)); err != nil && err != http.ErrServerClosed {
				s.log.Error("the proxy's listener failed", "address", ln.Addr(), "err", err)
			}
		})
	}
}

// leave takes no more connections. Those there are end by themselves, or shortly after ctx.
func (s *proxyServer) leave(ctx context.Context) {
	s.opened.Store(false)
	for _, srv := range s.serving {
		s.running.Go(func() {
			end, cancel := context.WithCancel(context.WithoutCancel(ctx))
			defer cancel()
			defer context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, cancel) })()
			if srv.Shutdown(end) != nil {
				srv.Close()
			}
		})
	}
	s.serving = nil
}
