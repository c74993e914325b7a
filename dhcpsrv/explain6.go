package dhcpsrv

import (
	"context"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// Explain6 is [Server.Explain] for DHCPv6. Of several identity associations Addr is the first that gets an address; Steps
// tells of all.
func (s *Server) Explain6(ctx context.Context, p Packet) (x Explanation) {
	defer s.recovered("explain")
	var r request6
	if x.Reason = r.parse(p); x.Reason != 0 {
		return x
	}
	x.Message = r.Type.String()
	d := decision6{hold: s.cfg.OfferHold, trace: true}
	s.mu.Lock()
	d.now = time.Unix(0, s.now())
	s.table6.decide(&d, &r)
	x.Probe = s.wouldProbe6(&d) != nil
	s.mu.Unlock()
	x.describe6(&d)
	if d.reply == 0 {
		return x
	}
	reply := s.reply6(ctx, new(wire6.Writer), &d, &r)
	x.To, x.Link = reply.Dst, reply.Link
	x.readReply6(reply.Data)
	return x
}

func (x *Explanation) describe6(d *decision6) {
	x.Steps, x.Reason = d.steps, d.reason
	if d.sub == nil {
		return
	}
	x.Segment, x.Subnet = d.sub.seg.name, d.sub.Name
	if d.res != nil {
		x.Reservation = d.res.label()
	}
	for i := range d.ias {
		ia := &d.ias[i]
		if !ia.addr.IsValid() {
			continue
		}
		x.Addr, x.AddrBy, x.Lease, x.Subnet = ia.addr, ia.by, ia.lease, ia.sub.Name
		if n := ia.sub.pool(ia.addr); n >= 0 {
			x.Pool = ia.sub.Pools[n].First.String() + "-" + ia.sub.Pools[n].Last.String()
		}
		return
	}
}

// readReply6 takes from the reply itself what it says, so that the explanation cannot differ from it.
func (x *Explanation) readReply6(b []byte) {
	for len(b) > 34 && wire6.Type(b[0]) == wire6.RelayReply {
		b = wire6.Options(b[34:]).Find(wire6.OptRelayMessage)
	}
	if len(b) < 4 {
		return
	}
	x.Reply = wire6.Type(b[0]).String()
	for code, data := range wire6.Options(b[4:]).All() {
		if code == wire6.OptBootURL {
			x.BootFile = string(data)
		}
		if code < 256 {
			x.Options = append(x.Options, Option{Code: uint8(code), Data: data})
		}
	}
}
