package dhcpsrv

import (
	"math/bits"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/dhcpsrv/failover"
	"github.com/gomaas/maas/dhcpsrv/internal/wire"
)

// Two servers that share a subnet never give out the same address, since each address belongs to
// one of them by its lowest bit. The pools may change; the bit does not. Only the owner gives an
// address to a new client, and only once both servers know that its previous lease is over. Either
// server renews a running lease.

// shared is the failover part of an entry.
type shared struct {
	seq       uint64 // number of its last change in the partner's log
	confirmed bool   // the partner has this version, or also knows that the lease is over
}

// parity returns the lowest bit of an address with a partner, and 0 without: lists and counters are
// split by it.
func (s *subnet) parity(a addr4) int {
	if s.partner == nil {
		return 0
	}
	return int(a & 1)
}

// mayGive reports whether, as far as failover is concerned, the client may get an address that no
// client holds, or keep the one it holds.
func (t *table) mayGive(d *decision, a addr4) bool {
	sub := t.cur.find(a)
	if sub == nil || sub.partner == nil {
		return true
	}
	p, e := sub.partner, t.byAddr[a]
	switch {
	case p.takesOver(d.now):
		return true
	case e != nil && e.mine(d.key) && e.state == Bound && e.live(d.now):
		return true
	case e != nil && e.state != offered && !e.mine(d.key) && !e.confirmed:
		return false
	}
	return d.res != nil && addr4From(d.res.Addr) == a || p.owns(byte(a&1), d.now)
}

// pick returns a never used address for a client. With a partner it is one of this server's own.
func (s *subnet) pick(key []byte, now int64) (addr4, bool) {
	p := s.partner
	if p == nil {
		return s.space.pick(key)
	}
	if p.owns(p.bit, now) {
		if a, ok := s.space.pickParity(key, addr4(p.bit)); ok {
			return a, true
		}
	}
	if p.takesOver(now) {
		return s.space.pickParity(key, addr4(p.bit^1))
	}
	return 0, false
}

// maxOldest bounds the search for an ended lease that the partner has confirmed: it runs under the
// lock.
const maxOldest = 1024

// oldest returns the least recently used entry of an ended lease whose address may go to any
// client, or nil.
func (s *subnet) oldest(now int64) *entry {
	p := s.partner
	if p == nil {
		return s.space.ended[0].first
	}
	over := p.takesOver(now)
	if over || p.owns(p.bit, now) {
		e := s.space.ended[p.bit].first
		for n := 0; e != nil && n < maxOldest; n++ {
			if e.confirmed || over {
				return e
			}
			e = e.next
		}
	}
	if over {
		return s.space.ended[p.bit^1].first
	}
	return nil
}

// freeDeclined ends the time of a declined address. The address stays out of use until the partner
// knows that no client has it.
func (t *table) freeDeclined(e *entry, now int64) {
	if e.sub != nil && e.sub.partner != nil && !e.confirmed && !e.sub.partner.takesOver(now) {
		t.turn(e, Ended, e.end)
		return
	}
	t.remove(e)
}

// pickParity is [space.pick] among even or odd addresses.
func (s *space) pickParity(key []byte, bit addr4) (addr4, bool) {
	if s.parities[bit] == 0 {
		return 0, false
	}
	h := hashKey(key)
	start := int(h % uint64(s.size))
	for range hashTries {
		i := int(h % uint64(s.size))
		for _, i := range [2]int{i, i ^ 1} { // neighbors in a range differ in the bit
			if i < s.size && s.at(i)&1 == bit && !s.isTaken(i) {
				return s.at(i), true
			}
		}
		h = mix(h)
	}
	for n, w := 0, start/64; n <= len(s.taken); n, w = n+1, (w+1)%len(s.taken) {
		word := s.taken[w] | ^s.maskParity(w, bit)
		if n == 0 {
			word |= 1<<(start%64) - 1
		}
		if word != ^uint64(0) {
			return s.at(w*64 + bits.TrailingZeros64(^word)), true
		}
	}
	return 0, false
}

// maskParity returns which places of a word of the bitmap are addresses with the lowest bit.
func (s *space) maskParity(w int, bit addr4) (mask uint64) {
	for _, r := range s.ranges {
		from, to := max(r.base, w*64), min(r.base+int(r.hi-r.lo)+1, (w+1)*64)
		if from >= to {
			continue
		}
		pattern := uint64(0x5555555555555555) // places that are even
		if (r.lo-addr4(r.base))&1 != bit {
			pattern = ^pattern
		}
		mask |= pattern & (^uint64(0) << (from - w*64)) & (^uint64(0) >> ((w+1)*64 - to))
	}
	return mask
}

// mayAnswer returns why a packet is the partner's to answer, or 0 when this server may answer it.
func (t *table) mayAnswer(d *decision, r *request) Reason {
	p := d.sub.partner
	if p == nil {
		return 0
	}
	id := r.Option(wire.OptClientID)
	if !usableID(id) {
		id = r.CHAddr()
	}
	bucket, state := bucketOf(id), p.state(d.now)
	d.undirected = (!r.serverID.IsValid() || r.serverID == r.override) && !r.routed()
	own := d.sub.ownBucket(bucket)
	if d.undirected && (state != failover.Normal || !own) {
		d.inVain = t.heard.inVain(d.key, r.waited(), d.now, !d.trace)
	}
	if d.trace {
		d.notePartner(p, state, bucket, own)
	}
	switch {
	case state == failover.Recovering:
		return dropRecovering
	case state == failover.Normal && d.undirected && !own && !d.inVain && r.kind != wire.Release && r.kind != wire.Decline:
		return dropPartner
	}
	return 0
}

func (d *decision) notePartner(p *partner, state failover.State, bucket byte, own bool) {
	whose, asks := "the partner's", ""
	if own {
		whose = "this server's"
	}
	if d.inVain {
		asks = "; it has asked in vain for some time"
	}
	d.note("partner %q: %v; bucket %d is %s%s", p.Name, state, bucket, whose, asks)
}

// holdBack withholds a refusal from a client while the partner is not heard: the partner may have
// given it the lease.
func (t *table) holdBack(d *decision) {
	p := d.sub.partner
	if p != nil && d.reply == wire.Nak && d.undirected && !d.inVain && d.reason != nakWrongNetwork && p.state(d.now) != failover.Normal {
		d.silent(dropPartner)
	}
}

// hasPartner reports whether an address is the partner's own in the shared network.
func (seg *sharedNetwork) hasPartner(a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(seg.subnets, func(sub *subnet) bool { return sub.PartnerServer == a })
}

// IPv6 addresses are split the same way.

func bit6(a netip.Addr) byte { return a.As16()[15] & 1 }

func (s *subnet6) parity(a netip.Addr) byte {
	if s.partner == nil {
		return 0
	}
	return bit6(a)
}

// use counts the addresses of the pools that are in use.
func (s *subnet6) use(a netip.Addr, n int) {
	s.used[bit6(a)] += uint64(n) // of -1 as well, modulo 2^64
}

// mayGive is [table.mayGive] for DHCPv6.
func (t *table6) mayGive(d *decision6, ia *ia6, a netip.Addr) bool {
	sub := t.cur.find(a)
	if sub == nil || sub.partner == nil {
		return true
	}
	p, e, now := sub.partner, t.byAddr[a], d.now.UnixNano()
	switch {
	case p.takesOver(now):
		return true
	case e != nil && e.mine(ia.key) && e.lease.State == Bound && e.live(d.now):
		return true
	case a == d.reserved() && (e == nil || e.lease.State != Declined && t.sameMachine(d, e)):
		return true // a reserved address passes from one stage of a machine to the next
	case e != nil && e.lease.State != offered && !e.mine(ia.key) && !e.confirmed:
		return false
	}
	return a == d.reserved() || p.owns(bit6(a), now)
}

// mayPick reports whether a never used address may go to any client.
func (s *subnet6) mayPick(a netip.Addr, now int64) bool {
	return s.partner == nil || s.partner.owns(bit6(a), now) || s.partner.takesOver(now)
}

// full reports whether no address is left that this server may give out.
func (s *subnet6) full(now int64) bool {
	p := s.partner
	if p == nil || p.takesOver(now) {
		return s.used[0]+s.used[1] >= s.total
	}
	return !p.owns(p.bit, now) || s.used[p.bit] >= s.parities[p.bit]
}

// oldest returns the least recently used entry of an ended lease that the packet's client may have,
// or nil.
func (t *table6) oldest(d *decision6, ia *ia6, sub *subnet6) *entry6 {
	for half := range sub.ended {
		n := 0
		for el := sub.ended[half].Front(); el != nil && n < maxOldest; el, n = el.Next(), n+1 {
			if e := el.Value.(*entry6); !d.uses(e.lease.Addr) && t.mayGive(d, ia, e.lease.Addr) && (!sub.classed() || t.dynamic(d, e.lease.Addr)) {
				return e
			} else if sub.partner != nil && sub.partner.bit != byte(half) && !sub.partner.takesOver(d.now.UnixNano()) {
				break // none with this bit
			}
		}
	}
	return nil
}

// mayAnswer is [table.mayAnswer] for DHCPv6.
func (t *table6) mayAnswer(d *decision6, r *request6) Reason {
	p, now := d.sub.partner, d.now.UnixNano()
	if p == nil {
		return 0
	}
	bucket, state := bucketOf(r.duid), p.state(now)
	d.undirected = r.serverID == nil
	own := d.sub.ownBucket(bucket)
	if d.undirected && len(r.duid) > 0 && (state != failover.Normal || !own) {
		d.inVain = t.heard.inVain(r.duid, r.waited(), now, !d.trace)
	}
	if d.trace {
		x := decision{inVain: d.inVain}
		x.notePartner(p, state, bucket, own)
		d.steps = append(d.steps, x.steps...)
	}
	switch {
	case state == failover.Recovering:
		return dropRecovering
	case state == failover.Normal && d.undirected && !own && !d.inVain && len(r.duid) > 0:
		return dropPartner
	}
	return 0
}
