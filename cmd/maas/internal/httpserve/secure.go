package httpserve

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/gomaas/maas/internal/bounds"
)

// Secure serves TLS and, on the same port, plain HTTP. Which of them a connection speaks shows in
// its first byte. Requests over TLS have their Request.TLS set; the handler decides what plain ones
// get. Otherwise Secure is like [Serve].
func Secure(ctx context.Context, ln net.Listener, cfg *tls.Config, h http.Handler) error {
	return serve(ctx, &eitherListener{bounds.Listen(ln, limits), cfg}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := bounds.ConnOf(r.Context()).(*eitherConn); ok {
			if secured := c.tls.Load(); secured != nil {
				state := secured.ConnectionState()
				r.TLS = &state
			}
		}
		h.ServeHTTP(w, r)
	}))
}

// Fingerprint returns the SHA-256 fingerprint of the certificate that is served, in lower-case
// hexadecimal.
func Fingerprint(cfg *tls.Config) (string, error) {
	cert, err := cfg.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		return "", err
	}
	if len(cert.Certificate) == 0 {
		return "", errors.New("there is no certificate")
	}
	sum := sha256.Sum256(cert.Certificate[0])
	return hex.EncodeToString(sum[:]), nil
}

// Local reports whether a request comes from this host: over loopback, or from the very address
// that it is sent to, which the kernel routes over loopback, too.
func Local(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	if from.Addr().Unmap().IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	return err == nil && at.Addr().Unmap() == from.Addr().Unmap()
}

// eitherListener accepts connections that speak TLS or not.
type eitherListener struct {
	net.Listener
	cfg *tls.Config
}

func (l *eitherListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &eitherConn{Conn: conn, cfg: l.cfg}, nil
}

// handshakeRecord is the first byte of each TLS connection: the type of a record with a handshake
// (RFC 8446, 5.1). No method of HTTP begins with it.
const handshakeRecord = 0x16

// eitherConn finds out what the client speaks at the first Read, and so within the server's time
// limit for headers: Accept must not wait for a client.
type eitherConn struct {
	net.Conn // as accepted
	cfg      *tls.Config

	once sync.Once
	err  error                    // of the first byte
	tls  atomic.Pointer[tls.Conn] // nil = not TLS, or not known yet
	rest net.Conn                 // what to read and write: tls, or the connection with its first byte
}

// NetConn returns the connection as accepted, as [tls.Conn.NetConn] does.
func (c *eitherConn) NetConn() net.Conn { return c.Conn }

// look reads the first byte.
func (c *eitherConn) look() error {
	c.once.Do(func() {
		first := make([]byte, 1)
		if _, c.err = c.Conn.Read(first); c.err != nil {
			return
		}
		c.rest = &pushedBack{Conn: c.Conn, first: first}
		if first[0] == handshakeRecord {
			secured := tls.Server(c.rest, c.cfg)
			c.tls.Store(secured)
			c.rest = secured
		}
	})
	return c.err
}

func (c *eitherConn) Read(p []byte) (int, error) {
	if err := c.look(); err != nil {
		return 0, err
	}
	return c.rest.Read(p)
}

// Write follows a request, which was read, or a failure before the first byte, after which nothing
// can be said in a language that the client understands.
func (c *eitherConn) Write(p []byte) (int, error) {
	if err := c.look(); err != nil {
		return 0, err
	}
	return c.rest.Write(p)
}

// CloseWrite ends what the server sends: net/http does so for clients that still send a body.
func (c *eitherConn) CloseWrite() error {
	if secured := c.tls.Load(); secured != nil {
		return secured.CloseWrite()
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close is called at any time, also beside the first Read.
func (c *eitherConn) Close() error {
	if secured := c.tls.Load(); secured != nil {
		return secured.Close() // with a close_notify, without which an answer may seem cut off
	}
	return c.Conn.Close()
}

// pushedBack is a connection of which the first byte was read.
type pushedBack struct {
	net.Conn
	first []byte
}

func (c *pushedBack) Read(p []byte) (int, error) {
	if len(c.first) == 0 || len(p) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.first)
	c.first = c.first[n:]
	return n, nil
}
