package proxy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Config configures a proxy. The zero value works.
type Config struct {
	// Cache keeps what may be kept. Nil forwards everything. The caller closes it after the last
	// request.
	Cache *Cache
	// Access receives each request after its answer has ended, in the request's goroutine, for logs
	// and statistics. If nil, requests are not reported.
	Access func(Access)
	// Name is the proxy's name in Via, by which it recognizes a request that returns. If empty, a
	// random name keeps two proxies from sharing it.
	Name string
	// TLS is for origins of routes and for parents with https. Nil means the system's roots.
	TLS *tls.Config
	// Log receives refusals and failures of origins. Nil discards.
	Log *slog.Logger
}

// A Proxy is an http.Handler. Its methods may be called concurrently.
type Proxy struct {
	log     *slog.Logger
	cache   *Cache
	access  func(Access)
	name    string
	tls     *tls.Config
	own     ownAddresses
	uplink  uplink
	traffic traffic
	policy  atomic.Pointer[Policy]
	dialer  net.Dialer
	health  health
	origins origins
	forward httputil.ReverseProxy
}

// origins sends requests. Those of routes have connections of their own, so that what a client may
// not reach is not reached over a connection that a route left open.
type origins struct {
	p            *Proxy
	free, routed http.RoundTripper
}

func (o *origins) RoundTrip(r *http.Request) (*http.Response, error) {
	way := o.free
	if isRouted(r) {
		way = o.routed
	}
	o.p.introduce(r)
	var resp *http.Response
	var err error
	if r.Body != nil && r.Body != http.NoBody {
		resp, err = way.RoundTrip(r) // it closes the body, so there is no second attempt
	} else {
		resp, err = tryParents(o.p, r.URL.Hostname(), func() (*http.Response, error) { return way.RoundTrip(r) })
	}
	if err != nil {
		return nil, err
	}
	if !o.p.policy.Load().HideVia {
		o.p.addVia(resp.Header, resp.ProtoMajor, resp.ProtoMinor)
	}
	if body := o.p.uplink.meter(r.Context(), clientOf(r), resp.Body); body != resp.Body && resp.StatusCode != http.StatusSwitchingProtocols {
		resp.Body = meteredBody{body, resp.Body}
	}
	return resp, nil
}

// New returns a proxy that allows no client until [Proxy.Update] sets a policy. It starts nothing.
func New(cfg Config) *Proxy {
	p := &Proxy{log: cfg.Log, cache: cfg.Cache, access: cfg.Access, name: cfg.Name, tls: cfg.TLS}
	if p.name == "" {
		p.name = "maas-" + strings.ToLower(rand.Text()[:8])
	}
	p.traffic.begin(time.Now())
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.policy.Store(&Policy{})
	p.dialer = net.Dialer{Timeout: dialTimeout, ControlContext: p.checkDestination}
	p.origins = origins{p: p, free: p.transport(p.dial), routed: p.transport(p.dialRouted)}
	p.forward = httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		FlushInterval:  -1, // pass on what arrives at once
		ErrorHandler:   p.failed,
		ModifyResponse: p.observe,
		Transport:      &p.origins,
	}
	return p
}

const (
	dialTimeout = 30 * time.Second
	// expectTimeout bounds the wait for an origin's request for the body.
	expectTimeout = 5 * time.Second
	// maxHeader bounds the header of an origin's response, in bytes.
	maxHeader = 256 << 10
)

func (p *Proxy) transport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		Proxy:                  p.parent,
		DialContext:            dial,
		DisableCompression:     true, // bodies pass unchanged
		ForceAttemptHTTP2:      true,
		TLSClientConfig:        p.tls.Clone(),
		ExpectContinueTimeout:  expectTimeout,
		MaxIdleConnsPerHost:    16,
		MaxResponseHeaderBytes: maxHeader,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  2 * time.Minute,
	}
}

// observe lets the cache see responses that pass it by.
func (p *Proxy) observe(resp *http.Response) error {
	if p.cache != nil {
		p.cache.invalidate(resp)
	}
	return nil
}

// Update replaces the policy. An error names what is wrong with it and leaves the old one in force.
func (p *Proxy) Update(policy Policy) error {
	if err := policy.check(); err != nil {
		return err
	}
	p.policy.Store(&policy)
	p.uplink.setRate(policy.Uplink)
	return nil
}

// errForbidden is a destination that the policy keeps machines away from.
var errForbidden = errors.New("destination is not allowed")

// checkDestination runs on each socket after name resolution, so that a name cannot hide an
// address.
func (p *Proxy) checkDestination(_ context.Context, _, address string, _ syscall.RawConn) error {
	dest, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !p.reachable(dest.Addr()) {
		return fmt.Errorf("%s: %w", dest.Addr(), errForbidden)
	}
	return nil
}

// reachable reports whether clients may reach an address: not this host, unless the policy says so,
// nor what it denies.
func (p *Proxy) reachable(addr netip.Addr) bool {
	policy := p.policy.Load()
	return policy.allowsDestination(addr) && (contains(policy.AllowLocal, addr) || !p.own.has(addr))
}

// named reports whether a host may be asked for. An address is refused before a parent could reach
// it, names after they were resolved.
func (p *Proxy) named(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return p.reachable(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	}
	addr, err := netip.ParseAddr(host)
	return err != nil || p.reachable(addr)
}

func (p *Proxy) parent(r *http.Request) (*url.URL, error) { return p.parentOf(r.URL.Hostname()) }

// ServeHTTP forwards one request, or opens a tunnel for CONNECT.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.record(w, r)
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	policy := p.policy.Load()
	if !policy.allows(clientOf(r)) {
		p.refuse(w, r, http.StatusForbidden, "clients of this network may not use the proxy")
		return
	}
	if p.loops(r.Header) {
		p.refuse(w, r, http.StatusLoopDetected, "this request has come by here before")
		return
	}
	tunnel := r.Method == http.MethodConnect
	if routed := policy.route(r); r.URL.Host == "" && routed != nil {
		p.send(w, routed)
		return
	}
	if !tunnel && r.URL.Host == "" && len(policy.Routes) > 0 {
		p.refuse(w, r, http.StatusBadRequest, "no route of this proxy has this path, perhaps for want of a final slash; URLs of other origins are sent in absolute form")
		return
	}
	if !tunnel && (r.URL.Host == "" || r.URL.Scheme != "http") {
		p.refuse(w, r, http.StatusBadRequest, "this is a proxy: send http URLs in absolute form, and CONNECT for others")
		return
	}
	port, err := strconv.ParseUint(portOf(r.URL, tunnel), 10, 16)
	if err != nil || !policy.allowsPort(uint16(port), tunnel) {
		p.refuse(w, r, http.StatusForbidden, "this port may not be reached through the proxy")
		return
	}
	if !p.named(r.URL.Hostname()) {
		p.failed(w, r, errForbidden)
		return
	}
	if tunnel {
		p.tunnel(w, r)
		return
	}
	if !lastHop(w, r) {
		p.send(w, r)
	}
}

// send answers a request that may be answered, from the cache where that can be.
func (p *Proxy) send(w http.ResponseWriter, r *http.Request) {
	pass := func() { p.forward.ServeHTTP(w, r) }
	if p.cache == nil || !p.cache.takes(r) {
		pass()
		return
	}
	x := &exchange{w: w, r: r, origin: &p.origins, failed: func(err error) { p.failed(w, r, err) }}
	p.cache.serve(x, pass)
}

func portOf(u *url.URL, tunnel bool) string {
	if port := u.Port(); port != "" || tunnel {
		return port
	}
	return "80"
}

func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, code int, why string) {
	p.log.Debug("request refused", "client", r.RemoteAddr, "method", r.Method, "host", r.URL.Host, "err", why)
	http.Error(w, why, code)
}

func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errForbidden) {
		p.refuse(w, r, http.StatusForbidden, "this destination may not be reached through the proxy; the proxy's administrator can allow it")
		return
	}
	p.log.Info("origin failed", "client", r.RemoteAddr, "host", r.URL.Host, "err", err)
	http.Error(w, "the origin did not answer", http.StatusBadGateway)
}
