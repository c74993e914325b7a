package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/rpc/enrol"
)

// DefaultPort is the TCP port on which racks listen for their partners.
const DefaultPort = 5251

const (
	dialEvery     = time.Second
	dialTime      = 3 * time.Second
	handshakeTime = 5 * time.Second
	maxHandshakes = 64 // at once, on one listener
	maxOfOne      = 8  // of one address
)

// Partner is a rack to be connected with.
type Partner struct {
	Name  string       // in its certificate
	Addrs []netip.Addr // where it is reached, the best one first
}

// Config holds the settings of a [Peer].
type Config struct {
	// Identity returns this rack's identity; it is called for each connection, so a renewed
	// certificate is used from the next one on. Required.
	Identity func() *enrol.Identity
	// Partners returns the present partners. It is called often and concurrently. Required.
	Partners func() []Partner
	// Refuse returns the reason to refuse a certificate of the site's CA, for example that it is
	// revoked. It is called often and concurrently, also for open connections, which then end. Nil
	// refuses none.
	Refuse func(*x509.Certificate) error
	// Exchange uses the connection to the named partner. It returns when ctx or the connection
	// ends, having closed conn. A second call for the same partner, while the first one runs, is
	// for the connection that replaces it. Required.
	Exchange func(ctx context.Context, partner string, conn *Conn) error
	// Port is the port of the partners. Zero means DefaultPort.
	Port int
	// Dial connects to a partner. If nil, it is DialContext of a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Log receives connections and refusals. If nil, they are discarded.
	Log *slog.Logger
}

// A Peer keeps the connections of a rack to its partners.
type Peer struct {
	cfg Config

	mu    sync.Mutex
	busy  map[string]int       // exchanges that run, by partner
	said  map[string]time.Time // when it was logged that a partner cannot be reached
	brief map[string]bool      // whether the last connection was, by partner

	refusals *bounds.Log
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Peer, error) {
	if cfg.Identity == nil || cfg.Partners == nil || cfg.Exchange == nil {
		return nil, errors.New("peer: Identity, Partners and Exchange are required")
	}
	if cfg.Refuse == nil {
		cfg.Refuse = func(*x509.Certificate) error { return nil }
	}
	if cfg.Port == 0 {
		cfg.Port = DefaultPort
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Peer{
		cfg: cfg, busy: make(map[string]int), said: make(map[string]time.Time), brief: make(map[string]bool),
		refusals: bounds.NewLog(cfg.Log, bounds.Rate{Burst: refusedAtOnce, Every: refusedEvery}),
	}, nil
}

// Serve keeps a connection to each partner until ctx ends, and returns nil then. It closes the
// listeners, on which those partners come in that dial; there may be several, one for each address
// of the rack.
func (p *Peer) Serve(ctx context.Context, listeners ...net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	defer func() { // so that accept ends, too
		for _, ln := range listeners {
			ln.Close()
		}
	}()
	failed := make(chan error, len(listeners))
	for _, ln := range listeners {
		running.Go(func() { failed <- p.accept(ctx, ln, &running) })
	}
	tick := time.NewTicker(dialEvery)
	defer tick.Stop()
	for {
		for _, partner := range p.toDial() {
			running.Go(func() { p.dial(ctx, partner) })
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		case err := <-failed:
			if ctx.Err() == nil {
				cancel()
				return fmt.Errorf("peer: listen: %w", err)
			}
		}
	}
}

// toDial returns the partners to connect to, and marks them as being dealt with.
func (p *Peer) toDial() (out []Partner) {
	self := p.cfg.Identity().Name()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, partner := range p.cfg.Partners() {
		if self < partner.Name && p.busy[partner.Name] == 0 {
			p.busy[partner.Name]++
			out = append(out, partner)
		}
	}
	return out
}

func (p *Peer) done(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[name]--; p.busy[name] == 0 {
		delete(p.busy, name)
	}
}

// dial connects to a partner at the first of its addresses that answers, and exchanges.
func (p *Peer) dial(ctx context.Context, partner Partner) {
	defer p.done(partner.Name)
	var errs []error
	for _, a := range partner.Addrs {
		conn, err := p.connect(ctx, partner.Name, net.JoinHostPort(a.String(), strconv.Itoa(p.cfg.Port)))
		if err == nil {
			p.exchange(ctx, partner.Name, conn)
			return
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		p.say(partner.Name, err)
	}
}

// sayAgain is the interval of log lines about a partner that cannot be reached.
const sayAgain = 5 * time.Minute

// say logs a failure, and those that follow now and then only: the next try is a second away, and
// its error may name another port.
func (p *Peer) say(name string, err error) {
	now := time.Now()
	p.mu.Lock()
	last, said := p.said[name]
	again := said && now.Sub(last) < sayAgain
	if !again {
		p.said[name] = now
	}
	p.mu.Unlock()
	if !again {
		p.cfg.Log.Warn("partner unreachable", "partner", name, "err", err)
	}
}

func (p *Peer) connect(ctx context.Context, name, address string) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	raw, err := p.cfg.Dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, tlsConfig(p.cfg.Identity(), p.cfg.Refuse, func(cn string) error {
		if cn != name {
			return fmt.Errorf("peer: rack %q answers at %s, not %q", cn, address, name)
		}
		return nil
	}))
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return conn, nil
}

// accept takes connections until the listener is closed.
func (p *Peer) accept(ctx context.Context, ln net.Listener, running *sync.WaitGroup) error {
	ln = bounds.Listen(ln, bounds.Limits{Total: maxHandshakes, PerSource: maxOfOne, Log: p.cfg.Log})
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	for {
		raw, err := ln.Accept()
		if err != nil {
			return err
		}
		running.Go(func() { p.welcome(ctx, raw) })
	}
}

// welcome verifies the other side of an accepted connection and exchanges with it.
func (p *Peer) welcome(ctx context.Context, raw net.Conn) {
	conn := tls.Server(raw, tlsConfig(p.cfg.Identity(), p.cfg.Refuse, p.allowed))
	err := func() error {
		ctx, cancel := context.WithTimeout(ctx, handshakeTime)
		defer cancel()
		return conn.HandshakeContext(ctx)
	}()
	if err != nil {
		raw.Close()
		p.refusals.Warn("connection refused", "client", raw.RemoteAddr().String(), "err", err)
		return
	}
	name := conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	p.mu.Lock()
	many := p.busy[name] >= 2 // one that runs, and one that takes its place
	p.busy[name]++
	p.mu.Unlock()
	defer p.done(name)
	if many || !bounds.Admit(raw) {
		raw.Close()
		return
	}
	p.exchange(ctx, name, conn)
}

// A rack that is shut out comes each second, a stranger more often. This many refusals are logged
// at once, and then one in so much time.
const (
	refusedAtOnce = 5
	refusedEvery  = time.Minute
)

func (p *Peer) allowed(name string) error {
	for _, partner := range p.cfg.Partners() {
		if partner.Name == name {
			return nil
		}
	}
	return fmt.Errorf("peer: rack %q is no partner of this one", name)
}

func (p *Peer) exchange(ctx context.Context, name string, conn *tls.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watching sync.WaitGroup
	watching.Go(func() {
		defer cancel()
		p.watch(ctx, name, conn.ConnectionState().PeerCertificates[0])
	})
	began, told := time.Now(), false
	tell := func() {
		p.cfg.Log.Info("partner connected", "partner", name, "address", conn.RemoteAddr().String())
		told = true
	}
	if p.reached(name) {
		watching.Go(func() { outlives(ctx, brief, tell) })
	} else {
		tell()
	}
	err := p.cfg.Exchange(ctx, name, newConn(conn))
	p.ended(name, err != nil && time.Since(began) < brief)
	expected := ctx.Err() != nil
	cancel()
	watching.Wait()
	if err != nil && !expected && told {
		p.cfg.Log.Warn("partner disconnected", "partner", name, "err", err)
	}
	conn.Close()
}

// brief is the duration below which a connection does not count as one. With TLS 1.3 a refused
// client learns of the refusal only after its handshake. It tries again each second, and is logged
// once; a connection after it is logged when it has lasted longer.
const brief = 2 * dialEvery

// outlives calls f if ctx lasts that long.
func outlives(ctx context.Context, least time.Duration, f func()) {
	select {
	case <-time.After(least):
		f()
	case <-ctx.Done():
	}
}

// reached notes that a partner was reached, and reports whether the last connection was brief.
func (p *Peer) reached(name string) (again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.said, name)
	return p.brief[name]
}

func (p *Peer) ended(name string, wasBrief bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if delete(p.brief, name); wasBrief {
		p.brief[name] = true
	}
}

// watch returns when ctx ends or the certificate is refused.
func (p *Peer) watch(ctx context.Context, name string, cert *x509.Certificate) {
	tick := time.NewTicker(dialEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := p.cfg.Refuse(cert); err != nil {
			p.cfg.Log.Warn("partner refused", "partner", name, "err", err)
			return
		}
	}
}
