package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/gomaas/maas/internal/bounds"
)

// A Conn is a rack's open connection to one region. Its methods may be called concurrently; each
// ends when its context does, and with an error that is [ErrUnavailable] when the connection is
// lost. A Conn that is also an io.Closer is closed when its session ends.
type Conn interface {
	Caller
	// Next waits for the update that leads from the position onwards, see [State.Next].
	Next(ctx context.Context, topic string, from Position) (Update, error)
	// Deliver hands facts to the region and returns once it has taken them for good.
	Deliver(ctx context.Context, facts []Fact) error
	// Accept lets the region call the methods until ctx ends or the connection is lost.
	Accept(ctx context.Context, m *Methods) error
}

// A Topic is one subscription of a rack.
type Topic struct {
	Name string
	// Apply makes the rack serve the objects, which are the whole content of the topic and on disk
	// already. The map is Apply's own. It is called from one goroutine per topic, first for what
	// the disk holds, then for each update. An error is logged and leaves the rack serving what it
	// served before.
	Apply func(ctx context.Context, objects map[string][]byte) error
	// Change, if not nil, is called in place of Apply for updates that are not whole, so that a
	// small change of a large topic is small work: with what changed alone, sorted by key, after an
	// Apply that succeeded. When it returns an error, Apply is called as well.
	Change func(ctx context.Context, changed []Object) error
}

// RackConfig holds the settings of a [Rack].
type RackConfig struct {
	// Replica keeps state on disk. Required.
	Replica *Replica
	// Outbox keeps facts on disk. Required.
	Outbox *Outbox
	// Topics are the rack's subscriptions.
	Topics []Topic
	// Methods are the methods that the region may call. Nil offers nothing.
	Methods *Methods
	// Dial connects to a region. It is called again, with growing pauses of up to MaxPause,
	// whenever the connection ends.
	Dial func(ctx context.Context) (Conn, error)
	// Connected runs beside each session, from its beginning until its context ends: to register,
	// for one. An error ends the session; nil leaves it. Nil does nothing.
	Connected func(ctx context.Context, conn Conn) error
	// MaxPause is the longest wait between attempts to connect. Zero means 5 s.
	MaxPause time.Duration
	// Log receives connection changes and refused state. Nil discards.
	Log *slog.Logger
}

// A Rack is the side of rpc that serves state.
type Rack struct {
	cfg RackConfig
	// applied are the topics whose last state is served; each is used by its own goroutine only.
	applied []bool

	mu     sync.Mutex // guards the fields below
	status []TopicStatus
}

// NewRack checks the configuration. It starts nothing.
func NewRack(cfg RackConfig) (*Rack, error) {
	if cfg.Replica == nil || cfg.Outbox == nil || cfg.Dial == nil {
		return nil, errors.New("rpc: a rack needs Replica, Outbox and Dial")
	}
	for _, t := range cfg.Topics {
		if t.Name == "" || t.Apply == nil {
			return nil, fmt.Errorf("rpc: topic %q needs a name and Apply", t.Name)
		}
	}
	if cfg.Methods == nil {
		cfg.Methods = &Methods{}
	}
	if cfg.MaxPause == 0 {
		cfg.MaxPause = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Rack{cfg: cfg, applied: make([]bool, len(cfg.Topics)), status: make([]TopicStatus, len(cfg.Topics))}, nil
}

// Restore applies every topic that is on disk, so that the rack serves before any region answers.
// The first topic that cannot be applied ends it with an error.
func (r *Rack) Restore(ctx context.Context) error {
	for i, t := range r.cfg.Topics {
		if r.cfg.Replica.Position(t.Name) == (Position{}) {
			continue
		}
		position := r.cfg.Replica.Position(t.Name)
		err := t.Apply(context.WithValue(ctx, servingKey{}, position), r.cfg.Replica.Objects(t.Name))
		r.served(i, position, err)
		if err != nil {
			return fmt.Errorf("rpc: restore %s: %w", t.Name, err)
		}
		r.applied[i] = true
	}
	return nil
}

// The reasons for ended connections are logged at once sayAtOnce times, since the first reason is
// often not the one that lasts, and then every sayAgain.
const (
	sayAtOnce = 5
	sayAgain  = 5 * time.Minute
)

// Serve keeps the rack connected until ctx ends, then returns nil.
func (r *Rack) Serve(ctx context.Context) error {
	again := backoff{first: 100 * time.Millisecond, most: r.cfg.MaxPause}
	ends := bounds.NewLog(r.cfg.Log, bounds.Rate{Burst: sayAtOnce, Every: sayAgain})
	for ctx.Err() == nil {
		started := time.Now()
		err := r.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		ends.Warn("region disconnected, trying again", "err", err)
		if time.Since(started) > r.cfg.MaxPause {
			again.reset() // it was up: what ended it need not be what kept it from connecting
		}
		again.wait(ctx)
	}
	return nil
}

// session runs one connection until anything about it fails.
func (r *Rack) session(ctx context.Context) error {
	conn, err := r.cfg.Dial(ctx)
	if err != nil {
		return err
	}
	if c, ok := conn.(io.Closer); ok {
		defer c.Close()
	}
	r.cfg.Log.Info("region connected")
	g, ctx := errgroup.WithContext(ctx)
	for i := range r.cfg.Topics {
		g.Go(func() error { return r.follow(ctx, conn, i) })
	}
	g.Go(func() error { return r.send(ctx, conn) })
	g.Go(func() error { return conn.Accept(ctx, r.cfg.Methods) })
	if r.cfg.Connected != nil {
		g.Go(func() error { return r.cfg.Connected(ctx, conn) })
	}
	return g.Wait()
}

// follow brings one topic up to date again and again: disk first, then the server.
func (r *Rack) follow(ctx context.Context, conn Conn, topic int) error {
	name := r.cfg.Topics[topic].Name
	for {
		u, err := conn.Next(ctx, name, r.cfg.Replica.Position(name))
		if err != nil {
			return err
		}
		about := WithMetadata(context.WithValue(ctx, servingKey{}, u.Position), u.Metadata)
		u.Metadata = nil // it describes the change and is not kept
		if err := r.cfg.Replica.Apply(u); err != nil {
			return err
		}
		err = r.serve(about, topic, u)
		r.served(topic, u.Position, err)
		if err != nil {
			r.cfg.Log.Error("state refused, last one still served", "topic", name, "revision", u.Position.Revision, "err", err)
		}
	}
}

// serve makes the server follow an update that is on disk.
func (r *Rack) serve(ctx context.Context, topic int, u Update) error {
	t := &r.cfg.Topics[topic]
	if t.Change != nil && !u.Whole && r.applied[topic] {
		if err := t.Change(ctx, u.Objects); err == nil {
			return nil
		}
	}
	err := t.Apply(ctx, r.cfg.Replica.Objects(t.Name))
	r.applied[topic] = err == nil
	return err
}

// deliverBatch bounds the facts in one delivery.
const deliverBatch = 512

func (r *Rack) send(ctx context.Context, conn Conn) error {
	for {
		facts, err := r.cfg.Outbox.Next(ctx, deliverBatch)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := conn.Deliver(ctx, facts); err != nil {
			return err
		}
		if err := r.cfg.Outbox.Ack(facts[len(facts)-1].Seq); err != nil {
			return err
		}
		if _, shared := conn.(*loopback); shared && r.cfg.Outbox.hasRoom() {
			rest(ctx, time.Since(began))
		}
	}
}

// rest waits after a delivery within one process: in a storm of clients the region's record leaves
// the processor to the rack's answers, since facts wait on disk meanwhile. An outbox that fills is
// delivered without rests.
func rest(ctx context.Context, took time.Duration) {
	select {
	case <-time.After(min(4*took, time.Second)):
	case <-ctx.Done():
	}
}
