package rpctest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gomaas/maas/rpc"
)

// Dial connects a rack to a region, as in rpc.RackConfig.
type Dial = func(context.Context) (rpc.Conn, error)

// Faults makes connections fail. With the zero value none fails. Its methods may be called
// concurrently.
type Faults struct {
	mu        sync.Mutex // guards the fields below
	delay     time.Duration
	duplicate bool
	loseAck   bool
	down      bool
	cut       chan struct{} // closed to cut the connections there are
}

// Cut ends all connections.
func (f *Faults) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut != nil {
		close(f.cut)
		f.cut = nil
	}
}

// Down lets no new connection be made, or lets them again.
func (f *Faults) Down(down bool) { f.set(func() { f.down = down }) }

// Delay holds each request up.
func (f *Faults) Delay(d time.Duration) { f.set(func() { f.delay = d }) }

// Duplicate delivers facts twice.
func (f *Faults) Duplicate(on bool) { f.set(func() { f.duplicate = on }) }

// LoseAck delivers facts and cuts the connection before the rack receives the acknowledgement.
func (f *Faults) LoseAck(on bool) { f.set(func() { f.loseAck = on }) }

func (f *Faults) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// Wrap returns a Dial whose connections have the faults.
func (f *Faults) Wrap(dial Dial) Dial {
	return func(ctx context.Context) (rpc.Conn, error) {
		f.mu.Lock()
		if f.cut == nil {
			f.cut = make(chan struct{})
		}
		cut, down := f.cut, f.down
		f.mu.Unlock()
		if down {
			return nil, fmt.Errorf("rpctest: %w", rpc.ErrUnavailable)
		}
		c, err := dial(ctx)
		if err != nil {
			return nil, err
		}
		return &faulty{Conn: c, faults: f, cut: cut}, nil
	}
}

type faulty struct {
	rpc.Conn
	faults *Faults
	cut    chan struct{}
}

// Close closes the connection beneath, if it can be closed.
func (c *faulty) Close() error {
	if closer, ok := c.Conn.(interface{ Close() error }); ok {
		return closer.Close()
	}
	return nil
}

// run delays f and ends it when the connection is cut.
func (c *faulty) run(ctx context.Context, f func(context.Context) error) error {
	c.faults.mu.Lock()
	delay := c.faults.delay
	c.faults.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-c.cut:
			cancel(fmt.Errorf("rpctest: cut: %w", rpc.ErrUnavailable))
		case <-done:
		}
	}()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	err := f(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Next waits for state.
func (c *faulty) Next(ctx context.Context, topic string, from rpc.Position) (u rpc.Update, err error) {
	err = c.run(ctx, func(ctx context.Context) (err error) {
		u, err = c.Conn.Next(ctx, topic, from)
		return err
	})
	return u, err
}

// Deliver delivers facts once or twice.
func (c *faulty) Deliver(ctx context.Context, facts []rpc.Fact) error {
	c.faults.mu.Lock()
	twice, lose := c.faults.duplicate, c.faults.loseAck
	c.faults.mu.Unlock()
	return c.run(ctx, func(ctx context.Context) error {
		err := c.Conn.Deliver(ctx, facts)
		if err == nil && twice {
			err = c.Conn.Deliver(ctx, facts)
		}
		if err == nil && lose {
			c.faults.Cut()
			err = fmt.Errorf("rpctest: acknowledgement lost: %w", rpc.ErrUnavailable)
		}
		return err
	})
}

// Call calls the region.
func (c *faulty) Call(ctx context.Context, method string, in []byte) (out []byte, err error) {
	err = c.run(ctx, func(ctx context.Context) (err error) {
		out, err = c.Conn.Call(ctx, method, in)
		return err
	})
	return out, err
}

// Accept answers the region's calls.
func (c *faulty) Accept(ctx context.Context, m *rpc.Methods) error {
	return c.run(ctx, func(ctx context.Context) error { return c.Conn.Accept(ctx, m) })
}
