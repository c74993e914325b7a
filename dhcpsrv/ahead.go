package dhcpsrv

import (
	"bytes"
	"context"
	"math"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gomaas/maas/dhcpsrv/internal/stock"
)

// Addresses are probed ahead so that an unknown client need not wait for the probe of its own.
// DESIGN.md says what protects an address that a host takes meanwhile.
const (
	defaultProbeAhead = 3 * time.Minute

	firstStock  = 64      // addresses kept probed in a pool without demand
	maxStock    = 1 << 14 // the most in one pool: 50,000 clients a second, with probes of 300 ms
	maxAhead    = 1 << 14 // probed ahead at once by one server
	aheadChunk  = 1 << 10 // addresses in one call of a BatchProber
	gatherAhead = 2 * time.Millisecond
	growFor     = 400 * time.Millisecond // of demand, which a stock that grows is made for: a probe and some
	lookAtStock = 10 * time.Second       // at places that become old, and at demand that is over
	retryAhead  = int64(10 * time.Second)
)

// A BatchProber is a [Prober] that probes many addresses of one link at once, at a cost that allows
// thousands of probes a second. The server then keeps larger stocks of probed addresses, and probes
// for up to 4,096 packets at once.
type BatchProber interface {
	Prober
	// ProbeBatch returns the addresses that answer, each with the link address of its host, nil if
	// that is not known. It may block as [Prober.Probe] does.
	ProbeBatch(ctx context.Context, link string, addrs []netip.Addr) (inUse map[netip.Addr]net.HardwareAddr, err error)
}

// ahead holds what was probed ahead in one pool. Places are offsets in the pool. The server's lock
// guards it.
type ahead struct {
	free stock.Stock // places that no entry has
	old  stock.Stock // places of ended leases, for a pool without free ones

	target  int   // places to keep
	missed  int   // clients that found none, while not growing
	drawn   int   // clients that found one since looked
	growing bool  // the places that the last growth asked for are still being probed
	looked  int64 // when demand was last compared with the target
	retries int64 // after a failed probe nothing is probed before this
}

// has reports whether a place counts as free.
func (a *ahead) has(place uint64, now int64) bool {
	return a.free.Has(place, now) || a.old.Has(place, now)
}

// remove takes a place out.
func (a *ahead) remove(place uint64) {
	a.free.Remove(place)
	a.old.Remove(place)
}

// heard takes a place out that a host uses.
func (a *ahead) heard(place uint64, until int64) {
	a.free.Block(place, until)
	a.old.Remove(place)
}

// clear forgets all places.
func (a *ahead) clear() { a.free, a.old = stock.Stock{}, stock.Stock{} }

// adjust sets the target by the demand and returns the number of places to probe. It grows in few
// large steps, since clients wait for a whole probe in each, and shrinks slowly.
func (a *ahead) adjust(size uint64, now int64) (n int) {
	a.free.Expire(now)
	a.old.Expire(now)
	before := a.target
	switch {
	case a.growing:
	case a.missed > 0 || a.drawn >= a.target/2 && a.short(now) > a.target/2:
		// As many as clients took, at this rate, until probes that begin now are over.
		rate := float64(a.drawn+a.missed) / float64(max(now-a.looked, int64(gatherAhead)))
		a.target = max(2*a.target, 2*a.missed, min(64*a.target, int(rate*float64(growFor))))
	case now-a.looked >= int64(lookAtStock):
		if a.drawn < a.target/4 {
			a.target /= 2
		}
		a.drawn, a.looked = 0, now
	}
	a.target = min(max(a.target, firstStock), maxStock, int(min(size, maxStock)))
	a.growing = a.growing || a.target > before
	return a.short(now)
}

// grown ends the growth of the target once most of what it asked for is probed. Clients that waited
// meanwhile are no reason to grow further.
func (a *ahead) grown(now int64) {
	if a.growing && 8*(a.free.Pending()+a.old.Pending()) <= a.target {
		a.growing, a.missed, a.drawn, a.looked = false, 0, 0, now
	}
}

// short returns how many places are missing, or will be old soon.
func (a *ahead) short(now int64) int {
	if now < a.retries {
		return 0
	}
	return a.target - a.free.Len() - a.old.Len() - a.free.Pending() - a.old.Pending()
}

// lot is a number of addresses of one pool that are probed ahead together.
type lot struct {
	ahead  *ahead
	old    bool // of ended leases
	link   string
	subnet string
	places []uint64
	addrs  []netip.Addr
}

func (l *lot) stock() *stock.Stock {
	if l.old {
		return &l.ahead.old
	}
	return &l.ahead.free
}

// keepAhead returns for how long a probed address counts as free; 0 = not at all.
func (s *Server) keepAhead() int64 {
	if s.cfg.Prober == nil {
		return 0
	}
	return int64(max(s.cfg.ProbeAhead, 0))
}

// stockUp probes addresses ahead until ctx ends. When several Serve of a family run, one of them
// does so.
func (s *Server) stockUp(ctx context.Context, v6 bool) {
	if s.keepAhead() == 0 {
		return
	}
	family := &s.stocking[0]
	if v6 {
		family = &s.stocking[1]
	}
	select {
	case family.running <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-family.running }()
	var probes sync.WaitGroup
	defer probes.Wait()
	for {
		for _, l := range s.lots(v6) {
			probes.Go(func() { s.probeLot(ctx, l) })
		}
		timer := time.NewTimer(lookAtStock)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-family.wake:
			timer.Stop()
			// Clients that ask at once share the probes.
			if !sleep(ctx, gatherAhead) {
				return
			}
		case <-timer.C:
		}
	}
}

// stocking runs the probes ahead of one family.
type stocking struct {
	running chan struct{} // held by the goroutine that does
	wake    chan struct{}
	pending int // addresses being probed; guarded by the lock of the server
}

func newStocking() stocking {
	return stocking{running: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
}

// demand wakes the goroutine that probes ahead.
func (k *stocking) demand() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// lots returns what is to be probed now, and marks it.
func (s *Server) lots(v6 bool) (all []*lot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	family, most, chunk := &s.stocking[0], maxAhead, aheadChunk
	if _, ok := s.cfg.Prober.(BatchProber); !ok {
		most, chunk = maxProbes, 1 // each probe has a goroutine of its own
	}
	var gathered []*lot
	if v6 {
		family = &s.stocking[1]
	}
	for _, v := range s.vrfs {
		var found []*lot
		if v6 {
			found = v.v6.candidates(now, now+s.keepAhead()/4, most-family.pending)
		} else {
			found = v.v4.candidates(now, now+s.keepAhead()/4, most-family.pending)
		}
		for _, l := range found {
			most -= len(l.places)
		}
		gathered = append(gathered, found...)
	}
	for _, l := range gathered {
		family.pending += len(l.places)
		for len(l.places) > 0 {
			n := min(chunk, len(l.places))
			part := *l
			part.places, part.addrs = l.places[:n], l.addrs[:n]
			all = append(all, &part)
			l.places, l.addrs = l.places[n:], l.addrs[n:]
		}
	}
	return all
}

// gather adds to a lot the places that a pool lacks: old ones of the stock first, so that they stay
// in it, then fresh ones. left bounds what is left to find, since the search for the last places of
// a pool is long.
func (l *lot) gather(size uint64, now, soon int64, most int, free func(uint64) bool, left uint64, ended func() []uint64) {
	n := l.ahead.adjust(size, now)
	if !l.old {
		n = min(n, int(min(left, maxStock))-l.stock().Len()-l.stock().Pending())
	}
	again := l.stock().Due(soon, l.ahead.target)
	if n = min(n+len(again), most); n <= 0 || now < l.ahead.retries {
		return
	}
	l.places = again[:min(len(again), n)]
	if l.old {
		for _, p := range ended() {
			if len(l.places) < n && !l.stock().Has(p, now) && !l.stock().Probing(p) && !l.stock().Blocked(p, now) {
				l.places = append(l.places, p)
			}
		}
	} else {
		l.places = append(l.places, l.stock().Candidates(size, n-len(l.places), now, free)...)
	}
	for _, p := range l.places {
		l.stock().Begin(p, size)
	}
	if len(l.places) == 0 {
		l.ahead.growing = false // nothing more is left in the pool
	}
}

// probeLot probes a lot and enters what is free into the stock.
func (s *Server) probeLot(ctx context.Context, l *lot) {
	found, err := s.askBatch(ctx, l)
	s.mu.Lock()
	defer s.mu.Unlock()
	family := &s.stocking[0]
	if l.addrs[0].Is6() {
		family = &s.stocking[1]
	}
	family.pending -= len(l.places)
	now := s.now()
	defer l.ahead.grown(now)
	if err != nil {
		for _, p := range l.places {
			l.stock().Cancel(p)
		}
		l.ahead.retries = now + retryAhead
		if ctx.Err() == nil {
			s.faults.Warn("addresses not probed ahead", "subnet", l.subnet, "err", err)
		}
		return
	}
	s.stats.probesAhead.Add(uint64(len(l.places)))
	for i, p := range l.places {
		owner, inUse := found[l.addrs[i]]
		if l.stock().End(p, inUse, now+s.keepAhead()) && inUse {
			s.faults.Warn("address in use, not taken for free", "ip", l.addrs[i], "subnet", l.subnet, "mac", owner.String())
		}
	}
}

// askBatch asks the prober about a lot. An error means that nothing is known.
func (s *Server) askBatch(ctx context.Context, l *lot) (found map[netip.Addr]net.HardwareAddr, err error) {
	err = context.Canceled // the result when the prober panics
	defer s.recovered("prober")
	limited, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	switch p := s.cfg.Prober.(type) {
	case BatchProber:
		found, err = p.ProbeBatch(limited, l.link, l.addrs)
	case OwnerProber:
		var owner net.HardwareAddr
		var inUse bool
		if owner, inUse, err = p.ProbeOwner(limited, l.link, l.addrs[0]); inUse {
			found = map[netip.Addr]net.HardwareAddr{l.addrs[0]: bytes.Clone(owner)}
		}
	default:
		var inUse bool
		if inUse, err = p.Probe(limited, l.link, l.addrs[0]); inUse {
			found = map[netip.Addr]net.HardwareAddr{l.addrs[0]: nil}
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err() // a probe that was cut short proves nothing
	}
	return found, err
}

// Heard reports to the server that a host was seen to use an address, such as by ARP or neighbor
// discovery: unless a client has it by a lease or an offer, no client gets it without a new probe.
// It does nothing without [Config.Prober].
func (s *Server) Heard(addr netip.Addr) { s.heardIn("", addr) }

func (s *Server) heardIn(name string, addr netip.Addr) {
	addr = addr.Unmap().WithZone("")
	if s.keepAhead() == 0 || !addr.IsValid() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, until := s.vrf(name), s.now()+s.keepAhead()
	switch {
	case v == nil:
	case addr.Is4():
		v.v4.hear(addr4From(addr), until)
	default:
		v.v6.hear(addr, until)
	}
}

// noteDemand counts a client that got an address of a stock, or that has to wait for a probe. The
// caller holds s.mu.
func (s *Server) noteDemand(a *ahead, v6, waits bool) {
	if a == nil || s.keepAhead() == 0 {
		return
	}
	if waits {
		a.missed++
	} else if a.drawn++; a.drawn == 1 {
		a.looked = s.now() // the rate counts from here
	} else if a.short(math.MaxInt64) < a.target/8 {
		return
	}
	if v6 {
		s.stocking[1].demand()
	} else {
		s.stocking[0].demand()
	}
}

// forgetAhead empties all stocks. The caller holds s.mu.
func (s *Server) forgetAhead() {
	for _, v := range s.vrfs {
		for _, sub := range v.v4.cur.subnets {
			for n := range sub.space.ahead {
				sub.space.ahead[n].clear()
			}
		}
		for _, sub := range v.v6.cur.subnets {
			for n := range sub.ahead {
				sub.ahead[n].clear()
			}
		}
	}
	s.stocking[0].demand()
	s.stocking[1].demand()
}
