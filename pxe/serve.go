package pxe

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// idleTimeout bounds the silence of a connection between requests.
const idleTimeout = 2 * time.Minute

// Serve answers HTTP requests on l until ctx ends, then gives those in service two seconds and
// returns nil. It closes l. Use Handler to be part of another HTTP server instead.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(pacedListener{l, s}) }()
	select {
	case err := <-served:
		srv.Close()
		return fmt.Errorf("pxe: http on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	<-served
	return nil
}

// pacedListener sets the options of accepted connections.
type pacedListener struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (l pacedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	_ = giveUp(conn, idleTimeout) // without it, deadlines end the connection later
	if rate := l.server.cfg.HTTPRate; rate > 0 {
		if err := pace(conn, rate); err != nil {
			l.server.log.Warn("connection not paced", "client", conn.RemoteAddr(), "err", err)
		}
	}
	return conn, nil
}
