package rack

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
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
		log.Warn("changes of addresses are noticed late", "after", lookAtAddresses, "err", err)
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
		link, err := FindLink(name)
		if err != nil {
			continue // it is away, or has no address: that is for now what it is
		}
		for _, p := range link.Prefixes {
			have[p.Addr()] = true
		}
	}
	for a, end := range f.ends {
		if !have[a] {
			f.log.Info("address is gone", "address", a)
			end()
			delete(f.ends, a)
		}
	}
	for a := range have {
		if f.known[a] || f.ends[a] != nil {
			continue
		}
		f.log.Info("address is new", "address", a)
		here, end := context.WithCancel(ctx)
		f.ends[a] = end
		f.running.Go(func() { f.keep(here, a) })
	}
}

// keep serves until ctx ends.
func (f *follower) keep(ctx context.Context, a netip.Addr) {
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, time.Minute) {
		err := f.serve(ctx, a)
		if ctx.Err() != nil {
			return
		}
		f.log.Warn("cannot serve on an address, trying again", "address", a, "again in", pause, "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// followDNS serves DNS on addresses that come while the rack runs.
func (r *Rack) followDNS(ctx context.Context, packets []net.PacketConn) error {
	var known []netip.Addr
	for _, conn := range packets {
		if ap, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil {
			known = append(known, ap.Addr())
		}
	}
	return FollowAddresses(ctx, r.cfg.Interfaces, known, r.serveDNS, r.log.With("component", "dns"))
}

// serveDNS serves DNS on one address until ctx ends.
func (r *Rack) serveDNS(ctx context.Context, a netip.Addr) error {
	at := net.JoinHostPort(a.String(), strconv.Itoa(r.cfg.DNSPort))
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", at)
	if err != nil {
		return err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
	if err != nil {
		conn.Close()
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := make(chan error, 1)
	go func() {
		defer cancel()
		stream <- r.dns.ServeStream(ctx, ln)
	}()
	err = r.dns.ServePacket(ctx, conn)
	cancel()
	if serr := <-stream; err == nil {
		err = serr
	}
	return err
}
