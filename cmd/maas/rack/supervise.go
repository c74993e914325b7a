package rack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// task is one long-running part of Serve.
type task struct {
	name  string
	run   func(context.Context) error
	after string // topic whose first state the task waits for; if empty, it starts at once
	// open prepares another run after a failure, such as by a new socket. If nil, run can be called
	// again.
	open func(context.Context) error
}

// onSocket returns the task of a server that serves on one socket. After a failure it opens the
// socket again.
func onSocket[C io.Closer](name, after string, conn C, serve func(context.Context, C) error, open func(context.Context) (C, error)) task {
	return task{
		name: name, after: after,
		run: func(ctx context.Context) error { return serve(ctx, conn) },
		open: func(ctx context.Context) (err error) {
			_ = conn.Close() // of the run that failed; most servers have closed it
			next, err := open(ctx)
			if err == nil {
				conn = next
			}
			return err
		},
	}
}

// supervise runs a task until ctx ends. A task that fails is started again after a pause, and its
// failure shows in the rack's health meanwhile: a fault of one server must not take the others
// along.
func (r *Rack) supervise(ctx context.Context, t task) {
	first := true
	insist(ctx, func(ctx context.Context) error {
		if !first && t.open != nil {
			if err := t.open(ctx); err != nil {
				r.health.fail(t.name, err)
				return err
			}
		}
		first = false
		end := r.health.begin(t.name)
		err := t.run(ctx)
		if err == nil && ctx.Err() == nil {
			err = errors.New("it ended by itself")
		}
		if ctx.Err() != nil {
			err = nil
		}
		end(err)
		return err
	}, func(err error, pause time.Duration) {
		r.log.Error("server failed, starting it again", "task", t.name, "retry_in", pause, "err", err)
	})
}

// steady is the time after which a server counts as well again: the next failure is a new one.
const steady = time.Minute

// insist calls serve until ctx ends. After an error it calls failed with the error and the pause,
// waits for the pause and tries again. Pauses grow while serve fails at once.
func insist(ctx context.Context, serve func(context.Context) error, failed func(err error, pause time.Duration)) {
	const shortest = 200 * time.Millisecond
	for pause := shortest; ; pause = min(2*pause, time.Minute) {
		start := time.Now()
		err := serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(start) > steady {
			pause = shortest
		}
		failed(err, pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
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
