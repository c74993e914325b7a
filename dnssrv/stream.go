package dnssrv

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gomaas/maas/internal/bounds"
)

// The limits of TCP.
const (
	maxStreams   = 256              // connections of one listener, see Config.MaxStreams
	maxPerClient = 32               // of one client, see Config.MaxStreamsPerClient
	maxPipelined = 16               // questions of one connection that are being answered
	idleStream   = 10 * time.Second // after which a silent connection is closed
)

// ServeStream answers on TCP (or TLS) connections of ln until ctx ends, then closes ln and the
// connections, waits and returns nil. Errors of Accept other than that ln is closed pass, as for
// lack of file descriptors. Questions of one connection are answered as their answers come, in any
// order (RFC 7766 section 6.2.1.1).
func (s *Server) ServeStream(ctx context.Context, ln net.Listener) error {
	ln = bounds.Listen(ln, bounds.Limits{Total: s.maxStreams, PerSource: s.maxPerClient, Log: s.log})
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	defer ln.Close()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		open.Go(func() { s.stream(ctx, conn) })
	}
}

// stream answers one connection. Reading and writing each end after the idle time, so that a client
// that does not read its answers costs no more than one that sends no questions.
func (s *Server) stream(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	client := addrOf(conn.RemoteAddr())
	w := &streamWriter{conn: conn}
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, maxPipelined)
	for {
		in := readFramed(conn)
		if in == nil {
			return
		}
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			// A message that deserves no answer ends the connection: its sender is no client.
			if !w.write(s.handleMessage(ctx, in, client, false)) {
				conn.Close()
			}
		})
	}
}

// readFramed reads one message, nil when there is none in time.
func readFramed(conn net.Conn) []byte {
	_ = conn.SetReadDeadline(time.Now().Add(idleStream))
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil
	}
	in := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, in); err != nil {
		return nil
	}
	return in
}

// streamWriter keeps the messages of different answers apart.
type streamWriter struct {
	mu   sync.Mutex // guards the fields below
	conn net.Conn
}

// write sends the messages of one answer one after the other. It returns false if the connection is
// broken.
func (w *streamWriter) write(messages [][]byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, out := range messages {
		_ = w.conn.SetWriteDeadline(time.Now().Add(idleStream))
		if _, err := w.conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return false
		}
	}
	return len(messages) > 0
}
