package peer

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"time"
)

// maxMessage bounds a message, and stuck how long the other side may take none of it.
const (
	maxMessage = 1 << 20
	stuck      = 10 * time.Second
)

// Conn carries messages to one partner. Send and Receive may each be called by one goroutine, Close
// by any.
type Conn struct {
	conn net.Conn
	in   *bufio.Reader
	buf  []byte // of the message received last
	out  []byte // of the message sent last
}

// newConn carries messages over a connection whose other side is known.
func newConn(c net.Conn) *Conn { return &Conn{conn: c, in: bufio.NewReaderSize(c, 1<<16)} }

// Send sends a message, and waits while the connection is full.
func (c *Conn) Send(b []byte) error {
	if len(b) > maxMessage {
		return fmt.Errorf("peer: message of %d bytes is longer than %d", len(b), maxMessage)
	}
	c.out = append(binary.BigEndian.AppendUint32(c.out[:0], uint32(len(b))), b...)
	if err := c.conn.SetWriteDeadline(time.Now().Add(stuck)); err != nil {
		return err
	}
	_, err := c.conn.Write(c.out)
	return err
}

// Receive waits for a message, which is valid until the next call.
func (c *Conn) Receive() (b []byte, err error) {
	c.buf, err = readMessage(c.in, c.buf)
	return c.buf, err
}

// readMessage reads a message into buf or into new memory, of which there is never more than what
// has arrived calls for.
func readMessage(r *bufio.Reader, buf []byte) ([]byte, error) {
	head, err := r.Peek(4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	if n > maxMessage {
		return nil, fmt.Errorf("peer: message of %d bytes is longer than %d", n, maxMessage)
	}
	r.Discard(4)
	buf = buf[:0]
	for left := int(n); left > 0; {
		part := min(left, 1<<16)
		at := len(buf)
		buf = slices.Grow(buf, part)[:at+part]
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			return nil, err
		}
		left -= part
	}
	return buf, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.conn.Close() }
