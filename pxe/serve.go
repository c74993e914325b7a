package pxe

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gomaas/maas/internal/bounds"
)

// idleTimeout bounds the silence of a connection between requests.
const idleTimeout = 2 * time.Minute

// maxHeader bounds the header of a request, in bytes. Firmware sends a few hundred. With the 1 MiB
// of net/http, connections that send headers without an end would hold gigabytes.
const maxHeader = 16 << 10

// Serve answers HTTP requests on l until ctx ends, then gives those in service two seconds and
// returns nil. It closes l. Use Handler to be part of another HTTP server instead.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ConnContext: s.prepare,
		ConnState:   func(c net.Conn, state http.ConnState) { bounds.Busy(c, state == http.StateActive) },
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	limited := bounds.Listen(l, bounds.Limits{Total: s.cfg.MaxConns, PerSource: s.cfg.MaxConnsPerClient, Log: s.log})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(limited) }()
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

// prepare sets the options of an accepted connection.
func (s *Server) prepare(ctx context.Context, conn net.Conn) context.Context {
	_ = giveUp(conn, idleTimeout) // without it, deadlines end the connection later
	if rate := s.cfg.HTTPRate; rate > 0 {
		if err := pace(conn, rate); err != nil {
			s.log.Warn("connection not paced", "client", conn.RemoteAddr(), "err", err)
		}
	}
	return ctx
}
