package dhcpsrv

import (
	"bytes"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// apply carries out a decision on the table and returns the changes that must become durable before
// the reply leaves, in order. The slice is valid until the next apply.
func (t *table6) apply(d *decision6, r *request6) []change {
	t.changes = t.changes[:0]
	for i := range len(d.ias) + len(d.pds) {
		var ia *ia6
		if i < len(d.ias) {
			ia = &d.ias[i]
		} else {
			ia = &d.pds[i-len(d.ias)]
		}
		switch ia.act {
		case actHold:
			t.hold(d, ia, r)
		case actGrant:
			t.grant(d, ia, r)
		case actRelease:
			for _, a := range ia.held {
				t.changes = append(t.changes, t.end(t.byAddr[a], Released, d.now))
			}
		case actDecline:
			for _, a := range ia.held {
				t.changes = append(t.changes, t.decline(t.byAddr[a], ClientDeclined, d.now))
			}
		}
	}
	return t.changes
}

// hold keeps an address for an ADVERTISE, in memory only. A lease of the client stays as it is.
func (t *table6) hold(d *decision6, ia *ia6, r *request6) {
	e := t.byAddr[ia.addr]
	probed := t.probedAhead(ia.addr, d.now.UnixNano())
	switch {
	case e == nil:
	// its own lease, or one that passes on within a reservation at the REQUEST
	case e.live(d.now) && e.lease.State == Bound:
		return
	case e.mine(ia.key) && e.lease.State == offered:
		t.set(e, func(l *Lease) { l.End = d.now.Add(d.hold) })
		return
	default:
		t.remove(e)
	}
	fresh := &entry6{key: string(ia.key), sub: ia.sub, lease: r.lease(ia, nil), probed: probed}
	fresh.lease.State, fresh.lease.Start, fresh.lease.End = offered, d.now, d.now.Add(d.hold)
	if e != nil && e.mine(ia.key) {
		fresh.former, fresh.lease.Start, fresh.rev = e.lease.End, e.lease.Start, e.rev+1
	}
	if e != nil {
		fresh.lease.Changed, fresh.shared = e.lease.Changed, e.shared
	}
	t.insert(fresh)
}

// lease returns a lease with what the packet says about the client of an IA. It shares the memory
// of before, the previous lease of the address (nil = none), where both say the same: a renewal
// allocates little.
func (r *request6) lease(ia *ia6, before *Lease) Lease {
	l := Lease{
		Addr: ia.addr, VRF: ia.sub.VRF, Bits: ia.bits, Subnet: ia.sub.Name, Link: r.pkt.Link, IAID: ia.id, DUID: r.duid,
		Hostname: hostname6(r.Options), VendorClass: string(clip(vendorClass6(r.Options), 64)),
	}
	if len(r.macs) > 0 {
		l.MAC = r.macs[0]
	}
	if relay := r.relay(); relay != nil {
		if a := r.linkAddress(); a.IsValid() {
			l.Relay = a
		}
		l.CircuitID = r.circuitID()
		l.RemoteID = clip(relay.Options.Find(wire6.OptRemoteID), 255)
	}
	l.Subscriber = string(r.subscriber())
	// Most packets are renewals, whose texts equal those of the lease.
	if before != nil && bytes.Equal(l.DUID, before.DUID) && bytes.Equal(l.MAC, before.MAC) && bytes.Equal(l.CircuitID, before.CircuitID) && bytes.Equal(l.RemoteID, before.RemoteID) {
		l.DUID, l.MAC, l.CircuitID, l.RemoteID = before.DUID, before.MAC, before.CircuitID, before.RemoteID
		return l
	}
	return l.clone()
}

// hostname6 returns the name a client gives itself in option 39 (RFC 4704).
func hostname6(o wire6.Options) string {
	v := o.Find(wire6.OptFQDN)
	// One byte of flags, then at least the root label.
	if len(v) < 2 {
		return ""
	}
	return string(appendHostname(nil, dnsLabels(v[1:])))
}

// vendorClass6 returns the first text of option 16, such as "PXEClient:Arch:00007:UNDI:003000".
func vendorClass6(o wire6.Options) []byte {
	v := o.Find(wire6.OptVendorClass)
	if len(v) < 6 {
		return nil
	}
	return v[6:min(len(v), 6+int(v[4])<<8+int(v[5]))]
}

// grant binds the address of an IA and ends the other leases of the IA in the shared network.
func (t *table6) grant(d *decision6, ia *ia6, r *request6) {
	// An association has one address in a shared network: the client dropped the others by asking
	// for this one.
	for other := range t.own(ia.key, ia.sub.seg) {
		switch {
		case other.lease.Addr == ia.addr:
		case other.lease.State == offered:
			t.lapse(other)
		case other.lease.State == Bound:
			t.changes = append(t.changes, t.end(other, Released, d.now))
		}
	}
	kind, start, hostname := Granted, d.now, ""
	var before *entry6
	e := t.byAddr[ia.addr]
	if e == nil {
		e = &entry6{}
	} else {
		if e.lease.State != offered { // the store holds no offers
			was := *e
			before = &was
		}
		if e.mine(ia.key) {
			hostname = e.lease.Hostname
			if e.lease.State == Bound && e.live(d.now) {
				kind, start = Renewed, e.lease.Start
			}
		}
		t.remove(e)
	}
	lease := r.lease(ia, &e.lease)
	// Partners compare Changed: it grows even if the clock was set back meanwhile.
	lease.Changed = laterThan(e.lease.Changed, d.now)
	e.probing, e.probed = false, false
	e.sub, e.former, e.lease = ia.sub, time.Time{}, lease
	if !e.mine(ia.key) {
		e.key = string(ia.key)
	}
	// A renewal without a name keeps the name of the lease, so that DNS does not lose it.
	if e.lease.Hostname == "" {
		e.lease.Hostname = hostname
	}
	e.lease.State, e.lease.Start, e.lease.End = Bound, start, d.now.Add(ia.lease)
	e.rev++
	t.insert(e)
	t.changes = append(t.changes, e.change(kind, d.now, before))
}
