package dhcpsrv

import (
	"context"
	"net/netip"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// BootServerPort is the port on which firmware asks a proxyDHCP server again, by unicast, once it
// has an address (PXE 2.1 section 2.2.4).
const BootServerPort = 4011

// lastRenewal is the time that must be left of a lease for another renewal in proxy mode.
const lastRenewal = int64(time.Minute)

// discoveryControl is option 43 of a proxy offer: use the boot file of this packet, ask no other
// boot server, show no menu (PXE 2.1 section 2.4.4, tag 6 with bit 3).
var discoveryControl = Option{Code: wire.OptVendorInfo, Data: []byte{6, 1, 8, wire.OptEnd}, Always: true}

// isPXE reports whether firmware that accepts boot data from a proxy sent the packet.
func (r *request) isPXE() bool {
	class := r.Option(wire.OptVendorClass)
	return hasPrefix(class, "PXEClient") || hasPrefix(class, "HTTPClient")
}

// decideBootServer judges a packet to the port of boot servers.
func (d *decision) decideBootServer(r *request) {
	switch {
	case r.kind != wire.Request && r.kind != wire.Inform:
		d.silent(dropUnknownType)
	case r.serverID.IsValid() && !d.seg.hasServer(r, d.now):
		d.silent(dropOtherServer)
	default:
		d.answerBoot(r, wire.Ack)
	}
}

// answerBoot answers with boot data alone.
func (d *decision) answerBoot(r *request, reply wire.Type) {
	if !r.isPXE() {
		d.silent(dropProxy)
		return
	}
	d.reply, d.bootOnly, d.addr = reply, true, 0
}

// decideProxy judges a packet where another server gives the addresses.
func (t *table) decideProxy(d *decision, r *request) {
	switch r.kind {
	case wire.Discover:
		d.answerBoot(r, wire.Offer)
	case wire.Inform:
		d.answerBoot(r, wire.Ack)
	case wire.Request:
		t.decideOldLease(d, r)
	case wire.Decline, wire.Release:
		t.decideGiveBack(d, r)
	default:
		d.silent(dropProxy)
	}
}

// decideListening judges a packet while it is not known whether another server answers: a client
// with a lease of this server keeps it, and any other client asks again soon.
func (t *table) decideListening(d *decision, r *request) {
	switch r.kind {
	case wire.Request:
		t.decideOldLease(d, r)
	case wire.Decline, wire.Release:
		t.decideGiveBack(d, r)
	default:
		d.silent(dropListening)
	}
}

// decideOldLease acknowledges a lease that this server gave, or an offer that it made, before the
// mode changed. The lease is not extended, so that its client moves to the other server when it
// ends. A NAK would move it at once, but would cut its connections, and a host that makes a DHCP
// server appear for a moment could cut all of them.
func (t *table) decideOldLease(d *decision, r *request) {
	if r.serverID.IsValid() && !d.seg.hasServer(r, d.now) {
		d.silent(dropOtherServer)
		d.act = actForget
		return
	}
	if d.addr = r.wanted; d.addr == 0 {
		d.addr = r.ciaddr
	}
	e := t.byAddr[d.addr]
	switch {
	case e == nil || !e.mine(d.key) || !e.live(d.now) || e.state == offered && !r.serverID.IsValid():
		d.addr = 0
	case e.state == Bound:
		if d.most = time.Duration(e.end - d.now); e.end-d.now < lastRenewal {
			d.addr = 0
		}
	}
	if d.addr == 0 {
		d.silent(dropProxy)
		return
	}
	t.decideGrant(d, r.serverID.IsValid())
}

// askBoot asks the embedder what the client loads. Where boot data is all there is to send, no
// answer means silence.
func (s *Server) askBoot(ctx context.Context, d *decision, r *request) {
	if d.reply == noReply || d.reply == wire.Nak || d.host.bootBy(s.cfg.Boot) == nil && !d.bootOnly {
		return
	}
	if d.boot, d.booting = s.selectBoot(ctx, d, r); d.bootOnly && !d.booting {
		d.silent(dropNoBoot)
	}
}

// proxyOptions adds the options of a proxy offer: the short class of the client, and the
// instruction to boot from here.
func proxyOptions(extra Options, d *decision, r *request) Options {
	if extra.find(wire.OptVendorClass) == nil {
		class := r.Option(wire.OptVendorClass)[:len("PXEClient")]
		if class[0] == 'H' {
			class = r.Option(wire.OptVendorClass)[:len("HTTPClient")]
		}
		extra = append(extra[:len(extra):len(extra)], Option{Code: wire.OptVendorClass, Data: class, Always: true})
	}
	if extra.find(wire.OptVendorInfo) == nil && hasPrefix(extra.find(wire.OptVendorClass).Data, "PXEClient") {
		extra = append(extra[:len(extra):len(extra)], discoveryControl)
	}
	return extra
}

// bootServerReply addresses an answer from the port of boot servers: back to the sender of the
// packet.
func (r *request) bootServerReply(b []byte, server netip.Addr) Reply {
	to := r.pkt.Src.Addr()
	if !to.Is4() || to.IsUnspecified() {
		to = r.ciaddr.addr()
	}
	reply := Reply{Data: b, Src: r.pkt.Dst, Dst: netip.AddrPortFrom(to, r.pkt.Src.Port())}
	if !reply.Src.Is4() || reply.Src == limitedBroadcast {
		reply.Src, reply.Link = server, r.pkt.Link
	}
	return reply
}
