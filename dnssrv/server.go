package dnssrv

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"
)

// Config is what a server is made of. The zero value is a server without zones that forwards nothing.
type Config struct {
	// Log receives failures that no client is told of. Nil discards.
	Log *slog.Logger
}

// A Server answers questions about its zones and, for the clients it may, forwards others. Its methods may be called
// concurrently.
type Server struct {
	log        *slog.Logger
	forwarding atomic.Pointer[forwarder]
	panics     atomic.Uint64

	mu   sync.RWMutex // guards following
	data data
}

// New returns a server without zones. It starts nothing and cannot fail.
func New(cfg Config) *Server {
	s := &Server{log: cfg.Log, data: newData()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.forwarding.Store(&forwarder{})
	return s
}

// maxUDP is the largest answer sent in a datagram: what passes every link unfragmented (DNS flag day 2020).
const maxUDP = 1232

// Handle answers one question, without a socket. The client's address decides whether a question outside of the zones is
// forwarded. It returns nil when the message deserves no answer.
func (s *Server) Handle(ctx context.Context, q *dns.Msg, client netip.Addr) *dns.Msg {
	if q.Response {
		return nil
	}
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = s.forwarding.Load().allows(client)
	opt := q.IsEdns0()
	if opt != nil {
		m.SetEdns0(maxUDP, opt.Do())
		if opt.Version() != 0 {
			m.Rcode = dns.RcodeBadVers
			return m
		}
	}
	switch {
	case q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
	case len(q.Question) != 1 || len(q.Answer) != 0 || len(q.Ns) != 0:
		m.Rcode = dns.RcodeFormatError
	case q.Question[0].Qclass != dns.ClassINET || isTransfer(q.Question[0].Qtype):
		m.Rcode = dns.RcodeRefused
	default:
		s.resolve(ctx, q, m, client)
	}
	return m
}

func isTransfer(qtype uint16) bool { return qtype == dns.TypeAXFR || qtype == dns.TypeIXFR }

func (s *Server) resolve(ctx context.Context, q, m *dns.Msg, client netip.Addr) {
	s.mu.RLock()
	ours := s.data.answer(m)
	s.mu.RUnlock()
	if ours {
		return
	}
	if !m.RecursionAvailable || !q.RecursionDesired {
		m.Rcode = dns.RcodeRefused
		return
	}
	s.forwarding.Load().forward(ctx, q, m)
}
