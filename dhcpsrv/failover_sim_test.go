package dhcpsrv_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/dhcptest"
	"github.com/gomaas/maas/dhcpsrv/failover"
)

// seeds returns the number of runs of a simulation: MAAS_SEEDS, or a few. MAAS_SEED replays one.
func seeds(few int) (from, to uint64) {
	if one, err := strconv.ParseUint(os.Getenv("MAAS_SEED"), 10, 64); err == nil {
		return one, one + 1
	}
	if n, err := strconv.ParseUint(os.Getenv("MAAS_SEEDS"), 10, 64); err == nil {
		return 0, n
	}
	return 0, uint64(few)
}

// TestPartnersSimulated lets two servers serve clients of both families, on the link and in a VRF behind a relay, some of them routers
// that get prefixes, while either one
// crashes and comes back with its store, while they do not hear each other, or do not hear the clients, while messages are
// late, doubled or overtake each other. After every step no address is held by two clients. A client always gets a lease
// while one server hears it. In the end, with all healed, both know every lease that was acknowledged, and the same of them.
//
// The one thing that does not happen is that both servers live for longer than TakeoverAfter without hearing each other:
// that is documented to be no case for the promise.
func TestPartnersSimulated(t *testing.T) {
	from, to := seeds(30)
	for seed := from; seed < to; seed++ {
		var p *pair
		ok := t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p = newPair(t, seed)
				defer p.end()
				p.run(60)
			})
		})
		if !ok {
			t.Fatalf("seed %d failed; replay it with MAAS_SEED=%d:\n%s", seed, seed, strings.Join(p.steps, "\n"))
		}
	}
}

const (
	simTakeover = 2 * time.Minute
	simLease    = time.Minute
	roomy       = 40 // addresses for all clients, whatever happened; with fewer they compete
)

var simNames = [2]string{"alpha", "beta"}

// pair is two servers that share subnets, with clients, and what each client was told.
type pair struct {
	t       *testing.T
	rng     *rand.Rand
	racks   [2]*simRack
	clients []*simClient
	begun   time.Time
	pool    int // addresses in each subnet's pool
	uptime  func() (string, time.Duration)

	mu     sync.Mutex // guards the fields below
	steps  []string
	apart  bool // the racks do not hear each other
	ends   []*dhcptest.PartnerEnd
	met    time.Time // when they were both Normal last
	faults dhcptest.Faults
	open   int // exchanges running
	over   atomic.Bool
}

// simRack is one server and what outlives its crash.
type simRack struct {
	n     int
	store *dhcpsrv.MemStore
	run   *process // nil = crashed
	deaf  bool     // clients do not reach it
	well  time.Time
}

// process is one life of a server. Once dead nothing of what it does counts.
type process struct {
	s     *dhcpsrv.Server
	store *dhcpsrv.MemStore
	dead  atomic.Bool
	stop  context.CancelFunc
	ctx   context.Context
	slow  time.Duration
}

func (p *process) Load(ctx context.Context) iter.Seq2[dhcpsrv.Lease, error] { return p.store.Load(ctx) }

func (p *process) Commit(ctx context.Context, batch []dhcpsrv.Lease) error {
	time.Sleep(p.slow)
	if p.dead.Load() {
		return errors.New("dead")
	}
	return p.store.Commit(ctx, batch)
}

func (p *process) LoadPartners(ctx context.Context) ([]byte, error) { return p.store.LoadPartners(ctx) }

func (p *process) SavePartners(ctx context.Context, data []byte) error {
	if p.dead.Load() {
		return errors.New("dead")
	}
	return p.store.SavePartners(ctx, data)
}

// quiet is a Conn without packets: serving it makes time pass for a server.
type quiet struct{ done chan struct{} }

func (q quiet) ReadDHCP([]byte) (int, string, netip.AddrPort, netip.Addr, error) {
	<-q.done
	return 0, "", netip.AddrPort{}, netip.Addr{}, net.ErrClosed
}

func (q quiet) WriteDHCP([]byte, string, netip.Addr, netip.AddrPort, net.HardwareAddr) error {
	return nil
}

func (q quiet) Close() error {
	defer func() { recover() }() // closed before
	close(q.done)
	return nil
}

func newPair(t *testing.T, seed uint64) *pair {
	p := &pair{t: t, rng: rand.New(rand.NewPCG(seed, 1)), begun: time.Now(), met: time.Now(), pool: []int{2, 6, roomy}[seed%3]}
	p.faults = dhcptest.Faults{
		Rand: rand.New(rand.NewPCG(seed, 2)), Delay: []time.Duration{0, time.Millisecond, 300 * time.Millisecond}[seed/3%3],
		Reorder: seed%2 == 0, Duplicate: []float64{0, 0.2}[seed/2%2],
	}
	for i := range 18 {
		c := &simClient{p: p, n: byte(i), rng: rand.New(rand.NewPCG(seed, uint64(10+i))), counts: i%2 == 0}
		c.kind = simKind(i % int(simKinds))
		switch {
		case i >= int(simKinds):
		case c.kind == simRouter:
			c.fixed = simLent(simRouter, 1)
		default:
			c.fixed = simAddr(c.kind, 100+i)
		}
		p.clients = append(p.clients, c)
	}
	for n := range p.racks {
		p.racks[n] = &simRack{n: n, store: new(dhcpsrv.MemStore)}
		p.start(n)
	}
	go p.connect()
	return p
}

func (p *pair) logf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = append(p.steps, fmt.Sprintf("%9.3f ", time.Since(p.begun).Seconds())+fmt.Sprintf(format, args...))
}

func (p *pair) snapshot(n int) dhcpsrv.Snapshot {
	own, other := simNames[n], simNames[1-n]
	snap := dhcpsrv.Snapshot{Partners: []failover.Partner{{Name: other, Self: own, TakeoverAfter: simTakeover}}}
	for kind := range simKinds {
		snap.Subnets = append(snap.Subnets, dhcpsrv.Subnet{
			Name: kind.name(), VRF: kind.vrf(), Prefix: kind.prefix(), Link: kind.link(), SharedNetwork: kind.name(),
			Server: simAddr(kind, 1+n), PartnerServer: simAddr(kind, 2-n), Partner: other, Secondary: n == 1,
			LeaseTime: simLease, DeclineTime: 30 * time.Second,
			Pools: []dhcpsrv.Pool{{First: simAddr(kind, 10), Last: simAddr(kind, 9+p.pool)}},
		})
		if kind == simRouter {
			room := netip.PrefixFrom(simLent(simRouter, 0), 64-bits.Len(uint(p.pool-1)))
			snap.Subnets[kind].Delegate = []dhcpsrv.PrefixPool{{Prefix: room, Length: 64}}
		}
	}
	for _, c := range p.clients {
		if c.fixed.IsValid() {
			r := dhcpsrv.Reservation{Name: c.fixed.String(), VRF: c.kind.vrf(), MAC: c.mac(), Addr: c.fixed}
			if c.kind == simRouter {
				r.Addr, r.Subnet, r.Prefix = netip.Addr{}, c.kind.name(), netip.PrefixFrom(c.fixed, 64)
			}
			snap.Reservations = append(snap.Reservations, r)
		}
	}
	return snap
}

func (p *pair) start(n int) {
	r := p.racks[n]
	run := &process{store: r.store, slow: time.Duration(p.rng.IntN(8)) * time.Millisecond}
	run.ctx, run.stop = context.WithCancel(context.Background())
	uptime := p.uptime
	if uptime == nil {
		uptime = func() (string, time.Duration) { return "", 0 }
	}
	s, err := dhcpsrv.NewOn(dhcpsrv.Config{Store: run, Events: func(e dhcpsrv.Event) {
		p.logf("%s: %v %v %v until %v, by partner %q", simNames[n], e.Lease.Addr, e.Kind, e.Lease.MAC, e.Lease.End.Sub(p.begun), e.Partner)
	}}, uptime)
	if err == nil {
		err = s.Update(p.snapshot(n))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	run.s = s
	p.mu.Lock()
	defer p.mu.Unlock()
	r.run, r.well = run, time.Now()
	go s.Serve(run.ctx, quiet{make(chan struct{})})
}

func (p *pair) crash(n int) {
	r := p.racks[n]
	if r.run == nil {
		return
	}
	r.run.dead.Store(true)
	r.run.stop()
	p.mu.Lock()
	r.run = nil
	p.mu.Unlock()
	p.unplug(p.rng.IntN(2) == 0)
}

// unplug ends the connection of the racks; silently, they find out by themselves.
func (p *pair) unplug(silently bool) {
	p.mu.Lock()
	ends := p.ends
	p.ends = nil
	p.mu.Unlock()
	for _, e := range ends {
		if silently {
			e.Lose()
		} else {
			e.Close()
		}
	}
}

// plug connects the racks where that can be.
func (p *pair) plug() {
	p.mu.Lock()
	able := !p.apart && p.open == 0 && p.racks[0].run != nil && p.racks[1].run != nil
	if !able {
		p.mu.Unlock()
		return
	}
	a, b := dhcptest.PartnerPipe(p.faults)
	p.ends = []*dhcptest.PartnerEnd{a, b}
	p.open = 2
	runs := [2]*process{p.racks[0].run, p.racks[1].run}
	p.mu.Unlock()
	for n, end := range []*dhcptest.PartnerEnd{a, b} {
		run := runs[n]
		go func() {
			run.s.ServePartner(run.ctx, simNames[1-n], end)
			p.mu.Lock()
			p.open--
			p.mu.Unlock()
		}()
	}
}

func (p *pair) normal() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.racks {
		if r.run == nil || r.run.s.Partners()[0].State != failover.Normal {
			return false
		}
	}
	return true
}

// connect plugs the racks together, and notes how long they have been apart, until the end.
func (p *pair) connect() {
	for !p.over.Load() {
		time.Sleep(time.Second)
		p.plug()
		if p.normal() {
			p.mu.Lock()
			p.met = time.Now()
			p.mu.Unlock()
		}
		p.spare()
	}
}

// spare ends what the promise does not hold for: two servers that live and have not heard each other for too long.
func (p *pair) spare() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.apart && p.racks[0].run != nil && p.racks[1].run != nil && time.Since(p.met) > simTakeover-15*time.Second {
		p.apart = false
	}
}

func (p *pair) run(steps int) {
	time.Sleep(15 * time.Second)
	for range steps {
		p.fault()
		var busy sync.WaitGroup
		for _, i := range p.rng.Perm(len(p.clients))[:1+p.rng.IntN(4)] {
			busy.Go(p.clients[i].act)
		}
		busy.Wait()
		time.Sleep(p.pause())
		p.check()
	}
	p.heal()
	p.check()
	p.agree()
}

// end stops everything.
func (p *pair) end() {
	p.over.Store(true)
	for n := range p.racks {
		p.crash(n)
	}
	time.Sleep(time.Minute)
}

func (p *pair) pause() time.Duration {
	switch p.rng.IntN(12) {
	case 0:
		return time.Duration(p.rng.IntN(240)) * time.Second
	case 1, 2:
		return time.Duration(p.rng.IntN(40)) * time.Second
	}
	return time.Duration(p.rng.IntN(5000)) * time.Millisecond
}

// fault breaks or mends something.
func (p *pair) fault() {
	n := p.rng.IntN(2)
	r := p.racks[n]
	switch p.rng.IntN(12) {
	case 0:
		p.logf("%s crashes", simNames[n])
		p.crash(n)
	case 1, 2:
		if r.run == nil {
			p.restart(n)
		}
	case 3:
		if silently := p.rng.IntN(2) == 0; !p.setApart(true) {
			p.logf("the racks do not hear each other; silently %v", silently)
			p.unplug(silently)
		}
	case 4, 5:
		if p.setApart(false) {
			p.logf("the racks hear each other again")
		}
	case 6:
		if !r.deaf {
			p.logf("%s does not hear clients", simNames[n])
			r.deaf = true
		}
	case 7, 8:
		if r.deaf {
			p.logf("%s hears clients again", simNames[n])
			r.deaf, r.well = false, time.Now()
		}
	case 9:
		p.logf("%s restarts", simNames[n])
		p.crash(n)
		p.restart(n)
	}
}

func (p *pair) setApart(apart bool) (was bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was, p.apart = p.apart, apart
	return was
}

func (p *pair) restart(n int) {
	p.logf("%s starts", simNames[n])
	p.start(n)
	p.spare()
}

func (p *pair) heal() {
	p.logf("all is healed")
	p.setApart(false)
	for n, r := range p.racks {
		r.deaf = false
		if r.run == nil {
			p.restart(n)
		}
	}
	for range 60 {
		if time.Sleep(time.Second); p.normal() {
			break
		}
	}
	time.Sleep(10 * time.Second)
	if !p.normal() {
		p.t.Fatalf("after healing: %+v, %+v", p.racks[0].run.s.Partners(), p.racks[1].run.s.Partners())
	}
}

// check fails when two clients hold one address.
func (p *pair) check() {
	p.t.Helper()
	type place struct {
		vrf  string
		addr netip.Addr
	}
	holder := map[place]*simClient{}
	for _, c := range p.clients {
		if !c.holds.IsValid() || !time.Now().Before(c.until) {
			continue
		}
		at := place{c.kind.vrf(), c.holds}
		if other := holder[at]; other != nil {
			for n, r := range p.racks {
				if r.run != nil {
					l, ok := r.run.s.VRF(at.vrf).Lookup(c.holds)
					p.logf("%s: %+v knows %v %v", simNames[n], r.run.s.Partners(), ok, l.MAC)
				}
			}
			p.t.Fatalf("%v is held by clients %d and %d", c.holds, other.n, c.n)
		}
		holder[at] = c
	}
}

// agree fails unless both servers know all leases that clients hold, and have the same leases.
func (p *pair) agree() {
	p.t.Helper()
	var tables [2][]string
	for n, r := range p.racks {
		for l := range r.run.s.Leases() {
			if l.State != dhcpsrv.Ended && l.End.After(time.Now()) {
				tables[n] = append(tables[n], fmt.Sprintf("%q %v %v %v %x %v", l.VRF, l.Addr, l.State, l.MAC, l.DUID, l.End.Sub(p.begun)))
			}
		}
		for _, c := range p.clients {
			if l, ok := r.run.s.VRF(c.kind.vrf()).Lookup(c.holds); c.holds.IsValid() && time.Now().Before(c.until) && (!ok || l.MAC.String() != c.mac().String() || l.End.Before(c.until)) {
				p.t.Errorf("client %d holds %v for %v, and %s knows %v %v for %v", c.n, c.holds, time.Until(c.until), simNames[n], ok, l.MAC, time.Until(l.End))
			}
		}
	}
	if !slices.Equal(tables[0], tables[1]) {
		p.t.Errorf("the leases differ:\n%s\n\n%s", strings.Join(tables[0], "\n"), strings.Join(tables[1], "\n"))
	}
}

// reachable reports whether one rack has been well for so long that a client must get an answer.
func (p *pair) reachable() *simRack {
	for _, r := range p.racks {
		if r.run != nil && !r.deaf && time.Since(r.well) > simLease+20*time.Second {
			return r
		}
	}
	return nil
}
