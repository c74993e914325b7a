package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gomaas/maas/rpc"
)

// A Dialer connects a rack to one of several regions. It must not be copied; its Dial may be called
// concurrently.
type Dialer struct {
	// Regions are the addresses to choose from, as host:port. It is asked again for each Dial.
	// Required.
	Regions func() []string
	// Ordered says that the first of Regions is the best. Those that failed within the last half
	// minute are tried last.
	Ordered bool
	// TLS returns the rack's certificate and, as RootCAs and ServerName, the regions that it
	// trusts. It is called for each connection, so a renewed certificate is used from the next one
	// on. Required.
	TLS func() (*tls.Config, error)
	// Timeout bounds the attempt to connect to each region. Zero means 3 s.
	Timeout time.Duration
	// Net opens connections. Nil means TCP.
	Net func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex           // guards the fields below
	next   int                  // of the addresses, where the next attempt begins
	used   bool                 // next was chosen
	failed map[string]time.Time // when addresses did not answer; with Ordered only
}

// shunTime is the time for which an address that failed is tried last.
const shunTime = 30 * time.Second

// Dial connects to a region that answers. Unless they are Ordered, the first address is chosen at
// random, so that racks spread; each further Dial begins after the one that was connected last,
// which has just been lost.
func (d *Dialer) Dial(ctx context.Context) (rpc.Conn, error) {
	if d.Regions == nil || d.TLS == nil {
		return nil, errDialer
	}
	addresses := d.order(d.Regions())
	if len(addresses) == 0 {
		return nil, errors.New("wire: no region is known; enrol this rack with a token")
	}
	var errs []error
	for i, address := range addresses {
		c, err := d.dial(ctx, address)
		if err == nil {
			d.succeeded(address, i)
			return c, nil
		}
		d.shun(address)
		errs = append(errs, fmt.Errorf("region %s: %w", address, err))
	}
	return nil, errors.Join(errs...)
}

var errDialer = errors.New("wire: a dialer needs Regions and TLS")

// DialAt connects to the region at one address. It does not need Regions.
func (d *Dialer) DialAt(ctx context.Context, address string) (rpc.Conn, error) {
	if d.TLS == nil {
		return nil, errDialer
	}
	c, err := d.dial(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("region %s: %w", address, err)
	}
	d.succeeded(address, -1)
	return c, nil
}

// order is the one in which addresses are tried.
func (d *Dialer) order(addresses []string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(addresses) == 0 {
		return nil
	}
	if !d.Ordered {
		if !d.used {
			d.next, d.used = rand.IntN(len(addresses)), true
		}
		d.next %= len(addresses)
		return append(slices.Clone(addresses[d.next:]), addresses[:d.next]...)
	}
	var good, shunned []string
	for _, a := range addresses {
		if at, is := d.failed[a]; is && time.Since(at) < shunTime {
			shunned = append(shunned, a)
		} else {
			good = append(good, a)
		}
	}
	return append(good, shunned...)
}

// succeeded lets the next Dial begin after the i-th address that was tried.
func (d *Dialer) succeeded(address string, i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.failed, address)
	d.next += i + 1
}

func (d *Dialer) shun(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		d.failed = map[string]time.Time{}
	}
	d.failed[address] = time.Now()
	if len(d.failed) > 64 { // of a site that was renumbered again and again
		clear(d.failed)
	}
}

func (d *Dialer) timeout() time.Duration {
	if d.Timeout == 0 {
		return 3 * time.Second
	}
	return d.Timeout
}

func (d *Dialer) dial(ctx context.Context, address string) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout())
	defer cancel()
	cfg, err := d.TLS()
	if err == nil && cfg == nil {
		err = errDialer
	}
	if err != nil {
		return nil, err
	}
	cfg = cfg.Clone()
	cfg.MinVersion, cfg.NextProtos = tls.VersionTLS13, []string{"h2"}
	open := d.Net
	if open == nil {
		open = new(net.Dialer).DialContext
	}
	var secured *tls.Conn
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	transport := &http.Transport{
		Protocols: &protocols, DisableCompression: true,
		HTTP2: &http.HTTP2Config{
			// Strict: a request beyond the limit waits for a stream; the region knows one
			// connection of a rack.
			SendPingTimeout: rackPingAfter, PingTimeout: pingTime, WriteByteTimeout: stuckTime, StrictMaxConcurrentRequests: true,
		},
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			raw, err := open(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			secured = tls.Client(raw, cfg)
			if err := secured.HandshakeContext(ctx); err != nil {
				raw.Close()
				return nil, err
			}
			return secured, nil
		},
	}
	client, err := transport.NewClientConn(ctx, "https", address)
	if err != nil {
		return nil, explain(err, secured)
	}
	c := &conn{http: client, base: "https://" + address, slots: make(chan struct{}, maxStreams-maxWaits), closed: make(chan struct{})}
	if err := c.hello(ctx); err != nil {
		c.Close()
		return nil, explain(err, secured)
	}
	return c, nil
}

// explain adds what to do when a region ends the connection right after the client's part of the
// handshake: in TLS 1.3 that is how it refuses a certificate. Often the alert that says so is lost
// with the connection.
func explain(err error, conn *tls.Conn) error {
	refused := (*rpc.Error)(nil)
	if conn == nil || !conn.ConnectionState().HandshakeComplete || errors.As(err, &refused) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("it ended the connection at once: it is stopping, or does not take this rack's certificate; if that has expired or the site was made anew, enrol again (%w)", err)
}
