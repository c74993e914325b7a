package dnssrv

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Forwarding says for whom questions outside of the zones are asked elsewhere.
type Forwarding struct {
	// Servers are recursive resolvers, tried in order from the one that answered last. None means nothing is forwarded.
	Servers []netip.AddrPort `json:"servers,omitempty"`
	// Allow lists the clients' networks. None means nobody, so that a server is never open by accident.
	Allow []netip.Prefix `json:"allow,omitempty"`
}

// upstreamTimeout is how long one upstream may take before the next is tried.
const upstreamTimeout = 2 * time.Second

// SetForwarding replaces the forwarding rules; questions in progress finish by the old ones. An error names the entry that
// is not usable and leaves the rules as they were.
func (s *Server) SetForwarding(f Forwarding) error {
	for _, server := range f.Servers {
		if !server.IsValid() || server.Port() == 0 || server.Addr().IsUnspecified() {
			return fmt.Errorf("dnssrv: forwarder %q needs an address and a port", server)
		}
	}
	for _, prefix := range f.Allow {
		if !prefix.IsValid() {
			return errors.New("dnssrv: forwarding: an allowed network is not a valid prefix")
		}
	}
	s.forwarding.Store(&forwarder{servers: slices.Clone(f.Servers), allow: slices.Clone(f.Allow)})
	return nil
}

type forwarder struct {
	servers []netip.AddrPort
	allow   []netip.Prefix
	best    atomic.Int32 // index of the server that answered last
}

func (f *forwarder) allows(client netip.Addr) bool {
	client = client.Unmap().WithZone("")
	return len(f.servers) > 0 && slices.ContainsFunc(f.allow, func(p netip.Prefix) bool { return p.Contains(client) })
}

// forward asks the servers in turn and copies the first answer into m; when none answers m says SERVFAIL.
func (f *forwarder) forward(ctx context.Context, q, m *dns.Msg) {
	ask := new(dns.Msg)
	ask.SetQuestion(q.Question[0].Name, q.Question[0].Qtype)
	ask.CheckingDisabled = q.CheckingDisabled
	opt := q.IsEdns0()
	ask.SetEdns0(maxUDP, opt != nil && opt.Do())
	first := int(f.best.Load())
	for i := range f.servers {
		at := (first + i) % len(f.servers)
		answer, err := exchange(ctx, ask, f.servers[at].String())
		if err != nil || answer.Rcode == dns.RcodeServerFailure || answer.Rcode == dns.RcodeRefused {
			continue
		}
		f.best.Store(int32(at))
		m.Rcode = answer.Rcode
		m.Answer, m.Ns = answer.Answer, answer.Ns
		for _, rr := range answer.Extra {
			if rr.Header().Rrtype != dns.TypeOPT {
				m.Extra = append(m.Extra, rr)
			}
		}
		return
	}
	m.Rcode = dns.RcodeServerFailure
}

// exchange asks over UDP, and over TCP when the answer did not fit.
func exchange(ctx context.Context, ask *dns.Msg, server string) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	answer, _, err := (&dns.Client{Net: "udp", UDPSize: maxUDP}).ExchangeContext(ctx, ask, server)
	if err == nil && answer.Truncated {
		answer, _, err = (&dns.Client{Net: "tcp"}).ExchangeContext(ctx, ask, server)
	}
	return answer, err
}
