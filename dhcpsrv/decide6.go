package dhcpsrv

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/dhcpsrv/failover"
	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// decide fills d for a packet. It is the only place where IPv6 packets are judged, and it changes
// nothing.
func (t *table6) decide(d *decision6, r *request6) {
	d.status = noStatus
	var how string
	if d.sub, how, d.reason = t.cur.selectSubnet(r); d.reason != 0 {
		d.note("no subnet by %s", how)
		return
	}
	if d.trace {
		d.note("subnet %q by %s", d.sub.Name, how)
	}
	if why := d.check(r); why != 0 {
		d.silent(why)
		return
	}
	if d.class = t.cur.classify(r); d.class != nil {
		d.note("class %q", d.class.Name)
		if d.class.Ignore {
			d.silent(dropClassIgnored)
			return
		}
	}
	if d.res = t.cur.reservation(r, d.sub); d.res != nil {
		d.note("reservation %s", d.res.label())
	}
	if d.sub.hasQuota() {
		d.circuit, d.quota = d.sub.whereabouts(r.linkAddress(), string(r.circuitID()), d.sub.seg.name)
	}
	d.reply = wire6.Reply
	if why := t.mayAnswer(d, r); why != 0 {
		d.silent(why)
		return
	}
	// The client must ask again by multicast, so that relays add their options.
	if d.unicast(r) {
		d.status = wire6.StatusUseMulticast
		return
	}
	for _, ia := range r.ias {
		start := len(d.keys)
		d.keys = appendKey6(d.keys, r.duid, ia.ID)
		d.ias = append(d.ias, ia6{id: ia.ID, key: d.keys[start:len(d.keys):len(d.keys)], status: noStatus})
	}
	if !t.consult(d, r) {
		return
	}
	switch r.Type {
	case wire6.Solicit:
		t.decideSolicit(d, r)
	case wire6.Request, wire6.Renew, wire6.Rebind:
		t.decideGrant(d, r)
	case wire6.Confirm:
		d.confirm(r)
	case wire6.Release, wire6.Decline:
		t.decideGiveBack(d, r)
	case wire6.InformationRequest:
		d.ias = nil
	default:
		d.silent(dropUnknownType)
	}
	t.decidePrefixes(d, r)
}

// check applies the rules of RFC 8415 section 16: which messages must and must not name a client
// and a server.
func (d *decision6) check(r *request6) Reason {
	needsServer, mustNot := false, false
	switch r.Type {
	case wire6.Solicit, wire6.Confirm, wire6.Rebind:
		mustNot = true
	case wire6.Request, wire6.Renew, wire6.Release, wire6.Decline:
		needsServer = true
	case wire6.InformationRequest:
		if len(r.ias)+len(r.foreign) > 0 {
			return dropMalformed
		}
	}
	switch {
	case r.duid == nil && r.Type != wire6.InformationRequest:
		return dropNoIdentity
	case mustNot && r.serverID != nil, needsServer && r.serverID == nil:
		return dropMalformed
	case r.serverID != nil && !bytes.Equal(r.serverID, d.sub.seg.duid) && !d.sub.formerly.isDUID(r.serverID, d.now.UnixNano()):
		return dropOtherServer
	}
	return 0
}

// unicast reports whether a client sent to this server alone, for which it had no permission (RFC
// 8415 section 18.4).
func (d *decision6) unicast(r *request6) bool {
	if len(r.Relays) > 0 || !r.pkt.Dst.IsValid() || r.pkt.Dst.IsMulticast() {
		return false
	}
	return r.Type == wire6.Request || r.Type == wire6.Renew || r.Type == wire6.Release || r.Type == wire6.Decline
}

func (t *table6) decideSolicit(d *decision6, r *request6) {
	// An ADVERTISE holds its address only for a short time, in memory.
	act := actHold
	d.reply = wire6.Advertise
	if r.Options.Has(wire6.OptRapidCommit) && d.sub.RapidCommit {
		d.reply, d.rapid, act = wire6.Reply, true, actGrant
	}
	none := len(d.ias)+len(r.foreign) > 0
	for i := range d.ias {
		ia := &d.ias[i]
		// Each association is satisfied by itself; one without an address carries its own status.
		if !t.choose(d, ia, r.ias[i].Addrs) {
			ia.status = wire6.StatusNoAddrsAvail
			continue
		}
		none, ia.act = false, act
		d.setLease(ia, r)
	}
	for i := range d.ias {
		if e := t.byAddr[d.ias[i].addr]; e != nil && e.probing && e.mine(d.ias[i].key) {
			d.ias = d.ias[:0]
			d.silent(dropProbing)
			return
		}
	}
	if d.reason = cmp.Or(d.reason, dropPoolExhausted); !none {
		d.reason = 0
	}
}

// decideGrant judges REQUEST, RENEW and REBIND: the addresses the client names are confirmed or
// replaced.
func (t *table6) decideGrant(d *decision6, r *request6) {
	answered := false
	for i := range d.ias {
		ia, asked := &d.ias[i], r.ias[i].Addrs
		// The client moved here with addresses of another link.
		others := slices.ContainsFunc(asked, func(a netip.Addr) bool {
			sub := t.cur.find(a)
			return sub == nil || sub.seg != d.sub.seg
		})
		known := t.owns(ia.key, d.sub.seg) || d.reserved().IsValid()
		switch {
		// NotOnLink makes the client solicit again (RFC 8415 section 18.3.2).
		case others && r.Type == wire6.Request:
			ia.status = wire6.StatusNotOnLink
		case !known && r.Type == wire6.Rebind && (d.sub.NotAuthoritative || d.leavesUnknown()):
			d.note("IA %08x is not known, and another server may know it", ia.id)
			continue
		case !known && r.Type == wire6.Renew && d.sub.NotAuthoritative:
			ia.status = wire6.StatusNoBinding
		case t.choose(d, ia, asked):
			ia.act = actGrant
			ia.gone = slices.DeleteFunc(asked, func(a netip.Addr) bool { return a == ia.addr })
			d.setLease(ia, r)
		case r.Type == wire6.Request:
			ia.status = wire6.StatusNoAddrsAvail
		default:
			ia.status, ia.gone = wire6.StatusNoBinding, asked
		}
		answered = true
	}
	// All associations are left to the server that may know them.
	if !answered && len(d.ias) > 0 {
		d.silent(dropUnknownLease)
		return
	}
	if a, _ := d.first(); a.IsValid() {
		d.reason = 0
	}
	d.ias = slices.DeleteFunc(d.ias, func(ia ia6) bool { return ia.status == noStatus && !ia.addr.IsValid() })
}

// leavesUnknown reports whether a lease that this server does not know may belong to a partner that
// it does not hear.
func (d *decision6) leavesUnknown() bool {
	p := d.sub.partner
	return p != nil && !d.inVain && p.state(d.now.UnixNano()) != failover.Normal
}

// setLease completes an IA once its address is known.
func (d *decision6) setLease(ia *ia6, r *request6) {
	ia.lease = ia.sub.LeaseTime
	if r.isBoot() {
		ia.lease = ia.sub.BootLeaseTime
	}
	if d.host != nil && d.host.host.LeaseTime > 0 {
		ia.lease = d.host.host.LeaseTime
	}
	if d.trace {
		d.note("IA %08x: address %v by %s", ia.id, ia.addr, ia.by)
	}
}

// isBoot reports whether firmware sent the packet: only firmware sends the architecture it is built
// for.
func (r *request6) isBoot() bool { return r.Options.Has(wire6.OptClientArch) }

// confirm answers a client that moved whether its addresses fit its link (RFC 8415 section 18.3.3).
func (d *decision6) confirm(r *request6) {
	d.ias = nil
	addrs := 0
	for _, ia := range r.ias {
		for _, a := range ia.Addrs {
			addrs++
			if !slices.ContainsFunc(d.sub.seg.subnets, func(s *subnet6) bool { return s.Prefix.Contains(a) }) {
				d.status = wire6.StatusNotOnLink
				return
			}
		}
	}
	if d.status = wire6.StatusSuccess; addrs == 0 {
		d.silent(dropIncomplete)
	}
}

// decideGiveBack judges RELEASE and DECLINE: only of addresses that the client holds.
func (t *table6) decideGiveBack(d *decision6, r *request6) {
	d.status = wire6.StatusSuccess
	kept := d.ias[:0]
	for i, ia := range d.ias {
		ia.act = actRelease
		if r.Type == wire6.Decline {
			ia.act = actDecline
		}
		for _, a := range r.ias[i].Addrs {
			e := t.byAddr[a]
			if e != nil && e.mine(ia.key) && e.sub != nil && e.sub.seg == d.sub.seg && e.live(d.now) && e.lease.State == Bound && !slices.Contains(ia.held, a) {
				ia.held = append(ia.held, a)
			}
		}
		if len(ia.held) == 0 {
			ia.act, ia.status = actNone, wire6.StatusNoBinding
			d.note("IA %08x holds none of the addresses", ia.id)
		}
		kept = append(kept, ia)
	}
	d.ias = kept
}
