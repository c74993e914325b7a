package maasapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/gomaas/maas/discovery/oui"
	"github.com/gomaas/maas/store/inventory"
)

// Config is what an API is made of.
type Config struct {
	// Inventory is required.
	Inventory *inventory.Inventory
	// Power is required.
	Power Power
	// Proxy is for the racks' proxies. Nil answers that this is not supported.
	Proxy Proxy
	// Scanner sweeps subnets. Nil answers that this is not supported.
	Scanner Scanner
	// Vendor names who made a network card. Nil means oui.Lookup. It is called concurrently.
	Vendor func(mac []byte) string
	// Version is what the version endpoint says. Empty means "3.8.0", the version of MAAS whose API this follows.
	Version string
	// More are further endpoints below /api/v1/, by method and path as for http.ServeMux. Nil has none.
	More map[string]Endpoint
	// Observe hears of each request to an endpoint: its method and pattern, the status, and how long it took. It is called
	// concurrently. Nil is not called.
	Observe func(route string, status int, took time.Duration)
	// Begin hears of each request to an endpoint before that: its method and pattern, and the name of its user, empty where
	// none is needed. The request goes on with the context that it returns, and end hears of the status. It is called
	// concurrently. Nil is not called.
	Begin func(r *http.Request, route, user string) (ctx context.Context, end func(status int))
	// Log receives failures that are not the client's. Nil discards.
	Log *slog.Logger
}

// An API serves requests. Its methods may be called concurrently.
type API struct {
	inv     *inventory.Inventory
	power   Power
	proxy   Proxy
	scanner Scanner
	maker   func([]byte) string
	version string
	more    map[string]Endpoint
	observe func(string, int, time.Duration)
	begin   func(*http.Request, string, string) (context.Context, func(int))
	log     *slog.Logger
	nonces  nonces
	logins  limiter
	streams chan struct{} // holds one for each client of the stream
}

// New returns an API. It starts nothing.
func New(cfg Config) *API {
	a := &API{
		inv: cfg.Inventory, power: cfg.Power, proxy: cfg.Proxy, scanner: cfg.Scanner, maker: cfg.Vendor, version: cfg.Version, more: cfg.More, observe: cfg.Observe, begin: cfg.Begin, log: cfg.Log,
		logins: limiter{every: loginEvery, burst: loginBurst}, streams: make(chan struct{}, maxStreams),
	}
	if a.maker == nil {
		a.maker = oui.Lookup
	}
	if a.version == "" {
		a.version = "3.8.0"
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	return a
}

// base is the path of the MAAS API.
const base = "/MAAS/api/2.0/"

// Handler serves clients that have an API key.
func (a *API) Handler() http.Handler {
	return guarded(requireUTF8(http.NewCrossOriginProtection().Handler(a.authenticated(a.once(a.mux())))))
}

// Local serves everybody as the administrator: for a socket that only the administrator can open.
func (a *API) Local() http.Handler { return guarded(requireUTF8(a.once(a.mux()))) }

// handler is an endpoint: what it returns is sent as JSON with status 200, an error as what it means.
type handler func(r *http.Request) (any, error)

// routes are all endpoints that answer with JSON, by method and path.
func (a *API) routes() map[string]handler {
	all := map[string]handler{
		"GET " + base + "version/{$}":                a.getVersion,
		"GET " + base + "users/{$}":                  a.listUsers,
		"POST " + authenticatePath + "{$}":           a.authenticate,
		"GET " + base + "account/{$}":                a.listTokens,
		"POST " + base + "account/{$}":               a.actOnAccount,
		"GET " + base + "machines/{$}":               a.listMachines,
		"POST " + base + "machines/{$}":              a.createMachine,
		"GET " + base + "machines/{id}/{$}":          a.getMachine,
		"POST " + base + "machines/{id}/{$}":         a.actOnMachine,
		"DELETE " + base + "machines/{id}/{$}":       a.deleteMachine,
		"PUT " + base + "machines/{id}/{$}":          a.updateMachine,
		"GET " + base + "ipaddresses/{$}":            a.listAddresses,
		"POST " + base + "ipaddresses/{$}":           a.actOnAddresses,
		"GET " + base + "subnets/{id}/{$}":           a.getSubnet,
		"GET " + base + "events/{$}":                 a.listEvents,
		"GET " + base + "discovery/{$}":              a.listDiscoveries,
		"POST " + base + "discovery/{$}":             a.postDiscoveries,
		"GET " + base + "discovery/{id}/{$}":         a.getDiscovery,
		"POST /api/v1/discovery/promote":             a.promote,
		"GET /api/v1/discovery/scans/{id}":           a.getScan,
		"DELETE /api/v1/discovery/scans/{id}":        a.cancelScan,
		"GET /api/v1/discovery/settings":             a.getDiscoverySettings,
		"POST /api/v1/discovery/settings":            a.postDiscoverySettings,
		"GET /api/v1/discovery/dhcp-servers":         a.listDHCPServers,
		"GET /api/v1/discovery/topology":             a.getTopology,
		"POST /api/v1/discovery/topology":            a.applyTopology,
		"GET " + base + "rackcontrollers/{$}":        a.listRacks,
		"GET " + base + "rackcontrollers/{id}/{$}":   a.getRack,
		"GET " + base + "pools/{$}":                  a.pools().list, // as juju calls them
		"GET " + base + "regioncontrollers/{$}":      a.listRegions,
		"GET " + base + "regioncontrollers/{id}/{$}": a.getRegion,
		"POST /api/v1/machines/{id}/power":           a.postPower,
		"GET /api/v1/machines/{id}/boots":            a.listBoots,
		"GET /api/v1/boot-profile":                   a.getProfile,
		"PUT /api/v1/boot-profile":                   a.putProfile,
		"DELETE /api/v1/boot-profile":                a.deleteProfile,
		"GET /api/v1/boot-profiles":                  a.listProfiles,
		"GET /api/v1/proxy":                          a.proxyStats,
		"POST /api/v1/proxy/purge":                   a.purgeProxy,
		"GET " + base + "maas/{$}":                   a.getSetting,
		"POST " + base + "maas/{$}":                  a.setSetting,
		"POST /api/v1/apply":                         a.applySite,
		"GET /api/v1/export":                         a.exportSite,
		"POST /api/v1/keys":                          a.postKey,
		"GET " + openAPIPath:                         a.openAPI,
	}
	for _, routes := range a.resourceRoutes() {
		maps.Copy(all, routes)
	}
	for pattern, answer := range a.more {
		all[pattern] = handler(answer)
	}
	return all
}

// streamRoute answers with events.
const streamRoute = "GET /api/v1/stream"

func (a *API) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, h := range a.routes() {
		mux.Handle(pattern, a.observed(pattern, a.serve(pattern, h)))
	}
	mux.HandleFunc(streamRoute, a.stream)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusNotFound
		if strings.HasPrefix(r.URL.Path, base) {
			code = http.StatusNotImplemented
		}
		http.Error(w, r.Method+" "+r.URL.Path+" is not supported", code)
	})
	return mux
}

func (a *API) serve(pattern string, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := may(r, pattern)
		var out any
		if err == nil {
			out, err = h(Audited(r))
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		if v, ok := out.(versioned); ok {
			out = v.body
			w.Header().Set("ETag", etag(v.version))
			if r.Method == http.MethodGet && r.Header.Get("If-None-Match") == etag(v.version) {
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
		if out == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if file, ok := out.(file); ok {
			w.Header().Set("Content-Type", file.kind)
			_, _ = w.Write(file.body) // the client is gone
			return
		}
		if out, err = page(w, r, out); err != nil {
			a.fail(w, r, err)
			return
		}
		body, err := json.Marshal(out)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // the client is gone
	})
}

// file is an answer that is not JSON.
type file struct {
	kind string
	body []byte
}

func (a *API) getVersion(*http.Request) (any, error) {
	return map[string]any{
		"version": a.version, "subversion": "",
		"capabilities": []string{"networks-management", "static-ipaddresses", "devices-management", "network-deployment-ubuntu"},
	}, nil
}
