package console

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// Follower keeps a model of the site up to date, as [inventory.Inventory] does. It may block on the
// database.
type Follower interface {
	Follow(ctx context.Context, m *inventory.Model) (*inventory.Changes, error)
}

// Keys finds the user of an API key; false = the key is not valid, or no longer.
type Keys interface {
	Check(ctx context.Context, consumer, token, secret string) (inventory.User, bool, error)
}

// BootLog has the boots of machines, as [inventory.Boots] does.
type BootLog interface {
	Of(ctx context.Context, macs ...net.HardwareAddr) ([]pxe.Attempt, error)
	Since(ctx context.Context, step int64, limit int) ([]pxe.Attempt, int64, error)
	LastStep(ctx context.Context) (int64, error)
}

// EventLog has events, as [inventory.Events] does.
type EventLog interface {
	Find(ctx context.Context, f inventory.EventFilter) ([]inventory.Event, error)
}

// HealthLog has the last reports of racks, by name.
type HealthLog interface {
	Racks(ctx context.Context) (map[string]inventory.RackHealth, error)
}

// DeviceLog has what racks saw on their networks.
type DeviceLog interface {
	List(ctx context.Context, view inventory.DiscoveryView) ([]inventory.Discovery, error)
	DHCPServers(ctx context.Context) ([]inventory.DHCPServer, error)
	Ignored(ctx context.Context) ([]inventory.IgnoredDevice, error)
}

// LeaseLog has leases and their history, as [inventory.Leases] does.
type LeaseLog interface {
	Find(ctx context.Context, f inventory.LeaseFilter) ([]inventory.Lease, error)
	History(ctx context.Context, f inventory.PeriodFilter) ([]inventory.LeasePeriod, error)
}

// PeerLog has the far ends of racks' links.
type PeerLog interface {
	Peers(ctx context.Context) ([]inventory.LinkPeer, error)
}

// Config configures a [Console]. API and the sources of data are required; [For] sets the sources.
type Config struct {
	// Base is the path below which the page is served, such as "/maas/site1", which is also the
	// Base of the API. If empty, the page is at the root and the API at /MAAS/api/2.0/.
	Base string
	// API serves the requests of users. With Trusted it asks for no key.
	API http.Handler
	// Trusted leaves the log-in out: every client is the administrator. Requests must then name
	// this host by its loopback address, a Unix socket or localhost, so that no page of another
	// site reaches it by a name that leads here.
	Trusted bool

	Site    Follower
	Keys    Keys // not needed with Trusted
	Boots   BootLog
	Events  EventLog
	Audit   EventLog
	Health  HealthLog
	Devices DeviceLog
	Peers   PeerLog
	Leases  LeaseLog

	// Host looks at the host of the region, as `maas doctor` does there. It may take seconds, and is
	// called at most once in half a minute. If nil, the page has no such checks.
	Host func(ctx context.Context) []HostFinding

	// Vendor returns the maker of a network card. If nil, makers are not shown.
	Vendor func(mac []byte) string
	// Kinds are the power types that forms offer. May be nil.
	Kinds power.Registry
	// Log receives failures that are not the client's. If nil, they are discarded.
	Log *slog.Logger
}

// For returns a Config whose data is from an inventory.
func For(inv *inventory.Inventory) Config {
	return Config{
		Site: inv, Keys: inv.APIKeys, Boots: inv.Boots, Events: inv.Events, Audit: inv.Audit,
		Health: inv.Health, Devices: inv.Discoveries, Peers: inv.Topology, Leases: inv.Leases,
	}
}

// Console serves the page. Its methods may be called concurrently.
type Console struct {
	cfg   Config
	log   *slog.Logger
	base  string // without a slash at the end
	maas  string // the path of the API of MAAS, with a slash at the end
	pages map[string]*template.Template
	files map[string]*asset
	site  site
	boots recent
	live  liveTable
	host  hostChecks
	seed  []byte // of the tokens of forms, where there are no sessions
	mux   http.Handler

	actions map[string]action
	streams chan struct{} // one element for each page that follows the boots
}

// New returns a Console. It starts nothing. An error names the field of cfg that is missing.
func New(cfg Config) (*Console, error) {
	for name, missing := range map[string]bool{
		"API": cfg.API == nil, "Site": cfg.Site == nil, "Keys": cfg.Keys == nil && !cfg.Trusted, "Boots": cfg.Boots == nil, "Events": cfg.Events == nil,
		"Audit": cfg.Audit == nil, "Health": cfg.Health == nil, "Devices": cfg.Devices == nil, "Peers": cfg.Peers == nil, "Leases": cfg.Leases == nil,
	} {
		if missing {
			return nil, fmt.Errorf("console: Config.%s is nil; it is required", name)
		}
	}
	base := strings.TrimSuffix(cfg.Base, "/")
	if base != "" && (!strings.HasPrefix(base, "/") || path.Clean(base) != base) {
		return nil, fmt.Errorf("console: Config.Base is %q; write a path such as /maas/site1", cfg.Base)
	}
	c := &Console{cfg: cfg, log: cfg.Log, base: base, maas: base + "/api/2.0/", site: site{source: cfg.Site}, seed: newSeed()}
	if cfg.Base == "" {
		c.maas = "/MAAS/api/2.0/"
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.cfg.Vendor == nil {
		c.cfg.Vendor = func([]byte) string { return "" }
	}
	c.boots.source = cfg.Boots
	c.streams, c.actions = make(chan struct{}, maxLive), map[string]action{}
	for _, a := range actions() {
		c.actions[a.name] = a
	}
	var err error
	if c.files, err = loadAssets(); err == nil {
		c.pages, err = c.loadPages()
	}
	c.mux = c.handler()
	return c, err
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

// handler returns the router of all pages.
func (c *Console) handler() http.Handler {
	mux := http.NewServeMux()
	for _, x := range c.routes() {
		method, p, _ := strings.Cut(x.pattern, " ")
		h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := x.serve(w, r); err != nil {
				c.fail(w, r, err)
			}
		}))
		if !x.public {
			h = c.requireUser(h)
		}
		mux.Handle(method+" "+c.base+p, h)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, &refusal{Status: http.StatusNotFound, Text: "There is no page at this address."})
	})
	return c.guard(mux)
}

// route is one address of the page.
type route struct {
	pattern string // method and path below Base, as for http.ServeMux
	serve   func(http.ResponseWriter, *http.Request) error
	public  bool // it needs no log-in
}

// routes returns all addresses of the page.
func (c *Console) routes() []route {
	return []route{
		{"GET /static/{file}", c.static, true},
		{"GET /login", c.loginPage, true},
		{"POST /login", c.login, true},
		{"POST /logout", c.logout, false},
		{"POST /logout/everywhere", c.logoutEverywhere, false},
		{"POST /do/{action}", c.act, false},
		{"GET /{$}", c.overview, false},
		{"GET /boots", c.bootList, false},
		{"GET /boots/live", c.bootStream, false},
		{"GET /networks", c.networks, false},
		{"GET /networks/subnets/{id}", c.subnetPage, false},
		{"GET /addresses", c.addressSearch, false},
		{"GET /addresses/{ip}", c.addressPage, false},
		{"GET /leases", c.leaseList, false},
		{"GET /leases/history", c.leaseHistory, false},
		{"GET /devices", c.deviceList, false},
		{"GET /names", c.zones, false},
		{"GET /racks", c.rackList, false},
		{"POST /racks/tokens", c.tokenCreate, false},
		{"GET /racks/{name}", c.rackPage, false},
		{"GET /images", c.images, false},
		{"GET /doctor", c.doctor, false},
		{"GET /doctor/host", c.hostPage, false},
		{"GET /docs", c.guideList, false},
		{"GET /docs/{name}", c.guidePage, false},
		{"GET /events", c.eventList, false},
		{"GET /audit", c.auditList, false},
		{"GET /machines", c.machineList, false},
		{"GET /machines/new", c.enlistPage, false},
		{"POST /machines/bulk", c.bulk, false},
		{"GET /machines/{system}", c.machinePage, false},
		{"GET /machines/{system}/power", c.machinePower, false},
	}
}

// maxBody bounds the size of a form.
const maxBody = 1 << 20

// fail answers with a page about an error. Failures of the region are logged, and their text is not
// shown.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	var no *refusal
	if !errors.As(err, &no) {
		if r.Context().Err() != nil {
			return // the client has gone
		}
		c.log.Error("page failed", "path", r.URL.Path, "err", err)
		no = &refusal{Status: http.StatusInternalServerError, Text: "The region failed to show this page. Its log has the reason."}
	}
	f := frame{Title: http.StatusText(no.Status), Status: no.Status, Data: no}
	if err := c.show(w, r, "error", f); err != nil {
		c.log.Error("page failed", "path", r.URL.Path, "err", err)
	}
}

// now is the time for pages; every relative time of one page is measured from the same moment.
func now() time.Time { return time.Now() }
