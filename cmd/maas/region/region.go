// Package region is the region role of a site: its database, the state that racks serve, and the
// API.
//
//	site, err := region.Open(ctx, region.Config{Dir: "/var/lib/gomaas", Kinds: kinds})
//	defer site.Close()
//	mux.Handle("/MAAS/", site.Handler())        // the API
//	cfg.Dial = site.Dial("rack")                // of a rack.Config in this process
//	err = site.Serve(ctx, region.Sockets{})     // until ctx ends
//
// A client of Handler needs a key:
//
//	admin, err := site.Inventory().Users.Find(ctx, inventory.DefaultUser)
//	_, key, err := site.Inventory().APIKeys.Create(ctx, admin.ID, "tool", time.Time{}) // consumer:token:secret
//
// # State and facts
//
// A change in the database, by the API or by a fact of a rack, is planned and published to the
// racks as state. Racks serve machines from that state and report leases, boots and observations as
// facts. So no packet of a machine waits for a region: racks go on while all regions are down.
//
// # Several regions
//
// Regions on one PostgreSQL database share a site. Each serves the API and publishes to the racks
// that are connected to it. Tasks of the site, such as deleting what has expired, are done by the
// region that holds the task's leader lease; see package leader.
//
// # Errors and shutdown
//
// Open fails if the database or its key is missing or of another site; the error names the cure.
// Serve returns nil after ctx ends. While it runs, failures of the database are logged and
// repeated: racks serve the last state meanwhile.
package region

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/gomaas/maas/cmd/maas/console"
	"github.com/gomaas/maas/cmd/maas/internal/httpserve"
	"github.com/gomaas/maas/cmd/maas/internal/metrics"
	"github.com/gomaas/maas/cmd/maas/internal/supervise"
	"github.com/gomaas/maas/cmd/maas/internal/tracing"
	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/monitor"
	"github.com/gomaas/maas/rpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/schema"
)

// Config configures a region. Dir and Kinds are needed.
type Config struct {
	// Dir holds the database and the key of its secrets. Open creates it.
	Dir string
	// Database is the URL of the database; see store.Open. If empty, it is the file maas.db in Dir.
	Database string
	// Name distinguishes the regions of a site. If empty, it is the host's name.
	Name string
	// Base is the path below which the whole API is served, such as "/maas/site1": MAAS' paths are
	// then below /maas/site1/api/2.0/. If empty, paths are as in MAAS, below /MAAS/api/2.0/.
	Base string
	// LocalRack is the name of the rack in this process. The proxies of other racks use its proxy
	// as their parent, and no other rack can enrol under its name. If empty, this process has no
	// rack.
	LocalRack string
	// Advertise lists the addresses, host:port, at which racks of other processes reach this
	// region. If empty, such racks are not admitted.
	Advertise []string
	// RackCertLife is the life of a rack's certificate, which the rack renews; 0 = 90 days.
	RackCertLife time.Duration
	// Kinds are the supported power types.
	Kinds power.Registry
	// PowerEvery is the interval at which each machine's power is queried; 0 = 5 minutes.
	PowerEvery time.Duration
	// RackWait limits the wait for a rack if a request needs one and none is connected; 0 = 5
	// seconds. After a start of the region, racks connect within a second or two.
	RackWait time.Duration
	// TLS secures the connections of Sockets.API. Plain HTTP on the same sockets is then answered
	// to clients of this host alone. If nil, the sockets speak plain HTTP.
	TLS *tls.Config
	// PlainHTTP answers clients of other hosts over plain HTTP, too, in spite of TLS.
	PlainHTTP bool
	// OpenPage serves the page on Sockets.API without a log-in, to browsers that name this host by
	// a loopback address: for demonstrations, on sockets that other hosts do not reach.
	OpenPage bool
	// Host looks at the host for the page, see console.Config.Host. If nil, the page has no such
	// checks.
	Host func(ctx context.Context) []console.HostFinding
	// Files are the operator's own boot files, as directories by the name below which profiles name
	// them; "." is the top. The region stores them and keeps them up to date, and racks get them
	// from it. If empty, images are all boot files.
	Files map[string]fs.FS
	// ImageClient fetches images. If nil, a client is used that goes through the site's external
	// proxy, or else through the proxies that the environment names.
	ImageClient *http.Client
	// Tracer receives spans of requests and publications. If nil, none are made.
	Tracer oteltrace.TracerProvider
	// Meter receives the region as a collector, from Open until Close. If nil, only the page
	// /metrics has its numbers.
	Meter prometheus.Registerer
	// Log receives messages for operators. If nil, they are discarded.
	Log *slog.Logger
}

// Region is the region role of a site. Its methods may be called concurrently.
type Region struct {
	log       *slog.Logger
	name      string
	life      string // random, of this process
	db        *store.DB
	inv       *inventory.Inventory
	rpc       *rpc.Region
	api       *maasapi.API
	published published // used by publish alone, so without a lock
	// networks are the networks that were published last; see authority.
	networks  atomic.Pointer[inventory.Model]
	strangers strangers               // that may enlist machines
	boots     *bounds.Buckets[string] // reports of boots, by rack

	leaseNotes *bounds.Buckets[string] // events about leases, by rack
	refusals   *bounds.Log             // of facts

	localRack string
	tls       *tls.Config // nil = plain HTTP
	plainHTTP bool        // besides TLS

	racks      *rackService // nil = racks of other processes are not admitted
	images     *imageService
	base       string       // Config.Base
	page       http.Handler // for browsers, with a log-in
	localPage  http.Handler // for the administrator on this host
	openPage   bool
	methods    rpc.Methods
	power      *powerService
	powers     powerWatch
	stuck      stuck                   // batches of facts that fail again and again
	asides     *bounds.Buckets[string] // by rack; for events about facts that were set aside
	scans      *scanService
	vendors    *vendors
	beacons    []byte // key of the racks' beacons
	calls      calls
	unregister func()          // removes the collector from Config.Meter
	trace      *tracing.Tracer // nil = no traces
	tasks      supervise.Tasks // of Serve
	commits    tracing.Commits // spans of requests whose changes wait for a publication
}

// Names of files in Config.Dir.
const (
	DatabaseFile = "maas.db"
	KeyFile      = "secret.key" // of the secrets in the database
)

// Open opens the database, which it creates if there is none. It starts no goroutine and opens no
// socket.
func Open(ctx context.Context, cfg Config) (*Region, error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	cfg.Database = databaseURL(cfg.Dir, cfg.Database)
	r := &Region{log: cfg.Log, localRack: cfg.LocalRack, tls: cfg.TLS, plainHTTP: cfg.PlainHTTP, name: cfg.Name, life: newLife(), trace: tracing.New(cfg.Tracer), calls: newCalls(), asides: bounds.NewBuckets[string](asidesOf, 1024), unregister: func() {}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if err := r.open(ctx, cfg); err != nil {
		return nil, err
	}
	if err := r.compose(ctx, cfg); err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	// Last, as a collector is called as soon as it is registered.
	remove, err := metrics.Register(cfg.Meter, r)
	if err != nil {
		return nil, errors.Join(err, r.db.Close())
	}
	r.unregister = remove
	return r, nil
}

// open opens the database with the site's key.
func (r *Region) open(ctx context.Context, cfg Config) (err error) {
	// The name is needed before the database: it is the holder of leader leases.
	if r.name == "" {
		if r.name, err = os.Hostname(); err != nil {
			return err
		}
	}
	if err := CheckData(cfg.Dir, cfg.Database); err != nil { // before a new database is made
		return err
	}
	if r.db, err = store.Open(ctx, cfg.Database, schema.FS); err != nil {
		return err
	}
	if u := r.db.Upgraded(); u.From > 0 {
		r.log.Info("database schema upgraded", "from", u.From, "to", u.To, "file", u.Copy)
	}
	path := filepath.Join(cfg.Dir, KeyFile)
	key, keep, err := siteKey(ctx, r.db, path)
	if err == nil {
		r.beacons = beaconKey(key)
		r.inv, err = inventory.Open(ctx, r.db, inventory.Config{Key: key, Quarantine: quarantine, Check: r.checkServed, BootFile: filesKnown(cfg.Files), CheckMedia: mediaCheck(cfg.Files)})
	}
	if err == nil {
		err = keep()
	}
	if err != nil {
		return errors.Join(explainKey(err, r.db, path), r.db.Close())
	}
	return nil
}

// compose creates the services and connects them.
func (r *Region) compose(ctx context.Context, cfg Config) (err error) {
	r.strangers, r.refusals = newStrangers(), bounds.NewLog(r.log, refusalLines)
	r.boots = bounds.NewBuckets[string](bootsOfRack, maxRackRates)
	r.leaseNotes = bounds.NewBuckets[string](leaseNotesOfRack, maxRackRates)
	r.rpc = rpc.NewRegion(rpc.RegionConfig{Facts: r.takeFacts, Methods: &r.methods})
	r.power = &powerService{region: r, kinds: cfg.Kinds, rackWait: cmp.Or(cfg.RackWait, rackWait)}
	r.scans, r.vendors = &scanService{region: r}, newVendors(vendorDir, r.log)
	r.api, err = maasapi.New(maasapi.Config{
		Base: cfg.Base, Inventory: r.inv, Power: r.power, Proxy: &proxyService{r}, Scanner: r.scans, Leases: &leaseService{r}, Vendor: r.vendors.lookup, More: r.moreRoutes(), Observe: r.called, Begin: r.tracedRequests(), Log: r.log.With("component", "api"),
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
	if r.images, err = newImageService(r, cfg); err != nil {
		return err
	}
	if err := r.composePages(cfg); err != nil {
		return err
	}
	// Racks in this process report and send updates too, so these methods need no rackService.
	rpc.Offer(&r.methods, register.HealthMethod, r.takeReport)
	dnsrpc.OfferUpdates(&r.methods, r.dynamicUpdate)
	r.powers.cfg = monitor.Config{Asker: r.power, Every: cfg.PowerEvery, Changed: r.powerSeen}
	return nil
}

// RPC returns the side of the region to which racks connect.
func (r *Region) RPC() *rpc.Region { return r.rpc }

// Inventory returns the region's data. Changes of it reach racks while Serve runs.
func (r *Region) Inventory() *inventory.Inventory { return r.inv }

// Handler returns the API for clients with a key, below Config.Base, the page for browsers beside
// it, and /metrics, /healthz and /readyz, for a server of the caller's. Changes reach racks while
// Serve runs.
func (r *Region) Handler() http.Handler {
	if r.openPage {
		return r.pages(r.api.Handler(), r.localPage)
	}
	return r.pages(r.api.Handler(), r.page)
}

// Dial returns the Dial function of a rack.Config for a rack in this process. The rack has the name
// that the inventory knows it by, such as Rack of inventory.Bootstrap.
func (r *Region) Dial(rack string) func(context.Context) (rpc.Conn, error) {
	return rpc.Loopback(r.rpc, rack)
}

// Sockets are the listeners of a region. Empty fields are not served. Serve closes all of them.
type Sockets struct {
	// API serves clients that have a key; see Config.TLS.
	API []net.Listener
	// Local serves clients without asking for a key: only administrators may be able to connect to
	// it.
	Local net.Listener
	// Racks serves racks of other processes over mutual TLS.
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

// Serve publishes state to racks and serves the API until ctx ends, then returns nil. A part that
// fails is started again, and /readyz shows it meanwhile.
func (r *Region) Serve(ctx context.Context, sockets Sockets) error {
	// The first publication precedes the sockets: a rack that connects finds its whole state.
	if err := r.publish(ctx); err != nil {
		sockets.Close()
		return err
	}
	if err := r.inv.Events.Add(ctx, inventory.Event{Kind: "region", Description: "region " + r.name + " started"}); err != nil {
		r.log.Warn("event not recorded", "err", err) // a disk that is full must not keep racks without a region
	}
	var running sync.WaitGroup
	for _, task := range r.parts(sockets) {
		running.Go(func() {
			r.tasks.Keep(ctx, task, func(err error, pause time.Duration) {
				r.log.Error("task failed, starting it again", "task", task.Name, "retry_in", pause, "err", err)
			})
		})
	}
	running.Wait()
	return nil
}

// Names of tasks without which a region is of no use to clients or racks; see needed.
const (
	taskPublish = "publication"
	taskAPI     = "api"
	taskSocket  = "command socket"
	taskRacks   = "racks"
)

// parts returns what runs during Serve. One that fails is started again and leaves the others
// alone.
func (r *Region) parts(sockets Sockets) []supervise.Task {
	// Scans are followed by the region that started them, the tasks of the site by their leader.
	parts := []supervise.Task{{Name: taskPublish, Run: r.followChanges}, {Name: "scans", Run: r.settleScans}, {Name: "uses of keys", Run: r.noteUses},
		{Name: "list of images", Run: r.images.publish}, {Name: "own boot files", Run: r.images.takeLocal},
		{Name: "images of other regions", Run: r.images.complete}}
	for name, work := range map[string]func(context.Context) error{
		TaskMaintenance: r.maintain, TaskHealth: r.watchRacks, TaskPower: r.powers.run, TaskDiscovery: r.discover, TaskImages: r.images.fetch,
	} {
		parts = append(parts, supervise.Task{Name: name, Run: func(ctx context.Context) error { return r.asLeader(ctx, name, work) }})
	}
	if r.racks != nil {
		parts = append(parts, supervise.Task{Name: "registration", Run: r.racks.run})
		for _, ln := range sockets.Racks {
			parts = append(parts, supervise.OnSocket(taskRacks, ln, r.racks.server.Serve, supervise.Reopen(ln)))
		}
	}
	for _, ln := range sockets.API {
		parts = append(parts, r.serveAPI(ln))
	}
	if sockets.Local != nil {
		parts = append(parts, serving(taskSocket, sockets.Local, r.pages(r.Local(), r.localPage)))
	}
	return parts
}

// serving returns the task of an HTTP server.
func serving(name string, ln net.Listener, h http.Handler) supervise.Task {
	return supervise.OnSocket(name, ln, func(ctx context.Context, ln net.Listener) error { return httpserve.Serve(ctx, ln, h) }, supervise.Reopen(ln))
}

// Close closes the database. If Serve was called, it must have returned.
func (r *Region) Close() error {
	r.unregister()
	return r.db.Close()
}
