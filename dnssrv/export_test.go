package dnssrv

import (
	"context"
	"net/netip"

	"github.com/miekg/dns"
)

// HandleMsg is Handle before the wire form.
func (s *Server) HandleMsg(ctx context.Context, q *dns.Msg, client netip.Addr) *dns.Msg {
	return s.handle(ctx, q, client)
}
