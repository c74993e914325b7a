package qmp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
)

// maxMessages bounds the events that are skipped while waiting for an answer, and maxBytes what a
// monitor may send.
const (
	maxMessages = 10000
	maxBytes    = 16 << 20
)

// conn is a monitor in command mode. It is used by one goroutine.
type conn struct {
	net net.Conn
	dec *json.Decoder
	id  int
}

// message is anything that a monitor sends: a greeting, an answer or an event.
type message struct {
	QMP    json.RawMessage `json:"QMP"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
	ID    int    `json:"id"`
}

// dial connects, reads the greeting and leaves the mode of negotiation.
func dial(ctx context.Context, where string) (*conn, error) {
	const op = "connect to the monitor"
	network := "unix"
	if strings.Contains(where, "://") || !strings.Contains(strings.TrimRight(where, "/"), "/") {
		network = "tcp"
		at, err := address.ParseHost(paramAddress, where)
		if err != nil {
			return nil, err
		}
		if at.Port == "" {
			return nil, power.Errorf(power.Settings, op, "%s %q has no port, and monitors have none by default", paramAddress, where)
		}
		where = at.HostPort("")
	}
	nc, err := new(net.Dialer).DialContext(ctx, network, where)
	if err != nil {
		return nil, power.Errorf(power.Connection, op, "%w", err)
	}
	c := &conn{net: nc, dec: json.NewDecoder(&io.LimitedReader{R: nc, N: maxBytes})}
	stop := c.watch(ctx)
	defer stop()
	var greeting message
	if err := c.dec.Decode(&greeting); err != nil {
		nc.Close()
		return nil, failed(ctx, op, err)
	}
	if greeting.QMP == nil {
		nc.Close()
		return nil, power.Errorf(power.Settings, op, "%s is not the socket of a QEMU monitor", where)
	}
	if err := c.run(ctx, "qmp_capabilities", nil, nil); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// watch makes reads and writes end with ctx.
func (c *conn) watch(ctx context.Context) (stop func()) {
	_ = c.net.SetDeadline(time.Time{})
	end := context.AfterFunc(ctx, func() { _ = c.net.SetDeadline(time.Now()) })
	return func() { end() }
}

// run executes one command and decodes what it returns into out, if that is not nil.
func (c *conn) run(ctx context.Context, command string, arguments, out any) error {
	op := "monitor command " + command
	stop := c.watch(ctx)
	defer stop()
	c.id++
	request := struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        int    `json:"id"`
	}{command, arguments, c.id}
	if err := json.NewEncoder(c.net).Encode(request); err != nil {
		return failed(ctx, op, err)
	}
	for range maxMessages {
		var m message
		if err := c.dec.Decode(&m); err != nil {
			return failed(ctx, op, err)
		}
		switch {
		case m.Event != "" || m.ID != c.id:
			continue
		case m.Error != nil && m.Error.Class == "CommandNotFound":
			return power.Errorf(power.Unsupported, op, "%s", m.Error.Desc)
		case m.Error != nil:
			return power.Errorf(power.ActionFailed, op, "%s", m.Error.Desc)
		case out == nil:
			return nil
		}
		if err := json.Unmarshal(m.Return, out); err != nil {
			return power.Errorf(power.ActionFailed, op, "%w", err)
		}
		return nil
	}
	return power.Errorf(power.Connection, op, "%w", errors.New("the monitor sends events without end"))
}

func failed(ctx context.Context, op string, err error) error {
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = context.DeadlineExceeded
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("the monitor closed the connection: %w", err)
	}
	return power.Errorf(power.Connection, op, "%w", err)
}
