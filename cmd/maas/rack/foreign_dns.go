package rack

import (
	"context"
	"iter"
	"log/slog"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/dnssrv/catalog"
	"github.com/gomaas/maas/dnssrv/dnsupdate"
	"github.com/gomaas/maas/rpc/dnsrpc"
)

// foreignDNS deals with the DNS servers of others as the region says: it sends them the names of
// leases, and serves the zones of their catalogs.
type foreignDNS struct {
	names    *names
	leases   func() iter.Seq[dhcpsrv.Lease]
	server   *dnssrv.Server
	log      *slog.Logger
	follower atomic.Pointer[catalog.Follower] // nil = no catalog is followed

	mu      sync.Mutex
	content dnsrpc.Foreign // guarded by mu
	changed chan struct{}  // guarded by mu; closed when content changes
}

func newForeignDNS(names *names, leases func() iter.Seq[dhcpsrv.Lease], server *dnssrv.Server, log *slog.Logger) *foreignDNS {
	return &foreignDNS{names: names, leases: leases, server: server, log: log, changed: make(chan struct{})}
}

func (f *foreignDNS) adopt(_ context.Context, content dnsrpc.Foreign) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.content = content
	close(f.changed)
	f.changed = make(chan struct{})
	return nil
}

// notified passes a NOTIFY on to the catalogs.
func (f *foreignDNS) notified(zone string, from netip.Addr) bool {
	follower := f.follower.Load()
	return follower != nil && follower.Notified(zone, from)
}

// each runs serve with a part of the content, and again whenever that part changes, until ctx ends.
func (f *foreignDNS) each(ctx context.Context, part func(dnsrpc.Foreign) []dnsrpc.ForeignZone, serve func(context.Context, []dnsrpc.ForeignZone)) error {
	for ctx.Err() == nil {
		f.mu.Lock()
		zones, changed := part(f.content), f.changed
		f.mu.Unlock()
		serving, stop := context.WithCancel(ctx)
		var running sync.WaitGroup
		running.Go(func() { serve(serving, zones) })
		for same := true; same && ctx.Err() == nil; {
			select {
			case <-ctx.Done():
			case <-changed:
				f.mu.Lock()
				same, changed = reflect.DeepEqual(part(f.content), zones), f.changed
				f.mu.Unlock()
			}
		}
		stop()
		running.Wait()
	}
	return nil
}

// update sends the names of leases until ctx ends.
func (f *foreignDNS) update(ctx context.Context) error {
	return f.each(ctx, func(c dnsrpc.Foreign) []dnsrpc.ForeignZone { return c.Update }, func(ctx context.Context, zones []dnsrpc.ForeignZone) {
		type primary struct {
			server netip.AddrPort
			key    dnssrv.Key
		}
		byServer := map[primary][]string{}
		for _, z := range zones {
			at := primary{z.Server, z.Key}
			byServer[at] = append(byServer[at], z.Zone)
		}
		var running sync.WaitGroup
		defer running.Wait()
		var clients []registrar
		for at, names := range byServer {
			client, err := dnsupdate.New(dnsupdate.Config{Server: at.server.String(), Key: at.key, Zones: names, TTL: nameTTL, Log: f.log})
			if err != nil {
				f.log.Error("names of leases not sent", "server", at.server, "err", err)
				continue
			}
			clients = append(clients, client)
			running.Go(func() { _ = client.Run(ctx) }) // returns nil
		}
		f.names.register(clients, f.leases())
		<-ctx.Done()
		f.names.register(nil, nil)
	})
}

// follow serves the zones of catalogs until ctx ends.
func (f *foreignDNS) follow(ctx context.Context) error {
	return f.each(ctx, func(c dnsrpc.Foreign) []dnsrpc.ForeignZone { return c.Follow }, func(ctx context.Context, zones []dnsrpc.ForeignZone) {
		if len(zones) == 0 {
			return
		}
		cfg := catalog.Config{Server: f.server, Log: f.log}
		for _, z := range zones {
			cfg.Sources = append(cfg.Sources, catalog.Source{Name: z.Zone, Primary: z.Server.String(), Key: z.Key})
		}
		follower, err := catalog.New(cfg)
		if err != nil {
			f.log.Error("catalogs not followed", "err", err)
			return
		}
		f.follower.Store(follower)
		_ = follower.Run(ctx) // returns nil
		f.follower.Store(nil)
		f.forget(follower, zones)
	})
}

// forget takes the members of catalogs out of the server: another follower would take them for
// zones of the site.
func (f *foreignDNS) forget(follower *catalog.Follower, zones []dnsrpc.ForeignZone) {
	var change dnssrv.Change
	for _, z := range zones {
		for _, m := range follower.Members(z.Zone) {
			change.RemoveZones = append(change.RemoveZones, m.Zone)
		}
	}
	if err := f.server.Update(change); err != nil {
		f.log.Error("zones of catalogs not removed", "err", err)
	}
}
