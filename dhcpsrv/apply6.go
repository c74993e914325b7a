package dhcpsrv

import (
	"bytes"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// apply carries a decision out on the table and returns what has to become durable before the reply leaves, in order.
func (t *table6) apply(d *decision6, r *request6) (changes []change) {
	for i := range d.ias {
		ia := &d.ias[i]
		switch ia.act {
		case actHold:
			t.hold(d, ia, r)
		case actGrant:
			changes = append(changes, t.grant(d, ia, r)...)
		case actRelease:
			for _, a := range ia.held {
				changes = append(changes, t.end(t.byAddr[a], Released, d.now))
			}
		case actQuarantine:
			for _, a := range ia.held {
				changes = append(changes, t.quarantine(t.byAddr[a], Declined, d.now))
			}
		}
	}
	return changes
}

// hold keeps an address for an ADVERTISE, in memory only. A lease of the client stays as it is.
func (t *table6) hold(d *decision6, ia *ia6, r *request6) {
	e := t.byAddr[ia.addr]
	switch {
	case e == nil:
	case e.live(d.now) && e.lease.State == Bound: // its own, or one that passes on within a reservation at the REQUEST
		return
	case e.mine(ia.key) && e.lease.State == offered:
		t.set(e, func(l *Lease) { l.End = d.now.Add(d.hold) })
		return
	default:
		t.remove(e)
	}
	fresh := &entry6{key: ia.key, sub: ia.sub, lease: r.lease(ia)}
	fresh.lease.State, fresh.lease.Start, fresh.lease.End = offered, d.now, d.now.Add(d.hold)
	if e != nil && e.mine(ia.key) {
		fresh.former, fresh.lease.Start, fresh.rev = e.lease.End, e.lease.Start, e.rev+1
	}
	t.insert(fresh)
}

// lease is what the packet says about the client of an IA.
func (r *request6) lease(ia *ia6) Lease {
	l := Lease{
		Addr: ia.addr, Subnet: ia.sub.Name, Link: r.pkt.Link, DUID: bytes.Clone(r.duid), IAID: ia.id,
		Hostname: hostname6(r.Options), VendorClass: string(clip(vendorClass6(r.Options), 64)),
	}
	if len(r.macs) > 0 {
		l.MAC = bytes.Clone(r.macs[0])
	}
	if relay := r.relay(); relay != nil {
		if a := r.linkAddress(); a.IsValid() {
			l.Relay = a
		}
		l.CircuitID = bytes.Clone(clip(relay.Options.Find(wire6.OptInterfaceID), 255))
		l.RemoteID = bytes.Clone(clip(relay.Options.Find(wire6.OptRemoteID), 255))
	}
	return l
}

// hostname6 returns the name a client gives itself in option 39 (RFC 4704).
func hostname6(o wire6.Options) string {
	v := o.Find(wire6.OptFQDN)
	if len(v) < 2 {
		return ""
	}
	return cleanHostname(dnsLabels(v[1:]))
}

// vendorClass6 returns the first text of option 16, such as "PXEClient:Arch:00007:UNDI:003000".
func vendorClass6(o wire6.Options) []byte {
	v := o.Find(wire6.OptVendorClass)
	if len(v) < 6 {
		return nil
	}
	return v[6:min(len(v), 6+int(v[4])<<8+int(v[5]))]
}

// grant binds the address of an IA and ends what else the IA has in the segment.
func (t *table6) grant(d *decision6, ia *ia6, r *request6) (changes []change) {
	for _, other := range t.own(ia.key, ia.sub.seg) {
		switch {
		case other.lease.Addr == ia.addr:
		case other.lease.State == offered:
			t.lapse(other)
		case other.lease.State == Bound:
			changes = append(changes, t.end(other, Released, d.now))
		}
	}
	kind, start, hostname := Granted, d.now, ""
	var before *entry6
	e := t.byAddr[ia.addr]
	if e == nil {
		e = &entry6{}
	} else {
		was := *e
		if before = &was; was.lease.State == offered {
			before = nil // the store never heard of it
		}
		if e.mine(ia.key) {
			hostname = e.lease.Hostname
			if e.lease.State == Bound && e.live(d.now) {
				kind, start = Renewed, e.lease.Start
			}
		}
		t.remove(e)
	}
	e.key, e.sub, e.former, e.lease = ia.key, ia.sub, time.Time{}, r.lease(ia)
	if e.lease.Hostname == "" {
		e.lease.Hostname = hostname
	}
	e.lease.State, e.lease.Start, e.lease.End = Bound, start, d.now.Add(ia.lease)
	e.rev++
	t.insert(e)
	return append(changes, e.change(kind, d.now, before))
}
