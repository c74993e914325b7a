package dnssrv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// answerTime bounds a function of a zone: clients ask again after five seconds.
const answerTime = 5 * time.Second

// answerByFunc answers a name that does not exist by the function of its zone, if that has one. The
// function runs without the lock, since it may wait.
func (s *Server) answerByFunc(ctx context.Context, m *dns.Msg, client netip.Addr) {
	s.mu.RLock()
	name, z := s.data.end(m)
	s.mu.RUnlock()
	if z == nil || z.conf.Answer == nil {
		return
	}
	qtype := m.Question[0].Qtype
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	sets, err := z.conf.Answer(ctx, Query{Name: strings.TrimSuffix(name, "."), Type: dns.Type(qtype).String(), Client: client})
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var records []dns.RR
	for _, set := range sets {
		p, perr := set.parse()
		if perr == nil && p.name != name {
			perr = fmt.Errorf("dnssrv: %s %s: the question was about %s", set.Name, set.Type, name)
		}
		if err = errors.Join(err, perr); perr == nil && (p.qtype == qtype || p.qtype == dns.TypeCNAME) {
			records = append(records, p.owned(name, z.ttl)...)
		}
	}
	if err != nil {
		s.faults.Error("zone function failed", "zone", z.name, "err", err)
		m.Answer, m.Ns, m.Rcode = nil, nil, dns.RcodeServerFailure
		return
	}
	m.Rcode = dns.RcodeSuccess
	if len(records) > 0 {
		m.Answer, m.Ns = append(m.Answer, records...), nil
	}
}
