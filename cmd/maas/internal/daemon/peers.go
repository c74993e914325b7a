package daemon

import (
	"context"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/wire"
)

const (
	// peersEvery is the interval at which changes of the regions are looked for.
	peersEvery = time.Second
	// peerPause is the longest wait between attempts to reach a region.
	peerPause = 5 * time.Second
	// settleTime is the shortest time for which a region must be back before its racks return to
	// it; the longest is twice that, so that racks do not all return at once.
	settleTime = 45 * time.Second
)

// peers keeps a connection to each region besides the region of the session, for calls only, so
// that any region can call any rack. Regions without names cannot be distinguished and get no
// connection.
type peers struct {
	m       *membership
	dialer  *wire.Dialer
	methods *rpc.Methods
	settle  time.Duration // see settleTime
	pause   time.Duration // see peerPause

	mu sync.Mutex           // guards the fields below
	up map[string]time.Time // since when a region is connected, by name
}

func newPeers(m *membership, dialer *wire.Dialer) *peers {
	return &peers{m: m, dialer: dialer, settle: settleTime, pause: peerPause, up: map[string]time.Time{}}
}

// start connects until stop returns.
func (p *peers) start(ctx context.Context, methods *rpc.Methods) (stop func()) {
	p.methods = methods
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() { p.run(ctx, &all) })
	return func() {
		cancel()
		all.Wait()
	}
}

// run keeps as many connections as there are other regions.
func (p *peers) run(ctx context.Context, all *sync.WaitGroup) {
	running := map[string]context.CancelFunc{}
	for ctx.Err() == nil {
		home, wanted := p.m.atHome(), map[string]bool{}
		for _, region := range p.m.allRegions() {
			if region.Name == "" || region.Name == home {
				continue
			}
			wanted[region.Name] = true
			if running[region.Name] == nil {
				one, cancel := context.WithCancel(ctx)
				running[region.Name] = cancel
				all.Go(func() { p.keep(one, region.Name) })
			}
		}
		for name, cancel := range running {
			if !wanted[name] {
				cancel()
				delete(running, name)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(peersEvery):
		}
	}
	for _, cancel := range running {
		cancel()
	}
}

// keep connects to one region again and again until ctx ends.
func (p *peers) keep(ctx context.Context, name string) {
	pause := 100 * time.Millisecond
	for ctx.Err() == nil {
		started := time.Now()
		err := p.connect(ctx, name)
		if ctx.Err() != nil {
			return
		}
		p.m.log.Debug("no connection to a further region", "region", name, "err", err)
		if time.Since(started) > p.pause {
			pause = 100 * time.Millisecond
		}
		pause = min(2*pause, p.pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

// connect answers the calls of a region until the connection is lost.
func (p *peers) connect(ctx context.Context, name string) (err error) {
	for _, address := range p.addressesOf(name) {
		var conn rpc.Conn
		if conn, err = p.dialer.DialAt(ctx, address); err != nil {
			continue
		}
		if wire.RegionOf(conn) == name {
			p.note(name, true)
			err = conn.Accept(ctx, p.methods)
			p.note(name, false)
		}
		if c, is := conn.(io.Closer); is {
			c.Close()
		}
	}
	return err
}

// addressesOf returns the addresses of a region.
func (p *peers) addressesOf(name string) []string {
	for _, region := range p.m.allRegions() {
		if region.Name == name {
			return register.Flat([]register.Region{region})
		}
	}
	return nil
}

// note records since when a region has been reachable.
func (p *peers) note(name string, up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if up {
		p.up[name] = time.Now()
	} else {
		delete(p.up, name)
	}
}

// better reports whether this rack should leave its region for the one that it was assigned to.
func (p *peers) better(home string) bool {
	regions := p.m.allRegions()
	if home == "" || len(regions) == 0 || regions[0].Name == home {
		return false
	}
	h := fnv.New32a()
	h.Write([]byte(p.m.name()))
	wait := p.settle + p.settle*time.Duration(h.Sum32()%1000)/1000
	p.mu.Lock()
	defer p.mu.Unlock()
	since, up := p.up[regions[0].Name]
	return up && time.Since(since) > wait
}
