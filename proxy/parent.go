package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// parentTimeout bounds the time in which a parent proxy opens a tunnel.
const parentTimeout = 30 * time.Second

// parentRest is the time during which a parent that could not be connected to is not tried.
const parentRest = 10 * time.Second

// health remembers which parents could not be connected to, by address. The zero value is for use
// by many goroutines.
type health struct{ failed sync.Map }

func (h *health) fail(address string) { h.failed.Store(address, time.Now()) }

func (h *health) well(address string) bool {
	at, ok := h.failed.Load(address)
	return !ok || time.Since(at.(time.Time)) > parentRest
}

// parentOf is the parent for requests to host, nil for the direct way.
func (p *Proxy) parentOf(host string) (*url.URL, error) {
	parents := p.policy.Load().parentsFor(host)
	if len(parents) == 0 {
		return nil, nil
	}
	for _, raw := range parents {
		if u, err := url.Parse(raw); err != nil || p.health.well(addressOf(u)) {
			return u, err
		}
	}
	return url.Parse(parents[0])
}

// addressOf returns the address to connect to for a parent.
func addressOf(parent *url.URL) string {
	port := parent.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[parent.Scheme]
	}
	return net.JoinHostPort(parent.Hostname(), port)
}

// dial connects to a parent, which the policy chose, or to a destination, which it may forbid.
func (p *Proxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if p.isParent(address) {
		return p.dialParent(ctx, network, address)
	}
	return p.dialOrigin(ctx, network, address)
}

// dialOrigin connects to a destination, which the policy may forbid.
func (p *Proxy) dialOrigin(ctx context.Context, network, address string) (net.Conn, error) {
	if !p.policy.Load().PreferIPv4 || network != "tcp" {
		return p.dialer.DialContext(ctx, network, address)
	}
	conn, err := p.dialer.DialContext(ctx, "tcp4", address)
	if err == nil || errors.Is(err, errForbidden) || ctx.Err() != nil {
		return conn, err
	}
	return p.dialer.DialContext(ctx, "tcp6", address)
}

func (p *Proxy) isParent(address string) bool {
	return slices.ContainsFunc(p.policy.Load().allParents(), func(raw string) bool {
		u, err := url.Parse(raw)
		return err == nil && addressOf(u) == address
	})
}

func (p *Proxy) dialParent(ctx context.Context, network, address string) (net.Conn, error) {
	// A third of the time, so that a second and third parent are tried before the client gives up.
	conn, err := (&net.Dialer{Timeout: dialTimeout / 3}).DialContext(ctx, network, address)
	if err != nil && ctx.Err() == nil {
		p.health.fail(address)
		return nil, &parentError{err}
	}
	return conn, err
}

// parentError says that a parent could not be connected to, so that another one may be tried.
type parentError struct{ err error }

func (e *parentError) Error() string { return "parent proxy: " + e.err.Error() }
func (e *parentError) Unwrap() error { return e.err }

// tryParents calls f until it does not fail for a parent of the host that is away, at most once for
// each.
func tryParents[T any](p *Proxy, host string, f func() (T, error)) (T, error) {
	// The last try returns its own error, whatever it is.
	for range len(p.policy.Load().parentsFor(host)) - 1 {
		v, err := f()
		if away := (*parentError)(nil); !errors.As(err, &away) {
			return v, err
		}
	}
	return f()
}

// dialTunnel connects to where a CONNECT goes, through a parent where there is one.
func (p *Proxy) dialTunnel(ctx context.Context, r *http.Request) (net.Conn, error) {
	name, _, err := net.SplitHostPort(r.URL.Host)
	if err != nil {
		return nil, err
	}
	return tryParents(p, name, func() (net.Conn, error) { return p.dialTunnelOnce(ctx, r, name) })
}

func (p *Proxy) dialTunnelOnce(ctx context.Context, r *http.Request, name string) (net.Conn, error) {
	host := r.URL.Host
	parent, err := p.parentOf(name)
	if err != nil {
		return nil, err
	}
	if parent == nil {
		return p.dialOrigin(ctx, "tcp", host)
	}
	conn, err := p.dialParent(ctx, "tcp", addressOf(parent))
	if err != nil {
		return nil, err
	}
	ask := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: host}, Host: host, Header: http.Header{}, RemoteAddr: r.RemoteAddr}
	ask.Header["Via"] = r.Header["Via"]
	ask.ProtoMajor, ask.ProtoMinor = r.ProtoMajor, r.ProtoMinor
	p.introduce(ask)
	if parent.Scheme == "https" {
		conn = p.secure(conn, parent.Hostname())
	}
	tunnel, err := askParent(conn, parent, ask)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return tunnel, nil
}

// secure speaks TLS with a parent. The handshake comes with the first byte, so it falls under the
// same deadline.
func (p *Proxy) secure(conn net.Conn, name string) net.Conn {
	cfg := p.tls.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	if cfg.ServerName == "" {
		cfg.ServerName = name
	}
	return tls.Client(conn, cfg)
}

// askParent sends CONNECT and reads the answer. What the origin may have sent right behind it stays
// readable.
func askParent(conn net.Conn, parent *url.URL, req *http.Request) (net.Conn, error) {
	if parent.User != nil {
		password, _ := parent.User.Password()
		basic := &http.Request{Header: http.Header{}}
		basic.SetBasicAuth(parent.User.Username(), password)
		req.Header.Set("Proxy-Authorization", basic.Header.Get("Authorization"))
	}
	// A parent that accepts and then is silent must not hold the client for ever.
	if err := conn.SetDeadline(time.Now().Add(parentTimeout)); err != nil {
		return nil, err
	}
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("parent proxy %s answered %s", parent.Host, resp.Status)
	}
	return &bufferedConn{Conn: conn, r: br}, conn.SetDeadline(time.Time{})
}

// bufferedConn reads first what was read too far.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// CloseWrite passes the half-close on where the connection has one.
func (c *bufferedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// dialRouted connects to the origin of a route, or to a parent. Both the policy chose.
func (p *Proxy) dialRouted(ctx context.Context, network, address string) (net.Conn, error) {
	if p.isParent(address) {
		return p.dialParent(ctx, network, address)
	}
	return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
}
