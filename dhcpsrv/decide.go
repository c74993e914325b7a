package dhcpsrv

import (
	"cmp"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// decide fills d for a packet. It is the only place where packets are judged, for Handle and
// Explain alike, and it changes nothing.
func (t *table) decide(d *decision, r *request) {
	var how string
	if d.seg, d.sub, how, d.reason = t.cur.selectSubnet(r); d.reason != 0 {
		if d.trace {
			d.note("no subnet by %s", how)
		}
		return
	}
	if d.trace {
		d.note("subnet %q by %s", d.sub.Name, how)
	}
	if d.class = t.cur.classify(r); d.class != nil {
		if d.trace {
			d.note("class %q", d.class.Name)
		}
		if d.class.Ignore {
			d.silent(dropClassIgnored)
			return
		}
	}
	mac := r.CHAddr()
	if d.key, d.res = t.cur.identify(d.keyBuf[:], d.seg, d.sub, mac, r.Option(wire.OptClientID), r.subscriber()); len(d.key) == 0 {
		d.silent(dropNoIdentity)
		return
	}
	if d.trace {
		d.noteClient()
	}
	// The place of the client (its relay and circuit) is needed only where a quota counts by it.
	if d.sub.hasQuota() {
		d.circuit, d.quota = d.sub.place(r.giaddr, string(wire.SubOption(r.relayAgent, 1)))
	}
	t.decideByMode(d, r)
	if d.addr != 0 {
		d.setLease(t.cur, r)
	}
	if d.watched != nil {
		d.lease = watchedFor
	}
}

// decideByMode judges by the port and by the mode of the shared network: port 4011 is the boot
// server's, whatever gives the addresses.
func (t *table) decideByMode(d *decision, r *request) {
	d.mode, d.modeBy = d.seg.modeNow()
	if d.trace && d.seg.mode != ModeServe {
		d.note("mode %v by %s", d.mode, d.modeBy)
	}
	switch {
	case d.mode == ModeWatch:
		t.decideWatching(d, r)
	case r.pkt.Port == BootServerPort:
		d.decideBootServer(r)
	case d.mode == ModeProxy:
		t.decideProxy(d, r)
	case d.mode == ModeAuto:
		t.decideListening(d, r)
	default:
		t.decideServing(d, r)
	}
	if d.bootOnly {
		t.consult(d, r)
	}
}

// decideServing judges a packet where this server gives the addresses.
func (t *table) decideServing(d *decision, r *request) {
	if why := t.mayAnswer(d, r); why != 0 {
		d.silent(why)
		return
	}
	if !t.consult(d, r) {
		return
	}
	t.decideKind(d, r)
	t.holdBack(d)
}

// decideKind judges by the type of the message.
func (t *table) decideKind(d *decision, r *request) {
	switch r.kind {
	case wire.Discover:
		t.decideDiscover(d, r)
	case wire.Request:
		t.decideRequest(d, r)
	case wire.Decline, wire.Release:
		t.decideGiveBack(d, r)
	case wire.Inform:
		d.reply, d.addr = wire.Ack, 0
	case wire.BOOTP:
		t.decideBOOTP(d)
	default:
		d.silent(dropUnknownType)
	}
}

// noteClient adds to an explanation how the client was identified.
func (d *decision) noteClient() {
	switch d.key[0] {
	case 'i':
		d.note("client by client identifier %x", d.key[1:])
	case 's':
		d.note("client by subscriber %q", d.key[1:])
	default:
		d.note("client by link address %x", d.key[1:])
	}
	if d.res != nil {
		d.note("reservation %s", d.res.label())
	}
}

// setLease completes a decision once the address is known.
func (d *decision) setLease(c *serving, r *request) {
	// A shared network may give an address of another subnet than the preferred one, with other
	// options. A NAK keeps the subnet of the client's place.
	if sub := c.find(d.addr); sub != nil && d.reply != wire.Nak {
		d.sub = sub
	}
	d.lease = d.sub.LeaseTime
	// Firmware holds its address for minutes and never releases it.
	if r.isBoot() {
		d.lease = d.sub.BootLeaseTime
	}
	if d.host != nil && d.host.host.LeaseTime > 0 {
		d.lease = d.host.host.LeaseTime
	}
	// A client may ask for a shorter lease, but a very short one would only make work.
	if secs, ok := r.Uint32(wire.OptLeaseTime); ok {
		d.lease = min(d.lease, max(time.Duration(secs)*time.Second, min(time.Minute, d.lease)))
	}
	if d.most > 0 {
		d.lease = min(d.lease, d.most)
	}
	if d.trace && d.by != "" {
		d.note("address %v by %s", d.addr.addr(), d.by)
	}
}

// decideDiscover chooses the address of an offer. With rapid commit (RFC 4039) the offer is a lease
// at once.
func (t *table) decideDiscover(d *decision, r *request) {
	if !t.choose(d, r.wanted) {
		d.silent(cmp.Or(d.reason, dropPoolExhausted))
		return
	}
	d.reply, d.act = wire.Offer, actHold
	if r.Has(wire.OptRapidCommit) && d.sub.RapidCommit {
		d.reply, d.act, d.rapid = wire.Ack, actGrant, true
	}
	// The client repeated its DISCOVER while its address is probed; the answer to the first one
	// follows.
	if e := t.byAddr[d.addr]; e != nil && e.mine(d.key) && e.probing {
		d.silent(dropProbing)
		d.act = actNone
	}
}

// decideRequest distinguishes the four states of RFC 2131 section 4.3.2.
func (t *table) decideRequest(d *decision, r *request) {
	state := "renewing or rebinding"
	switch {
	// A server identifier means SELECTING: the client chose among offers.
	case r.serverID.IsValid():
		state = "selecting"
		if !d.seg.hasServer(r, d.now) {
			d.silent(dropOtherServer)
			d.act = actForget
			return
		}
		// Some clients repeat the offered address in ciaddr instead of option 50.
		if d.addr = r.wanted; d.addr == 0 {
			d.addr = r.ciaddr
		}
	// Option 50 without a server identifier: the client restarted and remembers its address.
	case r.wanted != 0:
		state = "init-reboot"
		d.addr = r.wanted
	default:
		d.addr = r.ciaddr
	}
	if d.trace {
		d.note("request while %s, for %v", state, d.addr.addr())
	}
	// Neither field names an address: there is nothing to confirm or refuse.
	if d.addr == 0 {
		d.silent(dropIncomplete)
		return
	}
	t.decideGrant(d, state == "selecting")
}

// hasServer reports whether the server identifier of a request names this server.
func (seg *sharedNetwork) hasServer(r *request, now int64) bool {
	if r.override.IsValid() && r.serverID == r.override {
		return true
	}
	for _, sub := range seg.subnets {
		if sub.Server == r.serverID || sub.formerly.is(r.serverID, now) {
			return true
		}
	}
	return false
}

// decideGrant judges whether the client may have the address it asks for.
func (t *table) decideGrant(d *decision, selecting bool) {
	sub := t.cur.find(d.addr)
	if sub == nil || sub.seg != d.seg {
		d.nak(nakWrongNetwork)
		return
	}
	if why := t.refusal(d); why != 0 {
		d.nak(why)
		return
	}
	e := t.byAddr[d.addr]
	// Another server on the link may have given the address. A server that is not authoritative
	// leaves clients alone that it does not know (RFC 2131 section 4.3.2).
	known := e != nil && e.mine(d.key) || d.res != nil && addr4From(d.res.Addr) == d.addr
	if !known && !selecting && sub.NotAuthoritative {
		d.silent(dropUnknownLease)
		return
	}
	if held := e != nil && e.mine(d.key) && e.live(d.now); !held && (d.res == nil || addr4From(d.res.Addr) != d.addr) && t.overQuota(d) {
		d.silent(dropQuota)
		return
	}
	d.reply, d.act = wire.Ack, actGrant
	switch {
	case d.res != nil && addr4From(d.res.Addr) == d.addr:
		d.by = byReservation
	case e != nil && e.mine(d.key) && e.state == Bound:
		d.by = byLease
	case e != nil && e.mine(d.key) && e.state == offered:
		d.by = byOffer
	default:
		d.by = byRequest
	}
}

// refusal returns why the client may not have the address that it asks for, or 0. The order
// matters: a client with a reservation elsewhere is told to start over only if it could get that
// address.
func (t *table) refusal(d *decision) Reason {
	if d.res != nil && d.res.Addr.IsValid() {
		a := addr4From(d.res.Addr)
		if a != d.addr && t.blocker(a, d.key, d.now) == nil && t.mayGive(d, a) {
			return nakMoved // the client starts over and gets its own address
		}
	}
	switch {
	case t.blocker(d.addr, d.key, d.now) != nil:
		return nakTaken
	case !t.mayGive(d, d.addr):
		return nakPartner
	case d.res != nil && addr4From(d.res.Addr) == d.addr:
		return 0
	// The address is reserved for another client, even if that client does not use it now.
	case t.cur.byAddr[d.addr] != nil:
		return nakReserved
	case !t.dynamic(d, d.addr):
		return nakNoPool
	}
	return 0
}

// decideGiveBack judges RELEASE and DECLINE. Both count only for an address that the client holds:
// otherwise any host could end the leases of others.
func (t *table) decideGiveBack(d *decision, r *request) {
	d.silent(dropNothingToSay)
	d.act, d.addr = actRelease, r.ciaddr
	if r.kind == wire.Decline {
		d.act, d.addr = actDecline, r.wanted
	}
	// The client gives back the address of another server.
	if r.serverID.IsValid() && !d.seg.hasServer(r, d.now) {
		d.silent(dropOtherServer)
		d.act = actNone
		return
	}
	if e := t.byAddr[d.addr]; e == nil || !e.mine(d.key) || !e.live(d.now) || r.kind == wire.Release && e.state != Bound || !t.cur.comesFrom(r, d.seg, e.sub) {
		d.silent(dropNotHeld)
		d.act = actNone
	}
}

// comesFrom reports whether a packet comes from the network in which a lease was given. Link
// address and ciaddr are easily forged, so that a host of another VLAN could end the lease
// otherwise.
func (c *serving) comesFrom(r *request, seg *sharedNetwork, sub *subnet) bool {
	switch {
	case sub == nil || sub.seg != seg:
		return false
	case r.giaddr != 0 || r.pkt.Link == "":
		return true // the relay, or the embedder's choice of the subnet, says where it comes from
	case sub.Link != "":
		return c.byLink[r.pkt.Link] == seg
	}
	// A client behind a relay releases by unicast, past the relay.
	from := r.pkt.Src.Addr()
	return !from.IsValid() || addr4From(from) == r.ciaddr
}

// decideBOOTP serves clients that know no leases, and so only those with a reserved address: such a
// client would never give an address back. BOOTP replies carry no lease time (RFC 1534 section 2),
// so that the address is the client's for good.
func (t *table) decideBOOTP(d *decision) {
	if d.res == nil || !d.res.Addr.IsValid() {
		d.silent(dropNoReservation)
		return
	}
	a := addr4From(d.res.Addr)
	if t.blocker(a, d.key, d.now) != nil || !t.mayGive(d, a) {
		d.silent(dropPoolExhausted)
		return
	}
	d.take(a, byReservation)
	d.reply, d.bootp = wire.Ack, true
}
