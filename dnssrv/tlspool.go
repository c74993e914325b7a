package dnssrv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// How connections to an upstream over TLS are kept: making one costs two round trips and some
// cryptography.
const (
	maxIdleTLS  = 8
	idleTLS     = 8 * time.Second // less than servers commonly wait
	sessionsTLS = 16              // remembered for resuming, per upstream
)

// tlsPool is the idle connections to one upstream (RFC 7858).
type tlsPool struct {
	addr   string
	dialer *dns.Client

	mu   sync.Mutex // guards the fields below
	idle []idleConn // the longest idle first
}

type idleConn struct {
	conn  *dns.Conn
	close *time.Timer
}

func newTLSPool(addr netip.AddrPort, name string, roots *x509.CertPool) *tlsPool {
	return &tlsPool{addr: addr.String(), dialer: &dns.Client{Net: "tcp-tls", TLSConfig: &tls.Config{
		// Versions before TLS 1.2 are deprecated (RFC 8996).
		ServerName: name, RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(sessionsTLS),
	}}}
}

// exchange asks over a connection that is idle, or a new one. A server may have closed an idle one
// at any time, so a failure there is tried again on a new one.
func (p *tlsPool) exchange(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
	for conn := p.take(); conn != nil; conn = p.take() {
		if answer, err := p.ask(ctx, conn, q); err == nil || ctx.Err() != nil {
			return answer, err
		}
	}
	conn, err := p.dialer.DialContext(ctx, p.addr)
	if err != nil {
		return nil, err
	}
	return p.ask(ctx, conn, q)
}

// ask asks over the connection, and keeps it if all went well.
func (p *tlsPool) ask(ctx context.Context, conn *dns.Conn, q *dns.Msg) (*dns.Msg, error) {
	answer, _, err := p.dialer.ExchangeWithConnContext(ctx, q, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	p.put(conn)
	return answer, nil
}

func (p *tlsPool) take() *dns.Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.idle); n > 0; n = len(p.idle) {
		last := p.idle[n-1]
		p.idle = p.idle[:n-1]
		if last.close.Stop() {
			return last.conn
		}
	}
	return nil
}

func (p *tlsPool) put(conn *dns.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == maxIdleTLS {
		conn.Close()
		return
	}
	p.idle = append(p.idle, idleConn{conn, time.AfterFunc(idleTLS, func() { p.expire(conn) })})
}

// expire closes a connection that was not taken in time.
func (p *tlsPool) expire(conn *dns.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.idle {
		if p.idle[i].conn == conn {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			break
		}
	}
	conn.Close()
}
