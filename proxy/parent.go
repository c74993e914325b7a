package proxy

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// parentTimeout is how long a parent proxy may take to open a tunnel.
const parentTimeout = 30 * time.Second

// dialTunnel connects to host, through the parent when there is one.
func (p *Proxy) dialTunnel(ctx context.Context, host string) (net.Conn, error) {
	parent, err := p.parent(nil)
	if err != nil {
		return nil, err
	}
	if parent == nil {
		return p.dialer.DialContext(ctx, "tcp", host)
	}
	conn, err := p.dialer.DialContext(ctx, "tcp", parent.Host)
	if err != nil {
		return nil, err
	}
	tunnel, err := askParent(conn, parent, host)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return tunnel, nil
}

// askParent sends CONNECT and reads the answer. What the origin may have sent right behind it stays readable.
func askParent(conn net.Conn, parent *url.URL, host string) (net.Conn, error) {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: host}, Host: host, Header: http.Header{}}
	if parent.User != nil {
		password, _ := parent.User.Password()
		basic := &http.Request{Header: http.Header{}}
		basic.SetBasicAuth(parent.User.Username(), password)
		req.Header.Set("Proxy-Authorization", basic.Header.Get("Authorization"))
	}
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
