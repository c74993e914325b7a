// Package region is the region role: the site's database, what follows from it for each rack, and the API.
//
// Whatever changes in the database is planned anew and published as state to the racks; what racks report goes back into
// the database. Neither is on the path of a machine's packets.
package region

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	oteltrace "go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/gomaas/maas/cmd/maas/internal/httpserve"
	"github.com/gomaas/maas/cmd/maas/internal/metrics"
	"github.com/gomaas/maas/cmd/maas/internal/tracing"
	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/schema"
)

// Config is what a region is made of.
type Config struct {
	// Dir holds the database and the key of its secrets. It is made when missing.
	Dir string
	// Database is where the data is; see store.Open. Empty means the file maas.db in Dir.
	Database string
	// Name tells this region from the others of its site. Empty means the name of the host.
	Name string
	// Base is the path below which the whole API is mounted, such as "/maas/site1": MAAS' paths are
	// then below /maas/site1/api/2.0/. Empty means MAAS' own, /MAAS/api/2.0/.
	Base string
	// LocalRack is the name of the rack that runs in this process. The proxies of other racks go through its. Empty means that
	// none does.
	LocalRack string
	// Advertise are the addresses, host:port, at which racks of other processes reach this region. None lets no such racks in.
	Advertise []string
	// RackCertLife is how long a rack's certificate is good. Zero means 90 days.
	RackCertLife time.Duration
	// Kinds are the power types there are.
	Kinds power.Registry
	// PowerEvery is how often each machine's power is asked for. Zero means 5 minutes.
	PowerEvery time.Duration
	// RackWait is how long a request to a machine's power waits for a first rack when none is connected. Those of a region that
	// has just started come within a second or two. Zero means 5 seconds.
	RackWait time.Duration
	// Tracer receives spans of what the region does. If nil, none are made.
	Tracer oteltrace.TracerProvider
	// Meter receives the region as a collector, from Open until Close. If nil, only the page /metrics
	// has its numbers.
	Meter prometheus.Registerer
	// Log receives what operators should see.
	Log *slog.Logger
}

// A Region is a composed region.
type Region struct {
	log       *slog.Logger
	name      string
	life      string // of this process
	db        *store.DB
	inv       *inventory.Inventory
	rpc       *rpc.Region
	api       *maasapi.API
	published published // only publish uses it

	localRack string

	racks      *rackService // nil: no racks of other processes
	methods    rpc.Methods
	power      *powerService
	powers     powerWatch
	scans      *scanService
	vendors    *vendors
	beacons    []byte // key of the racks' beacons
	calls      calls
	unregister func()          // from the meter
	trace      *tracing.Tracer // nil: none
	commits    tracing.Commits // to be published
}

// Names of files in Config.Dir.
const (
	DatabaseFile = "maas.db"
	KeyFile      = "secret.key" // seals the secrets in the database
)

// Open opens the database, which is made when missing. It starts nothing.
func Open(ctx context.Context, cfg Config) (*Region, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	if cfg.Database == "" {
		path, err := filepath.Abs(filepath.Join(cfg.Dir, DatabaseFile))
		if err != nil {
			return nil, err
		}
		cfg.Database = "sqlite://" + path
	}
	r := &Region{log: cfg.Log, localRack: cfg.LocalRack, name: cfg.Name, life: newLife(), trace: tracing.New(cfg.Tracer), calls: newCalls(), unregister: func() {}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if err := r.open(ctx, cfg); err != nil {
		return nil, err
	}
	if err := r.compose(ctx, cfg); err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	remove, err := metrics.Register(cfg.Meter, r)
	if err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	r.unregister = remove
	return r, nil
}

// open opens the database with the site's key.
func (r *Region) open(ctx context.Context, cfg Config) (err error) {
	if r.name == "" {
		if r.name, err = os.Hostname(); err != nil {
			return err
		}
	}
	if r.db, err = store.Open(ctx, cfg.Database, schema.FS); err != nil {
		return err
	}
	path := filepath.Join(cfg.Dir, KeyFile)
	key, err := siteKey(ctx, r.db, path)
	if err == nil {
		r.beacons = beaconKey(key)
		r.inv, err = inventory.Open(ctx, r.db, inventory.Config{Key: key, Quarantine: quarantine})
	}
	if err != nil {
		return errors.Join(explainKey(err, r.db, path), r.db.Close())
	}
	return nil
}

// compose puts the parts together.
func (r *Region) compose(ctx context.Context, cfg Config) (err error) {
	r.rpc = rpc.NewRegion(rpc.RegionConfig{Facts: r.takeFacts, Methods: &r.methods})
	r.power = &powerService{region: r, kinds: cfg.Kinds, rackWait: cmp.Or(cfg.RackWait, rackWait)}
	r.scans, r.vendors = &scanService{region: r}, newVendors(vendorDir, r.log)
	r.api, err = maasapi.New(maasapi.Config{
		Base: cfg.Base, Inventory: r.inv, Power: r.power, Proxy: &proxyService{r}, Scanner: r.scans, Vendor: r.vendors.lookup, More: r.explainRoutes(), Observe: r.called, Begin: r.tracedRequests(), Log: r.log.With("component", "api"),
	})
	if err != nil {
		return err
	}
	if len(cfg.Advertise) > 0 {
		if r.racks, err = newRackService(ctx, r, cfg); err != nil {
			return err
		}
		r.racks.offer(&r.methods)
	}
	rpc.Offer(&r.methods, register.HealthMethod, r.takeReport)
	dnsrpc.OfferUpdates(&r.methods, r.dynamicUpdate)
	r.powers.cfg = power.MonitorConfig{Asker: r.power, Every: cfg.PowerEvery, Changed: r.powerSeen}
	return nil
}

// RPC is what racks connect to.
func (r *Region) RPC() *rpc.Region { return r.rpc }

// Inventory is the region's data.
func (r *Region) Inventory() *inventory.Inventory { return r.inv }

// Handler returns the API for clients with a key, below Config.Base, and the pages /metrics, /healthz
// and /readyz. It is for callers that serve it themselves. What it changes reaches racks while Serve runs.
func (r *Region) Handler() http.Handler { return r.pages(r.api.Handler()) }

// Dial returns what connects a rack of this process to the region, for rack.Config.Dial.
func (r *Region) Dial(rack string) func(context.Context) (rpc.Conn, error) {
	return rpc.Loopback(r.rpc, rack)
}

// Sockets are what a region serves on. Empty fields are not served. Serve closes them.
type Sockets struct {
	// API asks clients for a key.
	API []net.Listener
	// Local trusts its clients.
	Local net.Listener
	// Racks is for racks of other processes.
	Racks []net.Listener
}

// Close closes all of them.
func (s *Sockets) Close() error {
	var errs []error
	for _, ln := range append(slices.Clone(s.API), s.Racks...) {
		errs = append(errs, ln.Close())
	}
	if s.Local != nil {
		errs = append(errs, s.Local.Close())
	}
	return errors.Join(errs...)
}

// Serve publishes state and serves the API until ctx ends, then returns nil.
func (r *Region) Serve(ctx context.Context, sockets Sockets) error {
	if err := r.publish(ctx); err != nil {
		sockets.Close()
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return r.followChanges(ctx) })
	g.Go(func() error { return r.settleScans(ctx) })
	g.Go(func() error { return r.asLeader(ctx, TaskMaintenance, r.maintain) })
	g.Go(func() error { return r.asLeader(ctx, TaskHealth, r.watchRacks) })
	g.Go(func() error { return r.asLeader(ctx, TaskPower, r.powers.run) })
	g.Go(func() error { return r.asLeader(ctx, TaskDiscovery, r.discover) })
	if r.racks != nil {
		g.Go(func() error { return r.racks.run(ctx) })
		for _, ln := range sockets.Racks {
			g.Go(func() error { return r.racks.server.Serve(ctx, ln) })
		}
	}
	for _, ln := range sockets.API {
		g.Go(func() error { return httpserve.Serve(ctx, ln, r.Handler()) })
	}
	if sockets.Local != nil {
		g.Go(func() error { return httpserve.Serve(ctx, sockets.Local, r.pages(r.Local())) })
	}
	return g.Wait()
}

// Close closes the database. Serve must have returned.
func (r *Region) Close() error {
	r.unregister()
	return r.db.Close()
}
