package region

import (
	"context"
	"io"
	"maps"
	"strings"
	"sync"
	"unicode"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/powerrpc"
	"github.com/gomaas/maas/store/inventory"
)

// Console attaches to the serial console of a machine, by a rack that reaches its BMC. The last
// lines are an event of the machine when the console is detached, and when a boot fails meanwhile.
//
// Nothing is recorded while no client is attached. A BMC gives its console to one client at a time:
// a region that held it to keep a log would take it from operators, and would lose the log of a
// boot as soon as one of them took it back.
//
// It implements [maasapi.Consoler].
func (p *powerService) Console(ctx context.Context, m inventory.Machine, steal bool) (io.ReadWriteCloser, error) {
	var console io.ReadWriteCloser
	err := p.byRacks(ctx, m, "open the console", p.rackWait, func(rack rpc.Caller, t power.Target) (again bool, err error) {
		if t.Kind == "ipmi" { // many BMCs keep consoles for administrators
			t.Params = maps.Clone(t.Params)
			t.Params["privilege_level"] = "ADMIN"
		}
		console, err = powerrpc.Console(ctx, rack, powerrpc.ConsoleRequest{Target: t, Steal: steal})
		return true, err
	})
	if err != nil {
		return nil, err
	}
	tail := p.tails.begin(m.ID)
	return &watchedConsole{ReadWriteCloser: console, tail: tail, detach: func() {
		p.tails.end(m.ID, tail)
		// The client has gone, and its context with it.
		if err := p.noteTail(context.WithoutCancel(ctx), m, tail); err != nil {
			p.region.log.Error("console not recorded", "machine", m.FQDN, "err", err)
		}
	}}, nil
}

// watchedConsole is a console whose last lines are kept.
type watchedConsole struct {
	io.ReadWriteCloser
	tail   *consoleTail
	once   sync.Once
	detach func()
}

// Read implements io.Reader.
func (c *watchedConsole) Read(b []byte) (int, error) {
	n, err := c.ReadWriteCloser.Read(b)
	c.tail.write(b[:n])
	return n, err
}

// Close implements io.Closer.
func (c *watchedConsole) Close() error {
	err := c.ReadWriteCloser.Close()
	c.once.Do(c.detach)
	return err
}

// noteTail records what consoles of a machine showed last, unless that is recorded already. Without
// tails, it records the tails of all consoles that are attached.
func (p *powerService) noteTail(ctx context.Context, m inventory.Machine, tails ...*consoleTail) error {
	if tails == nil {
		tails = p.tails.of(m.ID)
	}
	for _, tail := range tails {
		text := tail.take()
		if text == "" {
			continue
		}
		if err := p.region.inv.Events.Add(ctx, inventory.Event{NodeID: m.ID, Kind: "console", Description: text}); err != nil {
			return err
		}
	}
	return nil
}

// consoleTails holds the tails of the consoles that are attached, by machine.
type consoleTails struct {
	mu  sync.Mutex
	all map[int64][]*consoleTail // guarded by mu
}

func (c *consoleTails) begin(machine int64) *consoleTail {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[int64][]*consoleTail{}
	}
	tail := &consoleTail{}
	c.all[machine] = append(c.all[machine], tail)
	return tail
}

func (c *consoleTails) end(machine int64, tail *consoleTail) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var left []*consoleTail
	for _, t := range c.all[machine] {
		if t != tail {
			left = append(left, t)
		}
	}
	if c.all[machine] = left; left == nil {
		delete(c.all, machine)
	}
}

func (c *consoleTails) of(machine int64) []*consoleTail {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*consoleTail{}, c.all[machine]...)
}

// Bounds of a tail: lines, and octets of each.
const (
	tailLines = 20
	tailWidth = 160
)

// consoleTail keeps the last lines of a console, as text without what moves the cursor.
type consoleTail struct {
	mu     sync.Mutex // guards the fields below
	lines  []string
	line   []byte
	escape byte // of a control sequence: 0 = outside, else its octet read last
	fresh  bool // there is something that take has not returned
}

// write adds output.
func (t *consoleTail) write(b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range b {
		switch {
		case t.escape == 0x1b && c != '[': // a sequence of two octets
			t.escape = 0
		case t.escape == 0x1b:
			t.escape = c
		case t.escape != 0:
			if c >= 0x40 && c <= 0x7e { // the last octet of a control sequence (ECMA-48, section 5.4)
				t.escape = 0
			}
		case c == 0x1b:
			t.escape = c
		case c == '\n':
			t.newline()
		case c >= ' ' && len(t.line) < tailWidth:
			t.line = append(t.line, c)
		}
	}
}

// newline ends a line. t.mu is held.
func (t *consoleTail) newline() {
	text := strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(t.line), "")))
	t.line = t.line[:0]
	if text == "" {
		return
	}
	t.fresh = true
	if t.lines = append(t.lines, text); len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

// take returns the last lines as one, "" if nothing was added since the last call.
func (t *consoleTail) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.newline() // a machine that stopped did not end its last line
	if !t.fresh {
		return ""
	}
	t.fresh = false
	return strings.Join(t.lines, inventory.ConsoleLine)
}
