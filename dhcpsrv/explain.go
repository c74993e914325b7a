package dhcpsrv

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// Explanation holds the path to the answer of one packet, as data.
type Explanation struct {
	VRF     string   // routing domain of the packet; "" = the global one
	Message string   // type of the packet, such as DISCOVER; "" when it is not a DHCP message
	Steps   []string // what was found, in the order in which it was looked for

	SharedNetwork string
	Subnet        string
	Pool          string // range that holds Addr; "" = outside the pools
	Reservation   string

	Mode   Mode   // in force where the client is; ModeAuto = the server listens
	ModeBy string // what decided it, such as "auto: 192.0.2.9 answers"

	Reply    string // OFFER, ACK or NAK; "" = silence
	Reason   Reason // of silence or NAK
	Addr     netip.Addr
	Prefix   netip.Prefix // delegated, the first of several
	AddrBy   string       // how Addr was chosen
	Lease    time.Duration
	Probe    bool // the address would be probed before it is offered
	To       netip.AddrPort
	Link     string           // interface the reply leaves on; "" = by the routes of the host
	HW       net.HardwareAddr // not nil: as a unicast frame
	Next     netip.Addr       // siaddr
	BootFile string
	Options  Options // of the reply, by code
}

// Explain returns what the server would answer to p now, and why, without changing anything. It
// runs the code that serves; only probes and commits are left out.
func (s *Server) Explain(ctx context.Context, p Packet) (x Explanation) {
	defer s.recovered("explain")
	var r request
	if x.Reason = r.parse(p); x.Reason != 0 {
		return x
	}
	x.Message = r.kind.String()
	// The decision is made on the real table under its lock, but never applied.
	d := decision{hold: int64(s.cfg.OfferHold), trace: true}
	s.explain(ctx, func(a *hostAnswer) *HostQuery {
		d = decision{hold: d.hold, trace: true, answer: a, now: s.now()}
		if d.vrf, d.reason = s.selectVRF(r.vss, r.pkt.Link); d.reason != 0 {
			d.silent(d.reason)
			return nil
		}
		if d.vrf.v4.decide(&d, &r); d.awaits {
			q := d.vrf.v4.hostQuery(&d, &r)
			return &q
		}
		x.Probe = s.wouldProbe(&d)
		return nil
	})
	s.askBoot(ctx, &d, &r)
	x.describe(&d)
	if d.reply == noReply {
		return x
	}
	// The reply is encoded like any other, since size limits and overrides act only there.
	reply := s.reply(&d, &r, make([]byte, wire.MaxSize))
	x.To, x.Link, x.HW = reply.Dst, reply.Link, reply.HW
	x.readReply(reply.Data)
	return x
}

// explain calls decide under the lock and, when it returns a query, again with the answer of Hosts.
func (s *Server) explain(ctx context.Context, decide func(*hostAnswer) *HostQuery) {
	locked := func(a *hostAnswer) *HostQuery {
		s.mu.Lock()
		defer s.mu.Unlock()
		return decide(a)
	}
	if q := locked(nil); q != nil {
		locked(s.askHosts(ctx, "", *q))
	}
}

func (x *Explanation) describe(d *decision) {
	x.Steps, x.Reason, x.AddrBy, x.Lease = d.steps, d.reason, d.by, d.lease
	if d.vrf != nil {
		x.VRF = d.vrf.name
	}
	if d.seg != nil {
		x.SharedNetwork, x.Subnet = d.seg.name, d.sub.Name
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

// readReply reads the fields from the reply itself, so that the explanation cannot differ from it.
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

// Explain6 is [Server.Explain] for DHCPv6. Of several identity associations Addr is the first that
// gets an address; Steps has all of them.
func (s *Server) Explain6(ctx context.Context, p Packet) (x Explanation) {
	defer s.recovered("explain")
	var r request6
	if x.Reason = r.parse(p); x.Reason != 0 {
		return x
	}
	x.Message = r.Type.String()
	d := decision6{hold: s.cfg.OfferHold, trace: true}
	s.explain(ctx, func(a *hostAnswer) *HostQuery {
		d = decision6{hold: d.hold, trace: true, answer: a, now: time.Unix(0, s.now())}
		if d.vrf, d.reason = s.selectVRF(r.vss, r.pkt.Link); d.reason != 0 {
			d.silent(d.reason)
			return nil
		}
		if d.vrf.v6.decide(&d, &r); d.awaits {
			q := r.hostQuery(&d)
			return &q
		}
		x.Probe = s.wouldProbe6(&d) != nil
		return nil
	})
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
	if d.vrf != nil {
		x.VRF = d.vrf.name
	}
	if d.sub == nil {
		return
	}
	x.SharedNetwork, x.Subnet = d.sub.seg.name, d.sub.Name
	if d.res != nil {
		x.Reservation = d.res.label()
	}
	for i := range d.pds {
		if pd := &d.pds[i]; pd.addr.IsValid() && !x.Prefix.IsValid() {
			x.Prefix = pd.prefix()
		}
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

// readReply6 reads the fields from the reply itself, so that the explanation cannot differ from it.
func (x *Explanation) readReply6(b []byte) {
	for len(b) > 34 && wire6.Type(b[0]) == wire6.RelayReply {
		b = wire6.Options(b[34:]).Find(wire6.OptRelayMessage)
	}
	// Not a DHCPv6 message: Explain6 has no reply to show.
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
