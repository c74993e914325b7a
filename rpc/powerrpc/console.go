package powerrpc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
)

// Names of the calls of a console. Reads wait for output, so that a console costs one call at a
// time and needs nothing of the connection that other calls do not have.
const (
	methodOpen  = "console.open"
	methodRead  = "console.read"
	methodWrite = "console.write"
	methodClose = "console.close"
)

// Bounds of consoles.
const (
	// maxConsoles is the number of consoles of a rack.
	maxConsoles = 32
	// maxOutput is the output in octets that waits for the region. More stays at the BMC, whose
	// protocol holds the machine up or drops it.
	maxOutput = 64 << 10
	// readWait is the time for which a read waits for output, and idle the time after which a
	// console that the region does not read is closed: the region has stopped.
	readWait = 20 * time.Second
	idle     = time.Minute
)

// ConsoleRequest is one console to open.
type ConsoleRequest struct {
	// Target holds secrets; a request must not be logged.
	Target power.Target `json:"target"`
	// Steal takes the console from another client.
	Steal bool `json:"steal,omitempty"`
}

// consoleAnswer is the outcome of each call of a console.
type consoleAnswer struct {
	ID    string      `json:"id,omitempty"`
	Data  []byte      `json:"data,omitempty"`
	Ended bool        `json:"ended,omitempty"`
	Class power.Class `json:"class,omitempty"`
	Error string      `json:"error,omitempty"`
}

// consoleCall names the console of a call.
type consoleCall struct {
	ID   string `json:"id"`
	Data []byte `json:"data,omitempty"`
}

// Consoles holds the consoles that regions have open on a rack. Its methods may be called
// concurrently.
type Consoles struct {
	controller *power.Controller
	running    sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	open   map[string]*held
	places int // taken, also by those that are being opened
	closed bool
}

// OfferConsoles lets regions attach to consoles by the controller. The caller closes what it
// returns.
func OfferConsoles(m *rpc.Methods, c *power.Controller) *Consoles {
	all := &Consoles{controller: c, open: map[string]*held{}}
	rpc.Offer(m, methodOpen, all.attach)
	rpc.Offer(m, methodRead, func(ctx context.Context, in consoleCall) (consoleAnswer, error) {
		h, err := all.find(in.ID)
		if err != nil {
			return consoleAnswer{}, err
		}
		return h.read(ctx), nil
	})
	rpc.Offer(m, methodWrite, func(_ context.Context, in consoleCall) (consoleAnswer, error) {
		h, err := all.find(in.ID)
		if err != nil {
			return consoleAnswer{}, err
		}
		_, err = h.conn.Write(in.Data)
		return consoleAnswer{}, err
	})
	rpc.Offer(m, methodClose, func(_ context.Context, in consoleCall) (consoleAnswer, error) {
		if h, err := all.find(in.ID); err == nil { // it may have ended by itself
			h.end(nil)
		}
		return consoleAnswer{}, nil
	})
	return all
}

// Close ends all consoles and waits for them.
func (c *Consoles) Close() error {
	c.mu.Lock()
	c.closed = true
	for _, h := range c.open { // a BMC may take seconds to answer the farewell
		c.running.Go(func() { h.end(errStopping) })
	}
	c.mu.Unlock()
	c.running.Wait()
	return nil
}

var errStopping = errors.New("the rack stops")

func (c *Consoles) find(id string) (*held, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.open[id]; h != nil {
		return h, nil
	}
	return nil, fmt.Errorf("%w: the console has ended", rpc.ErrInvalid)
}

// attach opens a console. A refusal by the BMC is part of the answer, so that its class arrives.
func (c *Consoles) attach(ctx context.Context, r ConsoleRequest) (consoleAnswer, error) {
	c.mu.Lock()
	if c.closed || c.places >= maxConsoles {
		c.mu.Unlock()
		return consoleAnswer{Class: power.ActionFailed, Error: fmt.Sprintf("the rack has %d consoles open, which is the most", maxConsoles)}, nil
	}
	c.places++
	c.running.Add(1)
	c.mu.Unlock()
	conn, err := c.controller.Console(ctx, r.Target, r.Steal)
	if err != nil {
		c.leave("")
		return consoleAnswer{Class: power.ClassOf(err), Error: err.Error()}, nil
	}
	h := &held{conn: conn, more: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{})}
	h.unread = time.AfterFunc(idle, func() { h.end(errors.New("the region no longer reads")) })
	id := rand.Text()
	c.mu.Lock()
	c.open[id] = h
	closed := c.closed
	c.mu.Unlock()
	if closed {
		h.end(errStopping)
	}
	go func() {
		defer c.leave(id)
		h.pump()
	}()
	return consoleAnswer{ID: id}, nil
}

// leave frees the place of a console.
func (c *Consoles) leave(id string) {
	c.mu.Lock()
	delete(c.open, id)
	c.places--
	c.mu.Unlock()
	c.running.Done()
}

// held is one console, with the output that waits for the region.
type held struct {
	conn       io.ReadWriteCloser
	more, room chan struct{} // have an element when there is output, or place for it
	once       sync.Once
	done       chan struct{} // closed when the console is to end
	unread     *time.Timer

	mu    sync.Mutex // guards the fields below
	data  []byte
	ended bool // no output follows
	err   error
}

// end makes the console end, for a reason that the region receives; nil = it asked for it.
func (h *held) end(why error) {
	h.once.Do(func() {
		h.mu.Lock()
		h.err = why
		h.mu.Unlock()
		close(h.done)
		_ = h.conn.Close() // the BMC ends the console by itself, too
	})
}

// pump takes the output of the BMC until the console ends, and what is left has been read or the
// region no longer reads.
func (h *held) pump() {
	defer h.unread.Stop()
	buf := make([]byte, 4<<10)
	for {
		n, err := h.conn.Read(buf)
		h.mu.Lock()
		h.data = append(h.data, buf[:n]...)
		full := len(h.data) >= maxOutput
		if err != nil {
			h.ended = true
			if h.err == nil && !errors.Is(err, io.EOF) {
				h.err = err
			}
		}
		h.mu.Unlock()
		signal(h.more)
		if err != nil {
			break
		}
		if full {
			select {
			case <-h.room:
			case <-h.done:
			}
		}
	}
	// The region reads the rest, and that it has ended; then the console is forgotten.
	for h.left() {
		select {
		case <-h.room:
		case <-h.done:
			return
		}
	}
	h.end(nil)
}

// left reports whether the region has not read all.
func (h *held) left() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.data) > 0 || h.ended
}

// read returns the output that waits, or waits for some.
func (h *held) read(ctx context.Context) consoleAnswer {
	h.unread.Stop()
	defer h.unread.Reset(idle)
	timer := time.NewTimer(readWait)
	defer timer.Stop()
	for {
		h.mu.Lock()
		out := consoleAnswer{Data: h.data, Ended: h.ended && len(h.data) == 0}
		h.data = nil
		if out.Ended {
			h.ended = false // the region knows now
			if h.err != nil {
				out.Error, out.Class = h.err.Error(), power.ClassOf(h.err)
			}
		}
		h.mu.Unlock()
		if len(out.Data) > 0 || out.Ended {
			signal(h.room)
			return out
		}
		select {
		case <-h.more:
		case <-timer.C:
			return out
		case <-ctx.Done():
			return out
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Console attaches to a console by the rack behind the caller; ctx bounds that alone. Reads return
// io.EOF when the console has ended. A refusal by the BMC is a [*power.Error].
func Console(ctx context.Context, c rpc.Caller, r ConsoleRequest) (io.ReadWriteCloser, error) {
	a, err := rpc.Do[consoleAnswer](ctx, c, methodOpen, r)
	if err != nil {
		return nil, power.Errorf(power.Connection, "ask the rack", "%w", err)
	}
	if a.Error != "" {
		return nil, &power.Error{Class: a.Class, Op: "open the console", Err: errors.New(a.Error)}
	}
	remote := &remoteConsole{caller: c, id: a.ID}
	remote.ctx, remote.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return remote, nil
}

// remoteConsole is a console at the region's end.
type remoteConsole struct {
	caller rpc.Caller
	id     string
	ctx    context.Context // of reads and writes; ends with Close
	cancel context.CancelFunc
	once   sync.Once
	closed error

	rest []byte // read and not returned yet; used by Read alone
}

// Read implements io.Reader.
func (r *remoteConsole) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		a, err := rpc.Do[consoleAnswer](r.ctx, r.caller, methodRead, consoleCall{ID: r.id})
		switch {
		case r.ctx.Err() != nil:
			return 0, io.EOF
		case err != nil:
			return 0, power.Errorf(power.Connection, "read the console", "%w", err)
		case a.Ended && a.Error != "":
			return 0, &power.Error{Class: a.Class, Op: "read the console", Err: errors.New(a.Error)}
		case a.Ended:
			return 0, io.EOF
		}
		r.rest = a.Data
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Write implements io.Writer.
func (r *remoteConsole) Write(b []byte) (int, error) {
	if _, err := rpc.Do[consoleAnswer](r.ctx, r.caller, methodWrite, consoleCall{ID: r.id, Data: b}); err != nil {
		return 0, power.Errorf(power.Connection, "write to the console", "%w", err)
	}
	return len(b), nil
}

// closeTime bounds the call that ends a console; without it the rack ends it by itself, later.
const closeTime = 5 * time.Second

// Close implements io.Closer.
func (r *remoteConsole) Close() error {
	r.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), closeTime)
		defer cancel()
		_, r.closed = rpc.Do[consoleAnswer](ctx, r.caller, methodClose, consoleCall{ID: r.id})
		r.cancel()
	})
	return r.closed
}
