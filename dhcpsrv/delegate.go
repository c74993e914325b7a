package dhcpsrv

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/dhcpsrv/internal/wire6"
)

// PrefixPool is a range of prefixes that are delegated to routers (RFC 8415 section 6.3).
type PrefixPool struct {
	Prefix netip.Prefix // overlaps no subnet and no other pool
	Length int          // of the delegated prefixes; at most 62 bits longer than Prefix
}

// defaultPrefixQuota is the default of Subnet.PrefixQuota: a router with a few networks of its own.
const defaultPrefixQuota = 4

// delegated is a pool of prefixes with the subnet whose clients get them.
type delegated struct {
	PrefixPool
	sub  *subnet6
	size uint64
	odd  oddPrefixes // belongs to the table
}

// at returns the prefix at a place of the pool.
func (p *delegated) at(n uint64) netip.Addr {
	b := p.Prefix.Addr().As16()
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	switch shift := 128 - p.Length; {
	case shift >= 64:
		hi |= n << (shift - 64)
	case shift > 0:
		hi, lo = hi|n>>(64-shift), lo|n<<shift
	default:
		lo |= n
	}
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	return netip.AddrFrom16(b)
}

// half returns to which of two partners a prefix belongs: by the first bit below the prefix of the
// pool. Two prefixes of different halves do not overlap whatever their lengths, so that partners
// whose snapshots have different lengths for a moment still do not delegate the same addresses.
func (p PrefixPool) half(a netip.Addr) byte {
	if p.Length <= p.Prefix.Bits() {
		return 0
	}
	return a.As16()[p.Prefix.Bits()/8] >> (7 - p.Prefix.Bits()%8) & 1
}

// half returns the half that a prefix lies in with a partner, and 0 without: ended leases are
// listed by it.
func (s *subnet6) half(a netip.Addr) byte {
	for _, p := range s.Delegate {
		if s.partner != nil && p.Prefix.Contains(a) {
			return p.half(a)
		}
	}
	return 0
}

// share returns which places of the pool this server may give to new clients.
func (p *delegated) share(now int64) (from, size uint64) {
	switch partner := p.sub.partner; {
	case partner == nil || partner.takesOver(now):
		return 0, p.size
	case !partner.owns(partner.bit, now):
		return 0, 0
	case p.size == 1:
		return 0, uint64(1 - partner.bit)
	default:
		return uint64(partner.bit) * (p.size / 2), p.size / 2
	}
}

// holds reports whether a prefix is one of the pool's.
func (p *delegated) holds(q netip.Prefix) bool {
	return q.IsValid() && q.Bits() == p.Length && p.Prefix.Contains(q.Addr()) && q == q.Masked()
}

// delegate enters the pools of prefixes of a subnet.
func (c *serving6) delegate(sub *subnet6) error {
	if sub.PrefixQuota < 0 {
		return fmt.Errorf("negative PrefixQuota %d", sub.PrefixQuota)
	}
	for _, p := range sub.Delegate {
		switch {
		case !p.Prefix.IsValid() || !is6(p.Prefix.Addr()) || p.Prefix.Bits() < 8 || p.Prefix != p.Prefix.Masked():
			return fmt.Errorf("delegated prefixes %v are not an IPv6 prefix of /8 or longer", p.Prefix)
		case p.Length < p.Prefix.Bits() || p.Length > 128 || p.Length-p.Prefix.Bits() > 62:
			return fmt.Errorf("delegated prefixes of length %d do not fit into %v: set a length from %d to %d", p.Length, p.Prefix, p.Prefix.Bits(), min(128, p.Prefix.Bits()+62))
		}
		for _, other := range c.delegated {
			if other.Prefix.Overlaps(p.Prefix) {
				return fmt.Errorf("delegated prefixes %v overlap %v of subnet %q", p.Prefix, other.Prefix, other.sub.Name)
			}
		}
		c.delegated = append(c.delegated, &delegated{PrefixPool: p, sub: sub, size: 1 << (p.Length - p.Prefix.Bits())})
	}
	return nil
}

// checkDelegated refuses pools of prefixes that overlap subnets: an address there could belong to
// two routers.
func (c *serving6) checkDelegated() error {
	for _, p := range c.delegated {
		for _, sub := range c.subnets {
			if sub.Prefix.Overlaps(p.Prefix) {
				return fmt.Errorf("subnet %q: delegated prefixes %v overlap %v of subnet %q", p.sub.Name, p.Prefix, sub.Prefix, sub.Name)
			}
		}
	}
	return nil
}

// findDelegated returns the pool of prefixes that contains an address, or nil.
func (c *serving6) findDelegated(a netip.Addr) *delegated {
	for _, p := range c.delegated {
		if p.Prefix.Contains(a) {
			return p
		}
	}
	return nil
}

// reservePrefix checks the prefix of a reservation and enters it.
func (c *serving6) reservePrefix(r *Reservation) error {
	if !r.Prefix.IsValid() {
		return nil
	}
	p := c.findDelegated(r.Prefix.Addr())
	switch other := c.byAddr[r.Prefix.Addr()]; {
	case p == nil || !p.holds(r.Prefix):
		return fmt.Errorf("prefix %v is none of those that a subnet delegates", r.Prefix)
	case other != nil && other != r:
		return fmt.Errorf("prefix %v is already reserved for %s", r.Prefix, other.label())
	}
	c.byAddr[r.Prefix.Addr()] = r
	return nil
}

// key6 returns the key of the client that has a lease; "" = none.
func (l *Lease) key6() string {
	switch {
	case l.Bits > 0:
		return string(appendPrefixKey(nil, l.DUID, l.IAID))
	case l.State == Declined:
		return ""
	}
	return string(appendKey6(nil, l.DUID, l.IAID))
}

// appendPrefixKey appends the key of the lease of a prefix, which differs from the one of an
// address of the association with the same number.
func appendPrefixKey(b, duid []byte, iaid uint32) []byte {
	return append(appendKey6(b, duid, iaid), 'p')
}

// countPrefix counts the prefixes that a client holds or is offered, and those of each length.
func (t *table6) countPrefix(e *entry6, n int) {
	l := &e.lease
	if l.Bits == 0 {
		return
	}
	t.lengths[l.Bits] += n
	for _, p := range t.cur.delegated {
		p.odd.set(p, e, n > 0)
	}
	if l.State != Bound && l.State != offered {
		return
	}
	if t.prefixes[string(l.DUID)] += n; t.prefixes[string(l.DUID)] == 0 {
		delete(t.prefixes, string(l.DUID))
	}
}

// entryOf returns the entry of an address, or of the delegated prefix that contains it, or nil.
func (t *table6) entryOf(a netip.Addr) *entry6 {
	if e := t.byAddr[a]; e != nil {
		return e
	}
	for bits, n := range t.lengths {
		if n == 0 {
			continue
		}
		q, err := a.Prefix(bits)
		if e := t.byAddr[q.Addr()]; err == nil && e != nil && int(e.lease.Bits) == bits {
			return e
		}
	}
	return nil
}

// oddPrefixes are the leases that overlap a pool of prefixes and are none of its prefixes: the pool
// had another length when they were given. Each is listed under its first prefix of the pool's
// length, or under its own prefix when that is shorter.
type oddPrefixes struct {
	under   map[netip.Prefix][]*entry6
	lengths map[int]int // of the keys
}

// set enters or removes an entry.
func (o *oddPrefixes) set(p *delegated, e *entry6, there bool) {
	q := e.lease.prefix()
	if !q.Overlaps(p.Prefix) || p.holds(q) {
		return
	}
	bits := min(q.Bits(), p.Length)
	key := netip.PrefixFrom(q.Addr(), bits).Masked()
	if there {
		if o.under == nil {
			o.under, o.lengths = make(map[netip.Prefix][]*entry6), make(map[int]int)
		}
		o.under[key] = append(o.under[key], e)
		o.lengths[bits]++
		return
	}
	kept := slices.DeleteFunc(o.under[key], func(other *entry6) bool { return other == e })
	if o.under[key] = kept; len(kept) == 0 {
		delete(o.under, key)
	}
	if o.lengths[bits]--; o.lengths[bits] <= 0 {
		delete(o.lengths, bits)
	}
}

// any reports whether one of the leases that overlap a prefix of the pool satisfies f.
func (o *oddPrefixes) any(a netip.Addr, f func(*entry6) bool) bool {
	for bits := range o.lengths {
		if slices.ContainsFunc(o.under[netip.PrefixFrom(a, bits).Masked()], f) {
			return true
		}
	}
	return false
}

// delegates reports whether the client of a decision is where prefixes are delegated.
func (d *decision6) delegates(c *serving6) bool {
	return slices.ContainsFunc(c.delegated, func(p *delegated) bool { return p.sub.seg == d.sub.seg })
}

// decidePrefixes judges the associations for prefixes, each by itself.
func (t *table6) decidePrefixes(d *decision6, r *request6) {
	if d.reply == 0 || r.Type == wire6.Confirm || !d.delegates(t.cur) {
		return
	}
	left := false
	for i := range r.foreign {
		asked := &r.foreign[i]
		if asked.Code != wire6.OptIAPD {
			continue
		}
		ia := ia6{id: asked.ID, status: noStatus, key: appendPrefixKey(nil, r.duid, asked.ID)}
		if r.Type == wire6.Rebind && (d.sub.NotAuthoritative || d.leavesUnknown()) && !t.owns(ia.key, d.sub.seg) && !d.reservedPrefix().IsValid() {
			d.note("IA_PD %08x is not known, and another server may know it", ia.id)
			left = true
			continue
		}
		switch r.Type {
		case wire6.Solicit, wire6.Request, wire6.Renew, wire6.Rebind:
			t.decideDelegation(d, r, &ia, asked.Prefixes)
		default:
			t.decideReturn(d, r, &ia, asked.Prefixes)
		}
		d.pds = append(d.pds, ia)
	}
	// All associations are left to the server that may know them.
	if left && len(d.ias)+len(d.pds) == 0 {
		d.silent(dropUnknownLease)
	}
}

// reservedPrefix returns the prefix that is reserved for the client, or an invalid one.
func (d *decision6) reservedPrefix() netip.Prefix {
	if d.res == nil {
		return netip.Prefix{}
	}
	return d.res.Prefix
}

// decideDelegation chooses a prefix.
func (t *table6) decideDelegation(d *decision6, r *request6, ia *ia6, asked []netip.Prefix) {
	again := r.Type == wire6.Renew || r.Type == wire6.Rebind
	// Another server may know what this one does not.
	foreign := again && d.sub.NotAuthoritative && !t.owns(ia.key, d.sub.seg)
	if d.refused || foreign || !t.choosePrefix(d, r, ia, asked) {
		ia.status = wire6.StatusNoPrefix
		if again {
			ia.status, ia.gonePrefixes = wire6.StatusNoBinding, asked
		}
		return
	}
	if ia.act = actGrant; d.reply == wire6.Advertise {
		ia.act = actHold
	} else {
		ia.gonePrefixes = slices.DeleteFunc(asked, func(p netip.Prefix) bool { return p.Addr().IsUnspecified() || p == ia.prefix() })
	}
	d.reason = 0
	d.setLease(ia, r)
	if d.trace {
		d.note("IA_PD %08x: prefix %v by %s", ia.id, ia.prefix(), ia.by)
	}
}

// decideReturn judges RELEASE: only of prefixes that the client holds. Prefixes are not declined
// (RFC 8415 section 18.2.8).
func (t *table6) decideReturn(d *decision6, r *request6, ia *ia6, asked []netip.Prefix) {
	for _, p := range asked {
		e := t.byAddr[p.Addr()]
		if r.Type == wire6.Release && e != nil && e.mine(ia.key) && e.lease.prefix() == p && e.live(d.now) && e.lease.State == Bound && !slices.Contains(ia.held, p.Addr()) {
			ia.held, ia.act = append(ia.held, p.Addr()), actRelease
		}
	}
	if len(ia.held) == 0 {
		ia.status = wire6.StatusNoBinding
	}
}

// prefix returns the prefix that an association gets, or an invalid one.
func (ia *ia6) prefix() netip.Prefix { return netip.PrefixFrom(ia.addr, int(ia.bits)) }

// prefix returns the delegated prefix of a lease, or an invalid one.
func (l *Lease) prefix() netip.Prefix {
	if l.Bits == 0 {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(l.Addr, int(l.Bits))
}

// choosePrefix picks a prefix in the order in which addresses are chosen: the reserved one, the one
// held, a former one, the one asked for, the place that the key hashes to, and the one unused for
// the longest time. Pools with the length that the client asks for come first.
func (t *table6) choosePrefix(d *decision6, r *request6, ia *ia6, asked []netip.Prefix) bool {
	take := func(p *delegated, a netip.Addr, how string) bool {
		ia.addr, ia.bits, ia.by, ia.sub = a, uint8(p.Length), how, p.sub
		return true
	}
	if q := d.reservedPrefix(); q.IsValid() {
		if p := t.cur.findDelegated(q.Addr()); p.sub.seg == d.sub.seg && t.mayDelegate(d, ia, p, q.Addr()) {
			return take(p, q.Addr(), byReservation)
		}
	}
	held := t.heldPrefix(d, ia)
	if held != nil && held.live(d.now) {
		return take(t.cur.findDelegated(held.lease.Addr), held.lease.Addr, byLease)
	}
	if t.prefixes[string(r.duid)]+d.freshPrefixes() >= cmp.Or(d.sub.PrefixQuota, defaultPrefixQuota) {
		d.note("IA_PD %08x: the client holds as many prefixes as it may", ia.id)
		return false
	}
	if held != nil {
		return take(t.cur.findDelegated(held.lease.Addr), held.lease.Addr, byFormer)
	}
	for _, q := range asked {
		if p := t.cur.findDelegated(q.Addr()); p != nil && p.sub.seg == d.sub.seg && p.holds(q) && t.mayDelegate(d, ia, p, q.Addr()) {
			return take(p, q.Addr(), byRequest)
		}
	}
	pools := t.poolsFor(d, asked)
	for _, p := range pools {
		if a := t.pickPrefix(d, ia, p); a.IsValid() {
			return take(p, a, byHash)
		}
	}
	for _, p := range pools {
		if e := t.oldestPrefix(d, ia, p); e != nil {
			return take(p, e.lease.Addr, byAge)
		}
	}
	return false
}

// oldestPrefix returns the least recently used entry of an ended lease of a pool whose prefix the
// client may get, or nil.
func (t *table6) oldestPrefix(d *decision6, ia *ia6, p *delegated) *entry6 {
	for half := range p.sub.endedPrefixes {
		n := 0
		for el := p.sub.endedPrefixes[half].Front(); el != nil && n < maxOldest; el, n = el.Next(), n+1 {
			if e := el.Value.(*entry6); p.holds(e.lease.prefix()) && t.mayDelegate(d, ia, p, e.lease.Addr) {
				return e
			}
		}
	}
	return nil
}

// freshPrefixes returns how many prefixes the packet already gets that its client did not hold.
func (d *decision6) freshPrefixes() (n int) {
	for i := range d.pds {
		if by := d.pds[i].by; by != "" && by != byLease {
			n++
		}
	}
	return n
}

// heldPrefix returns the association's own entry: its lease or offer, else its previous lease.
func (t *table6) heldPrefix(d *decision6, ia *ia6) (best *entry6) {
	for e := range t.own(ia.key, d.sub.seg) {
		p := t.cur.findDelegated(e.lease.Addr)
		if p == nil || !p.holds(e.lease.prefix()) || !t.mayDelegate(d, ia, p, e.lease.Addr) {
			continue
		}
		if best == nil || e.live(d.now) && !best.live(d.now) {
			best = e
		}
	}
	return best
}

// mayDelegate reports whether the client may get a prefix of a pool: it is reserved for no other
// client, no other client holds it or a part of it, the packet does not get it already, and with a
// partner it is this server's to give.
func (t *table6) mayDelegate(d *decision6, ia *ia6, p *delegated, a netip.Addr) bool {
	res, e, partner, now := t.cur.byAddr[a], t.byAddr[a], p.sub.partner, d.now.UnixNano()
	over := partner == nil || partner.takesOver(now)
	// Of a lease that has ended, the partner may have a later version until it has confirmed the
	// end.
	taken := func(e *entry6) bool {
		return !e.mine(ia.key) && (e.live(d.now) || !over && e.lease.State != offered && !e.confirmed)
	}
	switch {
	case res != nil && res != d.res, e != nil && taken(e), p.odd.any(a, taken):
		return false
	case slices.ContainsFunc(d.pds, func(other ia6) bool { return other.addr == a }):
		return false
	case over, res != nil, e != nil && e.mine(ia.key) && e.lease.State == Bound && e.live(d.now):
		return true
	}
	return partner.owns(p.half(a), now)
}

// poolsFor returns the pools of a client's shared network, those with the length it asks for first,
// and then those nearest to it (RFC 8168 section 3.2).
func (t *table6) poolsFor(d *decision6, asked []netip.Prefix) (pools []*delegated) {
	for _, p := range t.cur.delegated {
		if p.sub.seg == d.sub.seg && (d.res == nil || d.res.Subnet == "" || d.res.Subnet == p.sub.Name) {
			pools = append(pools, p)
		}
	}
	if len(asked) > 0 && asked[0].Bits() > 0 {
		hint := asked[0].Bits()
		slices.SortStableFunc(pools, func(a, b *delegated) int {
			return cmp.Compare(max(a.Length-hint, hint-a.Length), max(b.Length-hint, hint-b.Length))
		})
	}
	return pools
}

// pickPrefix returns a prefix that no client has had, the same for the same key as long as it is
// free.
func (t *table6) pickPrefix(d *decision6, ia *ia6, p *delegated) netip.Addr {
	from, size := p.share(d.now.UnixNano())
	if size == 0 {
		return netip.Addr{}
	}
	free := func(a netip.Addr) bool { return t.byAddr[a] == nil && t.mayDelegate(d, ia, p, a) }
	h := hashKey(ia.key)
	start := h % size
	for range hashTries {
		if a := p.at(from + h%size); free(a) {
			return a
		}
		h = mix(h)
	}
	for n := range min(size, maxScan) {
		if a := p.at(from + (start+n)%size); free(a) {
			return a
		}
	}
	return netip.Addr{}
}

// writePrefix writes an association for a prefix.
func (ia *ia6) writePrefix(w *wire6.Writer) {
	secs := uint32(ia.lease.Seconds())
	w.Open(wire6.OptIAPD)
	w.Uint32(ia.id)
	w.Uint32(secs / 2)
	w.Uint32(uint32(uint64(secs) * 4 / 5))
	if ia.addr.IsValid() {
		w.IAPrefix(ia.prefix(), secs, secs)
	}
	for _, p := range ia.gonePrefixes {
		w.IAPrefix(p, 0, 0)
	}
	if ia.status != noStatus {
		w.Status(ia.status, "")
	}
	w.Close()
}
