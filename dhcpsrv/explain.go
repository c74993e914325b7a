package dhcpsrv

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// Explanation is the path to the answer of one packet, as data.
type Explanation struct {
	Message string   // type of the packet, such as DISCOVER; "" when it is not a DHCP message
	Steps   []string // what was found, in the order in which it was looked for

	Segment     string
	Subnet      string
	Pool        string // range that holds Addr; "" = outside the pools
	Reservation string

	Mode   Mode   // in force where the client is; ModeAuto = the server listens
	ModeBy string // what decided it, such as "auto: 192.0.2.9 answers"

	Reply    string // OFFER, ACK or NAK; "" = silence
	Reason   Reason // of silence or NAK
	Addr     netip.Addr
	AddrBy   string // how Addr was chosen
	Lease    time.Duration
	Probe    bool // the address would be probed before it is offered
	To       netip.AddrPort
	Link     string           // interface the reply leaves on; "" = by the routes of the host
	HW       net.HardwareAddr // not nil: as a unicast frame
	Next     netip.Addr       // siaddr
	BootFile string
	Options  Options // of the reply, by code
}

// Explain tells what the server would answer to p now, and why, without changing anything. It runs the code that serves;
// only probes and commits are left out.
func (s *Server) Explain(ctx context.Context, p Packet) (x Explanation) {
	defer s.recovered("explain")
	var r request
	if x.Reason = r.parse(p); x.Reason != 0 {
		return x
	}
	x.Message = r.kind.String()
	d := decision{hold: int64(s.cfg.OfferHold), trace: true}
	s.mu.Lock()
	d.now = s.now()
	s.table.decide(&d, &r)
	x.Probe = s.wouldProbe(&d)
	s.mu.Unlock()
	s.askBoot(ctx, &d, &r)
	x.describe(&d)
	if d.reply == noReply {
		return x
	}
	reply := s.reply(&d, &r, make([]byte, wire.MaxSize))
	x.To, x.Link, x.HW = reply.Dst, reply.Link, reply.HW
	x.readReply(reply.Data)
	return x
}

func (x *Explanation) describe(d *decision) {
	x.Steps, x.Reason, x.AddrBy, x.Lease = d.steps, d.reason, d.by, d.lease
	if d.seg != nil {
		x.Segment, x.Subnet = d.seg.name, d.sub.Name
	}
	x.Mode, x.ModeBy = d.mode, d.modeBy
	if d.res != nil {
		x.Reservation = d.res.label()
	}
	if d.addr == 0 {
		return
	}
	x.Addr = d.addr.addr()
	if _, n, ok := d.sub.space.index(d.addr); ok {
		r := d.sub.space.ranges[n]
		x.Pool = r.lo.addr().String() + "-" + r.hi.addr().String()
	}
}

// readReply takes from the reply itself what it says, so that the explanation cannot differ from it.
func (x *Explanation) readReply(b []byte) {
	var m wire.Msg
	if m.Parse(b) != nil {
		return
	}
	if m.Type() == wire.BOOTP {
		x.Reply = "BOOTREPLY"
	} else {
		x.Reply = m.Type().String()
	}
	x.Next, x.BootFile = m.SIAddr(), m.File()
	if file := m.Option(wire.OptBootFile); file != nil {
		x.BootFile = string(file)
	}
	for code, data := range m.Options() {
		x.Options = append(x.Options, Option{Code: code, Data: data})
	}
}
