// Package httpserve runs an HTTP server for as long as a context lives.
package httpserve

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/gomaas/maas/internal/bounds"
)

// grace bounds the requests in progress when the daemon ends.
const grace = 2 * time.Second

// maxHeader bounds the header of a request, in bytes.
const maxHeader = 64 << 10

// limits bound the connections of a listener. A reverse proxy has all of its connections from one
// address.
var limits = bounds.Limits{Total: 2048, PerSource: 256}

// Serve serves until ctx ends, then lets the requests in progress end for a moment and returns nil.
// The contexts of requests end with ctx. It closes ln.
//
// An address may have 256 connections, an IPv6 /64 1,024, and all clients 2,048: then the one that
// is idle longest is closed. A connection whose client proved its identity, as the handler reports
// with [bounds.AdmitRequest], no longer counts among these, and 4,096 more of such are served.
func Serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	return serve(ctx, bounds.Listen(ln, limits), h)
}

// serve serves on a listener with limits.
func serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: bounds.WithConn,
		ConnState:   func(c net.Conn, state http.ConnState) { bounds.Busy(c, state == http.StateActive) },
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		graceCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if srv.Shutdown(graceCtx) != nil {
			srv.Close()
		}
	})
	err := srv.Serve(ln)
	if !stop() {
		<-done
		return nil
	}
	return err
}
