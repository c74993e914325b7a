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

	"github.com/gomaas/maas/cmd/maas/internal/supervise"
)

// lookAtAddresses is the interval at which addresses are read even without a message of the kernel,
// since netlink may lose messages under load.
const lookAtAddresses = 5 * time.Second

// FollowAddresses calls serve, in a goroutine of its own, for each address of the interfaces that
// is not in known, as soon as the address appears. The context of serve ends when the address
// disappears. If serve returns an error earlier, it is called again after a pause, as its port may
// become free. FollowAddresses returns nil when ctx has ended and all calls have returned.
// [FindLink] documents which addresses count.
func FollowAddresses(ctx context.Context, interfaces []string, known []netip.Addr, serve func(context.Context, netip.Addr) error, log *slog.Logger) error {
	f := follower{serve: serve, log: log, known: map[netip.Addr]bool{}, ends: map[netip.Addr]context.CancelFunc{}}
	for _, a := range known {
		f.known[a.Unmap()] = true
	}
	defer f.running.Wait()
	changed, done := make(chan netlink.AddrUpdate, 64), make(chan struct{})
	defer close(done)
	if err := netlink.AddrSubscribe(changed, done); err != nil {
		log.Warn("changes of addresses noticed late", "retry_in", lookAtAddresses, "err", err)
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

// follower is the state of one FollowAddresses.
type follower struct {
	serve   func(context.Context, netip.Addr) error
	log     *slog.Logger
	known   map[netip.Addr]bool
	ends    map[netip.Addr]context.CancelFunc // by served address
	running sync.WaitGroup
}

// adopt starts serve for new addresses and ends it for addresses that have disappeared.
func (f *follower) adopt(ctx context.Context, interfaces []string) {
	have := map[netip.Addr]bool{}
	for _, name := range interfaces {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			continue // the interface is absent for now
		}
		prefixes, _ := prefixes4(ifi) // empty if it disappears now
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
			supervise.Insist(here, func(ctx context.Context) error { return f.serve(ctx, a) }, func(err error, pause time.Duration) {
				f.log.Warn("address not served, trying again", "ip", a, "retry_in", pause, "err", err)
			})
		})
	}
}

// follow serves addresses that appear while the rack runs, besides the addresses of its sockets.
func (r *Rack) follow(ctx context.Context, s *Sockets) error {
	return FollowAddresses(ctx, r.cfg.Interfaces, s.addresses(), r.serveAddress, r.log.With("component", "addresses"))
}

// serveAddress serves one address until ctx ends.
func (r *Rack) serveAddress(ctx context.Context, a netip.Addr) error {
	if a.Is6() {
		r.first6()
	}
	var s Sockets
	if err := s.listenOn(ctx, a, r.cfg.Ports); err != nil {
		return errors.Join(err, s.Close())
	}
	var serving sync.WaitGroup
	proxying := newTask("proxy", func(ctx context.Context) error { return r.proxying.at(ctx, a) })
	for _, task := range append(append(r.addressTasks(s), proxying), r.bootLogTasks(a)...) {
		serving.Go(func() {
			r.wait(ctx, task.after)
			r.supervise(ctx, task)
		})
	}
	serving.Wait()
	return nil
}
