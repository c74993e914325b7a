package maasapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/discovery/oui"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/oauth"
)

// Config configures an [API].
type Config struct {
	// Inventory is required.
	Inventory *inventory.Inventory
	// Power is required.
	Power Power
	// Base is the path below which the whole API is mounted, such as "/maas/site1": MAAS' paths are
	// then below /maas/site1/api/2.0/, and this API's own below /maas/site1/api/v1/. Requests
	// arrive with the whole path, so the API is mounted without http.StripPrefix. If empty, the
	// layout is MAAS' own: /MAAS/api/2.0/, and /api/v1/ beside it.
	Base string
	// Proxy reaches the racks' proxies. If nil, requests about them answer that this is not
	// supported.
	Proxy Proxy
	// Scanner sweeps subnets. If nil, requests for scans answer that this is not supported.
	Scanner Scanner
	// Leases ends leases. If nil, requests for it answer that this is not supported.
	Leases LeaseReleaser
	// Vendor returns the maker of a network card. If nil, oui.Lookup is used. It is called
	// concurrently.
	Vendor func(mac []byte) string
	// Version is returned by the version endpoint. Empty means "3.8.0", the version of MAAS whose
	// API this follows.
	Version string
	// More are further endpoints, by method and path below /api/v1/ as for http.ServeMux, without
	// Base. May be nil.
	More map[string]Endpoint
	// Observe is called after each request to an endpoint with its method and pattern, the status,
	// and how long it took. It is called concurrently. May be nil.
	Observe func(route string, status int, took time.Duration)
	// Begin is called before each request to an endpoint with its method and pattern, and the name
	// of its user, empty where none is needed. The request goes on with the context that it
	// returns, and end is called with the status. It is called concurrently. May be nil.
	Begin func(r *http.Request, route, user string) (ctx context.Context, end func(status int))
	// Log receives failures that are not the client's. If nil, they are discarded.
	Log *slog.Logger
}

// API serves requests. Its methods may be called concurrently.
type API struct {
	inv *inventory.Inventory
	stores

	power   Power
	proxy   Proxy
	scanner Scanner
	ending  LeaseReleaser
	vendor  func([]byte) string
	version string
	more    map[string]Endpoint
	observe func(string, int, time.Duration)
	begin   func(*http.Request, string, string) (context.Context, func(int))
	log     *slog.Logger

	root string // the path that everything is below, without a slash at the end
	maas string // the path where MAAS is mounted
	base string // maas + apiPath

	table  []route
	public map[string]bool // by path: routes that need no key

	keys     oauth.Verifier[inventory.User]
	logins   oauth.Limiter // by network and user
	networks oauth.Limiter // by network
	streams  chan struct{} // one element for each client of the stream
	consoles chan struct{} // one element for each client of a console
}

// New returns an API. It starts nothing. An error names the field of cfg that is missing or wrong.
func New(cfg Config) (*API, error) {
	switch {
	case cfg.Inventory == nil:
		return nil, errors.New("maasapi: Config.Inventory is nil; it is required")
	case cfg.Power == nil:
		return nil, errors.New("maasapi: Config.Power is nil; it is required")
	}
	a := &API{
		inv: cfg.Inventory, stores: storesOf(cfg.Inventory), power: cfg.Power, proxy: cfg.Proxy, scanner: cfg.Scanner, ending: cfg.Leases, vendor: cfg.Vendor,
		version: cmp.Or(cfg.Version, "3.8.0"), more: cfg.More, observe: cfg.Observe, begin: cfg.Begin, log: cfg.Log,
		keys:   oauth.Verifier[inventory.User]{Check: cfg.Inventory.APIKeys.Check},
		logins: oauth.Limiter{Every: loginEvery, Burst: loginBurst}, networks: oauth.Limiter{Every: networkEvery, Burst: networkBurst},
		streams: make(chan struct{}, maxStreams), consoles: make(chan struct{}, maxConsoles),
	}
	if a.vendor == nil {
		a.vendor = oui.Lookup
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if err := a.mount(cfg.Base); err != nil {
		return nil, err
	}
	for pattern := range cfg.More {
		if method, path, _ := strings.Cut(pattern, " "); method == "" || !strings.HasPrefix(path, "/api/v1/") {
			return nil, fmt.Errorf("maasapi: Config.More has the key %q; write a method and a path, as GET /api/v1/name", pattern)
		}
	}
	a.table = a.routes()
	a.public = map[string]bool{}
	for _, x := range a.table {
		a.public[a.at(x.path)] = a.public[a.at(x.path)] || x.public
	}
	return a, nil
}

// mount sets the paths of the API.
func (a *API) mount(base string) error {
	trimmed := strings.TrimSuffix(base, "/")
	switch {
	case base == "":
		a.maas = "/MAAS"
	case base != "/" && path.Clean(trimmed) != trimmed || !strings.HasPrefix(base, "/") || strings.ContainsAny(base, "{}?#% "):
		return fmt.Errorf("maasapi: Config.Base is %q; write a path such as /maas/site1", base)
	default:
		a.root, a.maas = trimmed, trimmed
	}
	a.base = a.maas + apiPath
	return nil
}

// Handler returns the handler for clients that have an API key.
func (a *API) Handler() http.Handler {
	return chain(a.mux(), []func(http.Handler) http.Handler{
		securityHeaders, limitBody, requireUTF8, refuseCrossOrigin, a.requireKey,
	})
}

// Local returns a handler that serves every client as the administrator: for a socket that only the
// administrator can open.
func (a *API) Local() http.Handler {
	return chain(a.mux(), []func(http.Handler) http.Handler{securityHeaders, limitBody, requireUTF8, Administrator})
}

// chain puts middlewares before a handler. The first one sees the request first.
func chain(h http.Handler, middlewares []func(http.Handler) http.Handler) http.Handler {
	for _, m := range slices.Backward(middlewares) {
		h = m(h)
	}
	return h
}

// handler serves an endpoint. The value that it returns is sent as JSON with status 200; an error
// is sent with the status that status returns for it.
type handler func(r *http.Request) (any, error)

// mux returns the router of all routes. Paths that no route has answer 404, or 501 below the MAAS
// API.
func (a *API) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, x := range a.table {
		if x.stream != nil {
			mux.Handle(a.pattern(x), a.permit(x, x.stream)) // not observed: a request lasts as long as its client
			continue
		}
		mux.Handle(a.pattern(x), a.observed(x, a.serve(x)))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusNotFound
		if strings.HasPrefix(r.URL.Path, a.base) {
			code = http.StatusNotImplemented // MAAS has more endpoints than this API
		}
		http.Error(w, r.Method+" "+r.URL.Path+" is not supported", code)
	})
	return mux
}

// permit lets the requests to a route through that the user may make.
func (a *API) permit(x route, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := x.may(r); err != nil {
			a.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serve returns the HTTP handler of a route. Nothing of a request is kept before its user may make
// it.
func (a *API) serve(x route) http.Handler {
	return a.permit(x, a.once(x, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := x.handle(Audited(r))
		if err == nil {
			err = a.answer(w, r, out)
		}
		if err != nil {
			a.fail(w, r, err)
		}
	})))
}

// answer sends what an endpoint returned. With an error nothing was sent.
func (a *API) answer(w http.ResponseWriter, r *http.Request, out any) (err error) {
	if v, ok := out.(versioned); ok {
		out = v.body
		w.Header().Set("ETag", etag(v.version))
		if r.Method == http.MethodGet && r.Header.Get("If-None-Match") == etag(v.version) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	if out == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if file, ok := out.(file); ok {
		w.Header().Set("Content-Type", file.kind)
		if !seesSecrets(r) {
			file.body = withoutUsers(file.body)
		}
		_, _ = w.Write(file.body) // an error means that the client has gone
		return nil
	}
	if out, err = page(w, r, out); err != nil {
		return err
	}
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	if !seesSecrets(r) {
		body = withoutUsers(body)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // an error means that the client has gone
	return nil
}

// file is an answer that is not JSON.
type file struct {
	kind string
	body []byte
}

// getVersion returns the version of MAAS that clients adapt to, and the capabilities that they look
// for before they use a part of the API.
func (a *API) getVersion(*http.Request) (any, error) {
	return map[string]any{
		"version": a.version, "subversion": "",
		"capabilities": []string{"networks-management", "static-ipaddresses", "devices-management", "network-deployment-ubuntu"},
	}, nil
}
