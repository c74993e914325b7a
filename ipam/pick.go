package ipam

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"time"
)

// try picks addresses until insert accepts one. It refuses only after it has read the ledger again
// and nothing is left.
func (p *Pool) try(ctx context.Context, insert func(context.Context, netip.Addr) error, choose func() (u128, bool)) (netip.Addr, error) {
	if p.ledger == nil {
		return netip.Addr{}, errNoPool
	}
	// Without other writers the free set is the truth.
	current := p.lister == nil
	for {
		if err := ctx.Err(); err != nil {
			return netip.Addr{}, err
		}
		c, ok := p.pick(choose, current)
		switch {
		case ok:
			a := c.x.addr(p.is4)
			err := insert(ctx, a)
			// An address that another writer holds is not put back.
			p.decided(c, err != nil && !errors.Is(err, fs.ErrExist))
			if err == nil {
				return a, nil
			}
			if !errors.Is(err, fs.ErrExist) {
				return netip.Addr{}, err
			}
			current = p.lister == nil
		// The ledger was read after the last insertion failed: nothing is left.
		case current:
			return netip.Addr{}, p.exhausted()
		default:
			if err := p.load(ctx); err != nil {
				return netip.Addr{}, err
			}
			current = true
		}
	}
}

// candidate is an address that was picked and that the ledger decides on.
type candidate struct {
	x         u128
	neighbour bool
}

// pick removes an address from what is free: one that choose names, or with lastResort one from
// quarantine, or a neighbour.
func (p *Pool) pick(choose func() (u128, bool), lastResort bool) (c candidate, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake()
	if c.x, ok = choose(); ok {
		if !p.free.remove(c.x) {
			p.resting.take(c.x)
		}
	} else if !lastResort {
		return c, false
		// A released address is safer than one that a stranger was seen at.
	} else if c.x, ok = p.resting.pop(time.Time{}, false); !ok && len(p.seen) > 0 {
		c, p.seen, ok = candidate{toU128(p.seen[0]), true}, p.seen[1:], true
	}
	if ok {
		p.picked(c.x)
	}
	return c, ok
}

// bestFit is the choice of Next. p.mu is held.
func (p *Pool) bestFit() (u128, bool) { return p.free.bestFit() }

// probes is the number of places that byKey tries before it takes the next free address.
const probes = 16

// byKey is the choice of For. p.mu is held. It hashes over the whole subnet, not over what is free,
// so that the answer seldom depends on the filling.
func (p *Pool) byKey(key string) (u128, bool) {
	h := sha256.Sum256([]byte(p.cfg.Usage.Subnet.Prefix.String() + " " + key))
	at := u128{binary.BigEndian.Uint64(h[0:]), binary.BigEndian.Uint64(h[8:])}
	// An odd step reaches every address before it repeats, in sizes of powers of two.
	step := u128{binary.BigEndian.Uint64(h[16:]), binary.BigEndian.Uint64(h[24:]) | 1}
	size := p.whole.to.sub(p.whole.from).next()
	for range probes {
		x := p.whole.from.add(at.mod(size))
		// The last holder may return while the address rests.
		if p.free.contains(x) || p.resting.by(x, key) {
			return x, true
		}
		at = at.add(step)
	}
	if x, ok := p.free.next(p.whole.from.add(at.mod(size))); ok {
		return x, true
	}
	return p.free.next(p.whole.from)
}

// wake moves addresses whose quarantine is over back to the free ones. p.mu is held.
func (p *Pool) wake() {
	if len(p.resting.queue) == 0 {
		return
	}
	for now := time.Now(); ; {
		x, ok := p.resting.pop(now, true)
		if !ok {
			return
		}
		p.putBack(x)
	}
}

// picked notes that x left the free ones. p.mu is held.
func (p *Pool) picked(x u128) {
	delete(p.observed, x)
	if p.lister == nil {
		return
	}
	p.flight[x] = struct{}{}
	if p.loading {
		// The reload may have read the ledger before this insertion.
		p.journal = append(p.journal, change{x, false})
	}
}

// decided notes that the ledger has answered; with back the candidate is as free as it was.
func (p *Pool) decided(c candidate, back bool) {
	if p.lister == nil && !back {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.flight, c.x)
	switch {
	case back && c.neighbour:
		// In front again: it is still the one not seen for longest.
		p.seen = append([]netip.Addr{c.x.addr(p.is4)}, p.seen...)
		p.observed[c.x] = struct{}{}
	case back:
		p.putBack(c.x)
	}
}

// putBack makes x free. p.mu is held.
func (p *Pool) putBack(x u128) {
	p.free.add(x)
	if p.loading {
		p.journal = append(p.journal, change{x, true})
	}
}

// load builds the free set from the settings and the ledger. Callers that come while another loads
// wait for it, and share its result if it began after they came.
func (p *Pool) load(ctx context.Context) error {
	p.mu.Lock()
	before := p.loads
	p.mu.Unlock()
	select {
	case p.reload <- struct{}{}:
		defer func() { <-p.reload }()
	case <-ctx.Done():
		return ctx.Err()
	}
	used, shared := p.beginLoad(before)
	if shared {
		return nil
	}
	// Without the lock: reading a ledger may take seconds, and addresses are given out meanwhile.
	used, shut, err := p.usedBy(ctx, used)
	observed := p.unheld(used)
	for x := range observed {
		used = append(used, x)
	}
	free := newGapSet(runsWithout(p.open, used), len(p.open)+len(used))

	p.mu.Lock()
	defer p.mu.Unlock()
	p.loading = false
	if err != nil {
		return err
	}
	p.loads++
	p.observed, p.shut = observed, shut
	p.replace(free)
	return nil
}

// beginLoad starts the journal and returns the addresses in flight. shared reports that another
// load began and ended since before was read.
func (p *Pool) beginLoad(before uint64) (used []u128, shared bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loads > before+1 { // the first may have begun earlier, the second has not
		return nil, true
	}
	p.loading, p.journal = true, nil
	// The ledger may not have them yet, although it will.
	for x := range p.flight {
		used = append(used, x)
	}
	return used, false
}

// unheld returns the excluded addresses and the neighbours that have no holder.
func (p *Pool) unheld(used []u128) map[u128]struct{} {
	out := make(map[u128]struct{})
	add := func(a netip.Addr) {
		if p.isOpen(a) {
			out[toU128(a)] = struct{}{}
		}
	}
	for _, a := range p.cfg.Usage.Exclude {
		add(a)
	}
	for _, n := range p.cfg.Usage.Neighbours {
		add(n.Addr)
	}
	if len(out) > 0 {
		for _, x := range used {
			delete(out, x)
		}
	}
	return out
}

// usedBy appends what has a holder according to the configuration and the ledger. shut are the
// addresses among them that settings do not allow to give out.
func (p *Pool) usedBy(ctx context.Context, used []u128) (_ []u128, shut map[netip.Addr]struct{}, _ error) {
	shut = make(map[netip.Addr]struct{})
	add := func(a netip.Addr) {
		if p.isOpen(a) {
			used = append(used, toU128(a))
		} else {
			shut[a] = struct{}{}
		}
	}
	for _, a := range p.cfg.Usage.Allocations {
		if p.lister == nil || a.Type == AllocDiscovered {
			add(a.Addr)
		}
	}
	if p.lister == nil {
		return used, shut, nil
	}
	if own, ok := p.lister.(*MemLedger); ok {
		// Growing step by step would copy a large ledger many times.
		used = slices.Grow(used, own.Len())
	}
	for a, err := range p.lister.Addrs(ctx, p.cfg.Usage.Subnet.Prefix) {
		if err != nil {
			return used, shut, err
		}
		add(a)
	}
	return used, shut, nil
}

// replace installs a freshly built free set, with what happened meanwhile. p.mu is held.
func (p *Pool) replace(free *gapSet) {
	p.free = free
	for _, c := range p.journal {
		if c.back {
			p.free.add(c.x)
		} else {
			p.free.remove(c.x)
		}
	}
	p.journal = nil
	// The ledger has lost them already, but they are not free yet.
	for x := range p.resting.held {
		p.free.remove(x)
	}
}

func (p *Pool) exhausted() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &ExhaustedError{Subnet: p.cfg.Usage.Subnet.Prefix, Wanted: 1, Quarantined: len(p.resting.held)}
}
