package ipam

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go4.org/netipx"
)

// PoolConfig configures NewPool.
type PoolConfig struct {
	// Usage describes the subnet. Its Allocations are the addresses already given out. If Ledger is
	// a Lister, the Pool reads them from the ledger, and only Allocations of type AllocDiscovered
	// count here.
	Usage Usage
	// Ledger decides and remembers; nil = a new MemLedger of the Pool's own.
	Ledger Ledger
	// Quarantine is the time during which only the last holder gets a released address, as long as
	// others are left; 0 = none.
	Quarantine time.Duration
}

// Pool gives out the addresses of one subnet that Usage.FreeForAuto allows. It is safe for
// concurrent use. When the subnet's settings change, make a new Pool.
type Pool struct {
	cfg    PoolConfig
	is4    bool
	whole  gap   // Universe of the subnet
	open   []gap // what settings allow to give out, in order
	ledger Ledger
	lister Lister // nil = the Pool is the only writer of the ledger

	mu       sync.Mutex
	free     *gapSet
	resting  quarantine
	seen     []netip.Addr            // neighbours, least recently seen first
	observed map[u128]struct{}       // excluded addresses and neighbours that have no holder
	shut     map[netip.Addr]struct{} // held though settings do not allow to give them out
	flight   map[u128]struct{}       // picked, not yet decided by the ledger; with lister only
	journal  []change                // what happened since a reload began
	loading  bool                    // a reload is running
	reload   chan struct{}           // held (buffer 1) while reloading
	loads    uint64                  // reloads completed
}

// errNoPool is the answer of a zero Pool, which has no subnet.
var errNoPool = errors.New("ipam: the pool has no subnet; make it with NewPool")

// change is an address that left (or came back to) the free set.
type change struct {
	x    u128
	back bool
}

// NewPool makes a Pool, reading the ledger if it is a Lister. It refuses a subnet, range, route or
// reserved address that is not valid, and a range, route or reserved address that lies outside of
// the subnet: each of them keeps addresses closed, which a slip in one would give out.
func NewPool(ctx context.Context, cfg PoolConfig) (*Pool, error) {
	if err := cfg.Usage.Subnet.Validate(); err != nil {
		return nil, err
	}
	if err := cfg.Usage.validate(); err != nil {
		return nil, err
	}
	universe := Universe(cfg.Usage.Subnet.Prefix)
	p := &Pool{
		cfg: cfg, is4: universe.From().Is4(), ledger: cfg.Ledger,
		whole:  gap{toU128(universe.From()), toU128(universe.To())},
		flight: make(map[u128]struct{}), reload: make(chan struct{}, 1),
	}
	if p.ledger == nil {
		p.ledger = remember(cfg.Usage.Allocations)
	} else {
		p.lister, _ = cfg.Ledger.(Lister)
	}
	settings := cfg.Usage
	// What settings allow does not change while the pool lives; what is held does.
	settings.Allocations, settings.Neighbours, settings.Exclude = nil, nil, nil
	p.open = runsOf(settings.Free())
	p.seen = p.leastRecentlySeen()
	return p, p.load(ctx)
}

// remember returns a ledger that holds the given allocations.
func remember(held []Allocation) *MemLedger {
	l := new(MemLedger)
	for _, a := range held {
		if a.Addr.IsValid() && a.Type != AllocDiscovered {
			// Discovered addresses are leases, which the DHCP server keeps itself.
			_ = l.Insert(context.Background(), a.Addr, a.Holder) // a repeated entry changes nothing
		}
	}
	return l
}

func runsOf(s *netipx.IPSet) []gap {
	var runs []gap
	for _, r := range s.Ranges() {
		runs = append(runs, gap{toU128(r.From()), toU128(r.To())})
	}
	return runs
}

func (p *Pool) leastRecentlySeen() []netip.Addr {
	seen := slices.Clone(p.cfg.Usage.Neighbours)
	// A device that was silent for longest has most likely left.
	slices.SortStableFunc(seen, func(a, b Neighbour) int { return a.LastSeen.Compare(b.LastSeen) })
	var addrs []netip.Addr
	for _, n := range seen {
		if p.isOpen(n.Addr) {
			addrs = append(addrs, n.Addr)
		}
	}
	return addrs
}

// isOpen reports whether settings allow giving a out at all.
func (p *Pool) isOpen(a netip.Addr) bool {
	if a.Is4() != p.is4 || !a.IsValid() {
		return false
	}
	x := toU128(a)
	i, _ := slices.BinarySearchFunc(p.open, x, func(g gap, x u128) int { return g.to.cmp(x) })
	return i < len(p.open) && !x.less(p.open[i].from)
}

// Next gives out a free address to key: the lowest of the smallest gap between used addresses, as
// MAAS does, which keeps large runs whole. When none is left it takes the address that has rested
// longest in quarantine, then the neighbour not seen for longest, and then returns *ExhaustedError.
func (p *Pool) Next(ctx context.Context, key string) (netip.Addr, error) {
	return p.NextFunc(ctx, func(ctx context.Context, a netip.Addr) error { return p.ledger.Insert(ctx, a, key) })
}

// NextFunc is Next with insert in the place of the ledger's Insert, for callers whose insertion
// belongs to a larger transaction. insert returns an error that is fs.ErrExist if the address has a
// holder: another is tried. Any other error ends the call, and the address stays free.
func (p *Pool) NextFunc(ctx context.Context, insert func(context.Context, netip.Addr) error) (netip.Addr, error) {
	return p.try(ctx, insert, p.bestFit)
}

// For gives out an address chosen by key: the same key gets the same address of an equally filled
// subnet on every run, even if the ledger was lost, and mostly also if it is filled otherwise. It
// does not look whether key holds an address already.
func (p *Pool) For(ctx context.Context, key string) (netip.Addr, error) {
	insert := func(ctx context.Context, a netip.Addr) error { return p.ledger.Insert(ctx, a, key) }
	return p.try(ctx, insert, func() (u128, bool) { return p.byKey(key) })
}

// NextN gives out n addresses to key, or none.
func (p *Pool) NextN(ctx context.Context, n int, key string) ([]netip.Addr, error) {
	if n < 0 {
		return nil, fmt.Errorf("ipam: %d addresses wanted: must be 0 or more", n)
	}
	var got []netip.Addr
	for len(got) < n {
		a, err := p.Next(ctx, key)
		if err != nil {
			for _, a := range got {
				// The caller's context may have ended, but the addresses must not stay taken.
				err = errors.Join(err, p.giveBack(context.WithoutCancel(ctx), a))
			}
			var full *ExhaustedError
			if errors.As(err, &full) {
				full.Wanted, full.Free = n, len(got)
			}
			return nil, err
		}
		got = append(got, a)
	}
	return got, nil
}

// giveBack releases an address without quarantine, because no client has seen it.
func (p *Pool) giveBack(ctx context.Context, a netip.Addr) error {
	if err := p.ledger.Delete(ctx, a); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.putBack(toU128(a))
	return nil
}

// Take gives the address a to key, if the subnet's rules allow its assignment by hand (see
// Usage.CheckAddress) and it has no holder.
func (p *Pool) Take(ctx context.Context, a netip.Addr, key string) error {
	if p.ledger == nil {
		return errNoPool
	}
	settings := p.cfg.Usage
	settings.Allocations, settings.Neighbours = nil, nil
	if err := settings.CheckAddress(a, nil, false); err != nil {
		return err
	}
	x := toU128(a)
	p.mu.Lock()
	// Before the ledger is asked, so that Next does not pick it meanwhile.
	was := p.free.remove(x) || p.resting.take(x)
	p.picked(x)
	p.mu.Unlock()
	err := p.ledger.Insert(ctx, a, key)
	p.decided(candidate{x: x}, was && err != nil && !errors.Is(err, fs.ErrExist))
	if err == nil && !p.isOpen(a) {
		p.mu.Lock()
		p.shut[a] = struct{}{}
		p.mu.Unlock()
	}
	if errors.Is(err, fs.ErrExist) {
		return p.inUse(ctx, a)
	}
	return err
}

func (p *Pool) inUse(ctx context.Context, a netip.Addr) error {
	e := &RefusedError{Reason: InUse, Subject: "address " + a.String(), Subnet: p.cfg.Usage.Subnet.Prefix}
	if holder, err := p.ledger.Holder(ctx, a); err == nil && holder != "" {
		e.With = "held by " + holder
	}
	return e
}

// Release takes a back; the error is fs.ErrNotExist if it has no holder. The address enters
// quarantine.
func (p *Pool) Release(ctx context.Context, a netip.Addr) error {
	if p.ledger == nil {
		return errNoPool
	}
	key := ""
	if p.cfg.Quarantine > 0 {
		// Only to know whom the address may return to; without it, to anyone.
		key, _ = p.ledger.Holder(ctx, a)
	}
	if err := p.ledger.Delete(ctx, a); err != nil {
		return err
	}
	p.Released(a, key)
	return nil
}

// Released notifies the Pool that a was deleted from the ledger; key was its last holder. Release
// calls it; call it after deleting in another way.
func (p *Pool) Released(a netip.Addr, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.isOpen(a) {
		delete(p.shut, a)
		return
	}
	if p.cfg.Quarantine > 0 {
		p.resting.put(toU128(a), key, time.Now().Add(p.cfg.Quarantine))
		return
	}
	p.putBack(toU128(a))
}

// Statistics counts what is used, as [Usage.Statistics] does, with what the Pool has given out.
// Quarantined addresses count as available. What other writers of the ledger did counts once the
// Pool has read it.
func (p *Pool) Statistics() Statistics {
	if p.ledger == nil {
		return new(Usage).Statistics()
	}
	u := p.cfg.Usage
	u.Ranges, u.Allocations = slices.Clip(u.Ranges), nil
	p.mu.Lock()
	for a := range p.shut {
		u.Allocations = append(u.Allocations, Allocation{Addr: a})
	}
	p.wake()
	available := slices.AppendSeq(slices.Collect(maps.Keys(p.resting.held)), maps.Keys(p.observed))
	// What is open and not available has a holder. A range stands for each run of such addresses.
	for g := range runsWithout(p.open, available) {
		p.free.without(g, func(held gap) {
			u.Ranges = append(u.Ranges, Range{Type: RangeDynamic, Start: held.from.addr(p.is4), End: held.to.addr(p.is4)})
		})
	}
	p.mu.Unlock()
	return u.Statistics()
}

// Free returns how many addresses Next can give out before it falls back on quarantined ones, at
// most the largest int.
func (p *Pool) Free() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == nil {
		return 0
	}
	p.wake()
	return p.free.free.clamp()
}
