package dnssrv

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/gomaas/maas/internal/bounds"
)

// Config configures a server. The zero value is a server without zones that forwards nothing.
type Config struct {
	// Log receives failures that no client sees. If nil, they are discarded.
	Log *slog.Logger
	// ResponseRate is the number of datagram answers with one response code that a network of
	// clients (a /24 or /56) gets a second. Of further answers half are truncated, so that a real
	// client comes over TCP, and half are dropped. Answers to this host and to clients that
	// [Forwarding] allows are not counted. Zero sets no limit; a server that strangers reach should
	// have [DefaultResponseRate].
	ResponseRate int
	// Updates takes dynamic updates that the policy allows. Nil changes the server's records in
	// memory; a later [Server.Update] of the same sets replaces them then.
	Updates Updater
	// Serials keeps the serials of zones from going back across restarts; secondaries need that.
	// Nil starts at the clock.
	Serials *Serials
	// ForwardSpecialNames makes upstreams be asked about names that mean something within a site
	// only: reverse names of private addresses (RFC 6303), localhost, test, invalid (RFC 6761),
	// local (RFC 6762), onion (RFC 7686) and a few more. If false they are answered here, unless a
	// zone or one of [Forwarding].Domains has them.
	ForwardSpecialNames bool
	// MaxStreams bounds the TCP connections of one listener of [Server.ServeStream], and
	// MaxStreamsPerClient those of one address; an IPv6 /64 has half of all. At a bound, the
	// connection that is idle longest is closed. Zero means 256 and 32.
	MaxStreams, MaxStreamsPerClient int
	// Notified is called for each NOTIFY of another server (RFC 1996), and reports whether the zone
	// is followed from there; it must not wait. If nil, none is.
	Notified func(zone string, from netip.Addr) bool
	// Roots sign the certificates of upstreams that are asked over TLS. If nil, the system's roots
	// do.
	Roots *x509.CertPool
}

// A Server answers questions about its zones and, for the clients it may, forwards others. Its
// methods may be called concurrently.
type Server struct {
	log        *slog.Logger
	faults     *bounds.Log // for lines that a question causes
	forwarding atomic.Pointer[forwarder]
	panics     atomic.Uint64
	dropped    atomic.Uint64
	answers    [24]atomic.Uint64 // by response code; what is beyond counts as the last
	cached     cacheCounts
	limiter    *limiter
	serials    *Serials
	roots      *x509.CertPool
	cookies    cookieSecret
	updates    Updater
	notified   func(zone string, from netip.Addr) bool

	maxStreams, maxPerClient int

	policy  atomic.Pointer[policy]
	notices notices

	mu   sync.RWMutex // guards the fields below
	data data
}

// faultLines is the rate of log lines of which any client may cause as many as it sends questions,
// as long as a key or an encoding fails.
var faultLines = bounds.Rate{Burst: 20, Every: 5 * time.Second}

// New returns a server without zones. It starts nothing and cannot fail.
func New(cfg Config) *Server {
	s := &Server{log: cfg.Log, data: newData(), limiter: newLimiter(cfg.ResponseRate), cookies: newCookieSecret()}
	s.serials, s.roots, s.updates, s.notified = cfg.Serials, cfg.Roots, cfg.Updates, cfg.Notified
	s.maxStreams = cmp.Or(max(cfg.MaxStreams, 0), maxStreams)
	s.maxPerClient = cmp.Or(max(cfg.MaxStreamsPerClient, 0), maxPerClient)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.faults = bounds.NewLog(s.log, faultLines)
	s.forwarding.Store(&forwarder{counts: &s.cached, leaky: cfg.ForwardSpecialNames})
	s.policy.Store(&policy{})
	s.notices = notices{wake: make(chan struct{}, 1), pending: map[netip.AddrPort]map[string]bool{}, busy: map[netip.AddrPort]bool{}}
	return s
}

// maxUDP is the largest answer sent in a datagram: what passes every link unfragmented (DNS flag
// day 2020).
const maxUDP = 1232

// Handle answers a message in wire form, without a socket, as over TCP. The client's address
// decides whether a question outside of the zones is forwarded. It returns nil when the message
// deserves no answer. Transfers, which take many messages, are refused: they need
// [Server.ServeStream].
func (s *Server) Handle(ctx context.Context, message []byte, client netip.Addr) []byte {
	q := new(dns.Msg)
	if q.Unpack(message) == nil && len(q.Question) == 1 && isTransfer(q.Question[0].Qtype) {
		if q.IsTsig() != nil {
			q.Extra = nil // a refusal needs no signature
		}
		if m := s.handle(ctx, q, client); m != nil {
			return s.pack(q, m, false)
		}
		return nil
	}
	out := s.handleMessage(ctx, message, client, false)
	if len(out) == 0 {
		return nil
	}
	return out[0]
}

// handle answers one question.
func (s *Server) handle(ctx context.Context, q *dns.Msg, client netip.Addr) *dns.Msg {
	if q == nil || q.Response {
		return nil
	}
	m := new(dns.Msg)
	m.SetReply(q)
	defer func() { s.answers[min(m.Rcode, len(s.answers)-1)].Add(1) }()
	m.RecursionAvailable = s.forwarding.Load().allows(client)
	opt := q.IsEdns0()
	if opt != nil {
		m.SetEdns0(maxUDP, opt.Do())
		// RFC 6891 section 6.1.3
		if opt.Version() != 0 {
			m.Rcode = dns.RcodeBadVers
			return m
		}
		if !s.cookies.answer(opt, m.IsEdns0(), client) {
			m.Rcode = dns.RcodeFormatError
			return m
		}
	}
	switch {
	case q.Opcode == dns.OpcodeNotify && len(q.Question) == 1 && s.notified != nil && s.notified(dns.CanonicalName(q.Question[0].Name), client):
		m.Authoritative = true
	case q.Opcode == dns.OpcodeNotify && len(q.Question) == 1:
		m.Rcode = dns.RcodeNotAuth // the server has no zone of another primary (RFC 1996 section 3.10)
	case q.Opcode == dns.OpcodeNotify:
		m.Rcode = dns.RcodeFormatError
	case q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
	case len(q.Question) == 0 && len(q.Answer) == 0 && len(q.Ns) == 0 && opt != nil && cookieIn(m) != nil:
		m.Rcode = cookieIn(m).status()
	// More than one question has no defined answer (RFC 9619).
	case len(q.Question) != 1 || len(q.Answer) != 0 || len(q.Ns) != 0:
		m.Rcode = dns.RcodeFormatError
	// Transfers take several messages, so they are answered where the socket is.
	case q.Question[0].Qclass != dns.ClassINET || isTransfer(q.Question[0].Qtype):
		m.Rcode = dns.RcodeRefused
	default:
		s.resolve(ctx, q, m, client)
	}
	return m
}

func isTransfer(qtype uint16) bool { return qtype == dns.TypeAXFR || qtype == dns.TypeIXFR }

// answerLocal answers from the zones. It reports whether the question is about one of them, and the
// end of an alias that leads out of them. The lock is deferred: a panic, which is survived, must
// not keep it and so stop all changes.
func (s *Server) answerLocal(q, m *dns.Msg) (ours bool, alias string, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if ours = s.data.answer(m); !ours {
		return false, "", nil
	}
	if opt := q.IsEdns0(); opt != nil && opt.Do() {
		err = s.data.secure(m, time.Now())
	}
	if end, z := s.data.end(m); z == nil {
		alias = end
	}
	return true, alias, err
}

func (s *Server) resolve(ctx context.Context, q, m *dns.Msg, client netip.Addr) {
	ours, alias, err := s.answerLocal(q, m)
	if err != nil {
		s.faults.Error("answer not signed", "question", q.Question, "err", err)
		m.Answer, m.Ns, m.Rcode = nil, nil, dns.RcodeServerFailure
		return
	}
	if m.Rcode == dns.RcodeNameError {
		s.answerByFunc(ctx, m, client)
	}
	// A client that does not ask for recursion is a server, which follows aliases itself.
	recursive := m.RecursionAvailable && q.RecursionDesired
	switch {
	case !ours && recursive:
		s.forwarding.Load().forward(ctx, q, m)
	case !ours:
		m.Rcode = dns.RcodeRefused
	case alias != "" && recursive:
		s.followAlias(ctx, q, m, alias)
	}
}
