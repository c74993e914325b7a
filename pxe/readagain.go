package pxe

import (
	"io"
	"net"
)

// readAgain is a connection whose first bytes have been read already. It passes
// files on to the connection below, which has them sent by the kernel.
type readAgain struct {
	net.Conn
	first []byte
}

// Read returns what was read before, then what comes.
func (c *readAgain) Read(b []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(b, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// ReadFrom sends a file.
func (c *readAgain) ReadFrom(src io.Reader) (int64, error) {
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(src)
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, src)
}
