package rack

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
)

// lookAtAddresses is how often addresses are looked at even if the kernel told of no change: a message may be lost.
const lookAtAddresses = 5 * time.Second

// FollowAddresses calls serve, each time in a goroutine of its own, for every address that one of the interfaces has and that
// is not known, as soon as it is there. The ctx of serve ends when the address goes. Serve that returns an error before that is
// called again after a while, as the port may come free. FollowAddresses waits for all of them and returns nil when ctx ends.
// Which addresses count is as for [FindLink].
func FollowAddresses(ctx context.Context, interfaces []string, known []netip.Addr, serve func(context.Context, netip.Addr) error, log *slog.Logger) error {
	f := follower{serve: serve, log: log, known: map[netip.Addr]bool{}, ends: map[netip.Addr]context.CancelFunc{}}
	for _, a := range known {
		f.known[a.Unmap()] = true
	}
	defer f.running.Wait()
	changed, done := make(chan netlink.AddrUpdate, 64), make(chan struct{})
	defer close(done)
	if err := netlink.AddrSubscribe(changed, done); err != nil {
		log.Warn("changes of addresses noticed late", "after", lookAtAddresses, "err", err)
		changed = nil
	}
	ticker := time.NewTicker(lookAtAddresses)
	defer ticker.Stop()
	for {
		f.adopt(ctx, interfaces)
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-changed:
			if !open {
				changed = nil
			}
		case <-ticker.C:
		}
	}
}

// follower is what FollowAddresses has in progress.
type follower struct {
	serve   func(context.Context, netip.Addr) error
	log     *slog.Logger
	known   map[netip.Addr]bool
	ends    map[netip.Addr]context.CancelFunc // by address that is served
	running sync.WaitGroup
}

// adopt begins and ends what the addresses of now ask for.
func (f *follower) adopt(ctx context.Context, interfaces []string) {
	have := map[netip.Addr]bool{}
	for _, name := range interfaces {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			continue // it is away for now
		}
		prefixes, _ := prefixes4(ifi) // none when it goes just now
		for _, p := range append(prefixes, prefixes6(name)...) {
			have[p.Addr()] = true
		}
	}
	for a, end := range f.ends {
		if !have[a] {
			f.log.Info("address removed", "ip", a)
			end()
			delete(f.ends, a)
		}
	}
	for a := range have {
		if f.known[a] || f.ends[a] != nil {
			continue
		}
		f.log.Info("address added", "ip", a)
		here, end := context.WithCancel(ctx)
		f.ends[a] = end
		f.running.Go(func() {
			insist(here, func(ctx context.Context) error { return f.serve(ctx, a) }, func(err error, pause time.Duration) {
				f.log.Warn("address not served, trying again", "ip", a, "retry_in", pause, "err", err)
			})
		})
	}
}

// follow serves on addresses that come while the rack runs what it serves on those that it has sockets for.
func (r *Rack) follow(ctx context.Context, s *Sockets) error {
	return FollowAddresses(ctx, r.cfg.Interfaces, s.addresses(), r.serveAddress, r.log.With("component", "addresses"))
}

// serveAddress serves on one address until ctx ends.
func (r *Rack) serveAddress(ctx context.Context, a netip.Addr) error {
	if a.Is6() {
		r.first6()
	}
	var s Sockets
	if err := s.listenOn(ctx, a, r.cfg.Ports); err != nil {
		return errors.Join(err, s.Close())
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, task := range r.addressTasks(s) {
		g.Go(func() error {
			r.wait(ctx, task.after)
			return task.run(ctx)
		})
	}
	g.Go(func() error { return r.proxying.at(ctx, a) })
	return g.Wait()
}
