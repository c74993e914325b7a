// Package supervise keeps the tasks of a daemon running: one that fails is started again.
//
//	var tasks supervise.Tasks
//	tasks.Keep(ctx, supervise.Task{Name: "dns", Run: server.Serve}, failed) // until ctx ends
//	tasks.Failed()                                                         // what is down now, and why
//
// A fault of one task must not end the others: machines need DHCP while DNS has no file descriptor
// left.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"sync"
	"time"
)

// Task is one long-running part of a daemon.
type Task struct {
	Name string
	Run  func(context.Context) error
	// Open prepares another run after a failure, such as by a new socket. If nil, Run can be called
	// again.
	Open func(context.Context) error
}

// OnSocket returns the task of a server that serves on one socket. After a failure it opens the
// socket again.
func OnSocket[C io.Closer](name string, conn C, serve func(context.Context, C) error, open func(context.Context) (C, error)) Task {
	return Task{
		Name: name,
		Run:  func(ctx context.Context) error { return serve(ctx, conn) },
		Open: func(ctx context.Context) (err error) {
			_ = conn.Close() // of the run that failed; most servers have closed it
			next, err := open(ctx)
			if err == nil {
				conn = next
			}
			return err
		},
	}
}

// Tasks holds the states of tasks. The zero value has none. Its methods may be called concurrently.
type Tasks struct {
	mu      sync.Mutex // guards the fields below
	started time.Time
	running map[string]int
	failed  map[string]string
}

// Keep runs a task until ctx ends. A task that fails is started again after a pause, and Failed has
// its error meanwhile. Failures are passed to failed.
func (s *Tasks) Keep(ctx context.Context, t Task, failed func(err error, pause time.Duration)) {
	first := true
	Insist(ctx, func(ctx context.Context) error {
		if !first && t.Open != nil {
			if err := t.Open(ctx); err != nil {
				s.fail(t.Name, err)
				return err
			}
		}
		first = false
		end := s.begin(t.Name)
		err := t.Run(ctx)
		if err == nil && ctx.Err() == nil {
			err = errors.New("it ended by itself")
		}
		if ctx.Err() != nil {
			err = nil
		}
		end(err)
		return err
	}, failed)
}

// begin records that a task runs. The caller calls end with the result of the task.
func (s *Tasks) begin(task string) (end func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
	s.running[task]++
	delete(s.failed, task)
	return func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running[task]--
		if err != nil {
			s.failed[task] = err.Error()
		}
	}
}

// fail records why a task cannot start, until it starts.
func (s *Tasks) fail(task string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
	s.failed[task] = err.Error()
}

// start initializes the maps; the caller holds mu.
func (s *Tasks) start() {
	if s.running == nil {
		s.started, s.running, s.failed = time.Now(), map[string]int{}, map[string]string{}
	}
}

// Failed returns the error of each task that is down.
func (s *Tasks) Failed() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.failed)
}

// State returns how many tasks of a name run, and the error of one that does not.
func (s *Tasks) State(task string) (running int, failed string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[task], s.failed[task]
}

// Started returns the time at which the first task began.
func (s *Tasks) Started() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started
}

// steady is the time after which a task counts as well again: the next failure is a new one.
const steady = time.Minute

// Insist calls serve until ctx ends. After an error it calls failed with the error and the pause,
// waits for the pause and tries again. Pauses grow while serve fails at once.
func Insist(ctx context.Context, serve func(context.Context) error, failed func(err error, pause time.Duration)) {
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

// Reopen returns an opener of a listener at the address of one that failed.
func Reopen(was net.Listener) func(context.Context) (net.Listener, error) {
	return func(ctx context.Context) (net.Listener, error) {
		at := was.Addr()
		switch at.Network() {
		case "tcp":
			return (&net.ListenConfig{}).Listen(ctx, at.Network(), at.String())
		case "unix":
			ln, err := (&net.ListenConfig{}).Listen(ctx, at.Network(), at.String())
			if err != nil {
				return nil, err
			}
			// Only the daemon's user may connect: the clients of such a socket need no key.
			if err := os.Chmod(at.String(), 0o600); err != nil {
				return nil, errors.Join(err, ln.Close())
			}
			return ln, nil
		}
		return nil, fmt.Errorf("the socket at %v cannot be opened again", at)
	}
}
