package bounds

import (
	"context"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
)

// place holds what a listener knows about one of its connections.
type place struct {
	listener *Listener
	raw      net.Conn
	source   netip.Addr
	network  netip.Prefix  // the /64 of an IPv6 address
	last     atomic.Uint64 // the listener's count at the last use
	busy     atomic.Int32  // transfers in progress, and one if the server said so
	marked   atomic.Bool   // whether the server said so
	admitted bool          // guarded by the listener's mu
}

func (p *place) touch() { p.last.Store(p.listener.used.Add(1)) }

// begin and end enclose a transfer that may take long, as of a whole file.
func (p *place) begin() {
	p.touch()
	p.busy.Add(1)
}

func (p *place) end() {
	p.busy.Add(-1)
	p.touch()
}

func (p *place) leave() {
	l := p.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.admitted {
		p.admitted = false
		l.admitted--
		return
	}
	l.remove(p)
}

// placed is a connection of a Listener.
type placed interface{ at() *place }

// find returns the place of a connection, also of one inside TLS, and nil for others.
func find(c net.Conn) *place {
	for {
		switch conn := c.(type) {
		case placed:
			return conn.at()
		case interface{ NetConn() net.Conn }:
			c = conn.NetConn()
		default:
			return nil
		}
	}
}

// Busy notes whether a request is in progress on a connection of a Listener, which then is not idle
// even if it is silent. It does nothing for other connections.
func Busy(c net.Conn, busy bool) {
	p := find(c)
	if p == nil || p.marked.Swap(busy) == busy {
		return
	}
	if busy {
		p.begin()
	} else {
		p.end()
	}
}

// Admit notes that the client of a connection of a Listener proved its identity. It reports false
// if there are too many such connections; then the server should close this one. For connections
// that are of no Listener it reports true.
func Admit(c net.Conn) bool {
	p := find(c)
	if p == nil {
		return true
	}
	l := p.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, waiting := l.sources[p.source][p]; !waiting {
		return p.admitted // false if it gave way meanwhile
	}
	if l.admitted >= l.limits.Admitted {
		return false
	}
	l.remove(p)
	p.admitted = true
	l.admitted++
	return true
}

// connKey is the key of a connection in a context.
type connKey struct{}

// WithConn returns a context for the requests of a connection, see [AdmitRequest]. It is made for
// ConnContext of an HTTP server.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// ConnOf returns the connection of a request, nil if its context has none.
func ConnOf(ctx context.Context) net.Conn {
	c, _ := ctx.Value(connKey{}).(net.Conn)
	return c
}

// AdmitRequest is [Admit] for the connection of a request whose sender proved its identity.
func AdmitRequest(ctx context.Context) bool {
	c := ConnOf(ctx)
	return c == nil || Admit(c)
}

// tcpConn keeps what a TCP connection can do beyond net.Conn, such as to send files by sendfile.
type tcpConn struct {
	*net.TCPConn
	place *place
}

func (c *tcpConn) at() *place { return c.place }

// Read notes the use.
func (c *tcpConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if n > 0 {
		c.place.touch()
	}
	return n, err
}

// Write notes the use.
func (c *tcpConn) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	if n > 0 {
		c.place.touch()
	}
	return n, err
}

// ReadFrom sends what r holds.
func (c *tcpConn) ReadFrom(r io.Reader) (int64, error) {
	c.place.begin()
	defer c.place.end()
	return c.TCPConn.ReadFrom(r)
}

// WriteTo receives until the client ends its half.
func (c *tcpConn) WriteTo(w io.Writer) (int64, error) {
	c.place.begin()
	defer c.place.end()
	return c.TCPConn.WriteTo(w)
}

// Close makes room for another connection.
func (c *tcpConn) Close() error {
	c.place.leave()
	return c.TCPConn.Close()
}

// NetConn returns the connection below, as [tls.Conn.NetConn] does.
func (c *conn) NetConn() net.Conn { return c.Conn }

type conn struct {
	net.Conn
	place *place
}

func (c *conn) at() *place { return c.place }

// Read notes the use.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.place.touch()
	}
	return n, err
}

// Write notes the use.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.place.touch()
	}
	return n, err
}

// Close makes room for another connection.
func (c *conn) Close() error {
	c.place.leave()
	return c.Conn.Close()
}
