package rack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/supervise"
)

// task is one long-running part of Serve.
type task struct {
	supervise.Task
	after string // topic whose first state the task waits for; if empty, it starts at once
}

// newTask returns a task that starts at once, and can be run again.
func newTask(name string, run func(context.Context) error) task {
	return task{Task: supervise.Task{Name: name, Run: run}}
}

// onSocket returns the task of a server that serves on one socket. After a failure it opens the
// socket again.
func onSocket[C io.Closer](name, after string, conn C, serve func(context.Context, C) error, open func(context.Context) (C, error)) task {
	return task{supervise.OnSocket(name, conn, serve, open), after}
}

// supervise runs a task until ctx ends, and starts it again whenever it fails.
func (r *Rack) supervise(ctx context.Context, t task) {
	r.health.Keep(ctx, t.Task, func(err error, pause time.Duration) {
		r.log.Error("server failed, starting it again", "task", t.Name, "retry_in", pause, "err", err)
	})
}

// reopenPacket opens a UDP socket at the address of one that failed.
func reopenPacket(was net.PacketConn) func(context.Context) (net.PacketConn, error) {
	return func(ctx context.Context) (net.PacketConn, error) {
		at, ok := was.LocalAddr().(*net.UDPAddr)
		if !ok {
			return nil, fmt.Errorf("the socket at %v cannot be opened again", was.LocalAddr())
		}
		return listenPacket(ctx, at.AddrPort(), "server")
	}
}

// reopenStream opens a TCP socket at the address of one that failed.
func reopenStream(was net.Listener) func(context.Context) (net.Listener, error) {
	return func(ctx context.Context) (net.Listener, error) {
		at, ok := was.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("the socket at %v cannot be opened again", was.Addr())
		}
		return listenStream(ctx, at.AddrPort(), "server")
	}
}

// again returns open, or an error without the interfaces that it opens.
func again[C any](interfaces []string, open func([]string) (C, error)) func(context.Context) (C, error) {
	return func(context.Context) (c C, err error) {
		if len(interfaces) == 0 {
			return c, errors.New("the socket cannot be opened again: the rack was given none of its interfaces")
		}
		return open(interfaces)
	}
}

// listenPacket opens a UDP socket for a server.
func listenPacket(ctx context.Context, at netip.AddrPort, what string) (net.PacketConn, error) {
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", at.String())
	if err != nil {
		return nil, ExplainPort(err, what, "udp", at.String())
	}
	return conn, nil
}

// listenStream opens a TCP socket for a server.
func listenStream(ctx context.Context, at netip.AddrPort, what string) (net.Listener, error) {
	ln, err := (&net.ListenConfig{Control: awayToo}).Listen(ctx, "tcp", at.String())
	if err != nil {
		return nil, ExplainPort(err, what, "tcp", at.String())
	}
	return ln, nil
}
