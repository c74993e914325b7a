package dhcpsrv

import (
	"net"
	"net/netip"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// Watched is a choice of a client that [ModeWatch] heard: which address of another server it takes.
type Watched struct {
	MAC    net.HardwareAddr
	Subnet string
	Link   string
	Server netip.Addr // that gave the address; invalid = the client rebinds, or restarts
	Addr   netip.Addr // that the client takes
	Ours   netip.Addr // what this server would have offered; invalid = nothing
	Why    Reason     // of nothing
	// Kept reports that the lease is stored, so that the client renews it after the change of mode.
	Kept bool
}

// Same reports whether this server would have given the address.
func (w Watched) Same() bool { return w.Addr == w.Ours }

// watchedFor is the length of a lease that was watched. Its real one is in the answer, which
// switches deliver to the client alone, and so are the renewals: a day covers usual lengths, and a
// client whose lease has ended here keeps its address while no other client gets it.
const watchedFor = 24 * time.Hour

// decideWatching stays silent. A client that takes an address names it in its REQUEST, which is
// broadcast while it selects, rebinds or restarts (RFC 2131 section 4.3.2), so that leases of the
// other server are known without hearing its answers.
func (t *table) decideWatching(d *decision, r *request) {
	d.silent(dropWatching)
	if r.kind != wire.Request {
		return
	}
	addr := r.wanted
	if addr == 0 {
		addr = r.ciaddr
	}
	sub := t.cur.find(addr)
	if addr == 0 || sub == nil || sub.seg != d.seg || d.seg.hasServer(r, d.now) {
		return
	}
	own := *d
	own.trace, own.reason = false, 0
	w := Watched{
		MAC: append(net.HardwareAddr(nil), r.CHAddr()...), Subnet: sub.Name, Link: r.pkt.Link, Server: r.serverID, Addr: addr.addr(),
	}
	if t.choose(&own, addr) {
		w.Ours = own.addr.addr()
	} else if w.Why = own.reason; w.Why == 0 {
		w.Why = dropPoolExhausted
	}
	// An address that is reserved for another client stays reserved: the difference is reported.
	if of := t.cur.byAddr[addr]; t.blocker(addr, d.key, d.now) == nil && (of == nil || of == d.res) {
		w.Kept = true
		d.addr, d.act = addr, actGrant
	}
	d.watched = &w
	if d.trace {
		d.note("the client takes %v of another server; this one would offer %v", w.Addr, w.Ours)
	}
}

// reportWatched hands over what was heard.
func (s *Server) reportWatched(d *decision) {
	if d.watched != nil && s.cfg.Watched != nil {
		s.cfg.Watched(*d.watched)
	}
}
