package dhcpsrv

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"time"
)

// Of two versions of the lease of one address the version that was changed later counts. Both
// servers must come to the same result in whatever order versions arrive, so ties are decided as
// well: by the client, then by the more final state.

// finality orders states: a lease that has ended is a later version of the same lease.
func finality(s LeaseState) int {
	switch s {
	case Ended:
		return 2
	case Declined:
		return 1
	}
	return 0
}

// client returns the bytes that distinguish the client of a lease from others.
func (l *Lease) client() []byte {
	b := append(append(append([]byte(nil), l.MAC...), l.ClientID...), l.DUID...)
	return binary.BigEndian.AppendUint32(b, l.IAID)
}

// newerThan compares two versions of the lease of one address: positive = l counts. Their End does
// not decide, since servers whose clocks differ a little do not agree on it.
func (l *Lease) newerThan(have *Lease) int {
	if n := l.Changed.Compare(have.Changed); n != 0 {
		return n
	}
	return cmp.Or(bytes.Compare(l.client(), have.client()), finality(l.State)-finality(have.State))
}

// verdict is the outcome for a version that the partner sent.
type verdict uint8

const (
	discarded verdict = iota // this server's version counts
	known                    // this server has the same version
	taken
)

// judge compares a version from the partner with this server's. An end that is in the future by
// this server's clock is not taken: the clocks differ, and the client still uses the address.
func judge(l, have *Lease, now time.Time) verdict {
	n := l.newerThan(have)
	switch {
	case n == 0:
		return known
	case n < 0, l.State == Ended && have.State == Bound && l.Changed.Equal(have.Changed) && have.End.After(now):
		return discarded
	}
	return taken
}

// kindOf returns what a version from the partner did to the previous one; nil = there was none.
func kindOf(l, have *Lease) EventKind {
	switch {
	case l.State == Declined:
		return ClientDeclined
	case l.State == Ended && (have == nil || have.Changed.Equal(l.Changed)):
		return Expired
	case l.State == Ended:
		return Released
	case have != nil && have.State == Bound && bytes.Equal(have.client(), l.client()):
		return Renewed
	}
	return Granted
}

// merge takes over the partner's version of a lease when it counts; c is then the change to store.
// over reports that no lease of the address runs as far as this server knows.
func (t *table) merge(l *Lease, p *partner, now time.Time) (c change, stored, over bool) {
	a := addr4From(l.Addr)
	sub := t.cur.find(a)
	if sub == nil || sub.partner != p {
		return c, false, false
	}
	e := t.byAddr[a]
	if e != nil && e.state == offered && (l.State == Ended || !l.End.After(now)) {
		return c, false, true
	}
	v, have := taken, (*Lease)(nil)
	if e != nil && e.state != offered {
		was := t.lease(e)
		have, v = &was, judge(l, &was, now)
	}
	if v == taken {
		c = change{kind: kindOf(l, have), at: now.UnixNano(), from: p}
		if e == nil {
			e = new(entry)
		} else {
			c.before, c.was = e.copy(), true
			t.remove(e)
		}
		rev := e.rev
		*e = *newEntry(l)
		e.rev = rev + 1
		t.adopt(e)
		t.insert(e)
		if t.heard.served([]byte(e.key)); e.state == Bound {
			t.forgetOther(e)
		}
		c.e, c.rev, c.lease, stored = e, e.rev, *l, true
	}
	if v != discarded && e.state != Bound {
		e.confirmed = true
	}
	return c, stored, e.state != Bound
}

// forgetOther removes the offers to a client that accepted an address from the partner.
func (t *table) forgetOther(e *entry) {
	for other := range t.own([]byte(e.key), e.sub.seg) {
		if other.state == offered {
			t.lapse(other)
		}
	}
}

// merge is [table.merge] for IPv6.
func (t *table6) merge(l *Lease, p *partner, now time.Time) (c change, stored, over bool) {
	sub := t.cur.find(l.Addr)
	if sub == nil || sub.partner != p {
		return c, false, false
	}
	e := t.byAddr[l.Addr]
	if e != nil && e.lease.State == offered && (l.State == Ended || !l.End.After(now)) {
		return c, false, true
	}
	v, have := taken, (*Lease)(nil)
	if e != nil && e.lease.State != offered {
		was := e.lease
		have, v = &was, judge(l, &was, now)
	}
	if v == taken {
		var before *entry6
		rev := uint32(0)
		if e != nil {
			if rev = e.rev; have != nil {
				was := *e
				before = &was
			}
			t.remove(e)
		}
		e = &entry6{lease: *l, key: l.key6(), sub: sub, rev: rev + 1}
		t.insert(e)
		t.heard.served(l.DUID)
		c = e.change(kindOf(l, have), now, before)
		c.from, stored = p, true
	}
	if v != discarded && e.lease.State != Bound {
		e.confirmed = true
	}
	return c, stored, e.lease.State != Bound
}

// mergeOne takes over the partner's version of one lease. The caller holds s.mu.
func (s *Server) mergeOne(l *Lease, p *partner, now time.Time) (c change, stored, over bool) {
	if l.State < Bound || l.State > Declined {
		return c, false, false
	}
	v := s.vrf(l.VRF)
	switch {
	case v == nil:
	case l.Addr.Is4():
		c, stored, over = v.v4.merge(l, p, now)
	case is6(l.Addr):
		c, stored, over = v.v6.merge(l, p, now)
	}
	return c, stored, over
}

// shared returns the failover part of the address's entry and its state. ok is false when the
// address has no lease. The caller holds the lock of the server.
func (l *logged) shared() (sh *shared, state LeaseState, ok bool) {
	if l.addr.Is4() {
		e := l.vrf.v4.byAddr[addr4From(l.addr)]
		if e == nil || e.state == offered {
			return nil, 0, false
		}
		return &e.shared, e.state, true
	}
	e := l.vrf.v6.byAddr[l.addr]
	if e == nil || e.lease.State == offered {
		return nil, 0, false
	}
	return &e.shared, e.lease.State, true
}

// version returns the lease of the address as it is now. The caller holds the lock of the server.
func (l *logged) version() Lease {
	if l.addr.Is4() {
		return l.vrf.v4.lease(l.vrf.v4.byAddr[addr4From(l.addr)])
	}
	return l.vrf.v6.byAddr[l.addr].lease
}
