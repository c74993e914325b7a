package maasapi

import (
	"context"
	"net/http"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
	"github.com/gomaas/maas/store/inventory/setting"
)

// Proxy reaches the proxies of all racks. Its methods may be called concurrently and may block
// until ctx ends.
type Proxy interface {
	// ProxyStats returns what each rack's proxy has counted. A rack that cannot be reached has an
	// Error.
	ProxyStats(ctx context.Context) ([]RackProxy, error)
	// PurgeProxy removes a URL from the caches, or all URLs with a prefix.
	PurgeProxy(ctx context.Context, url string, prefix bool) ([]RackProxy, error)
}

// RackProxy is the answer of one rack about its proxy.
type RackProxy struct {
	Rack string `json:"rack"`
	// Error describes why the rack did not answer.
	Error string `json:"error,omitempty"`
	// Stats is nil in answers to a purge.
	Stats *proxy.Stats `json:"stats,omitempty"`
	// Purged counts the removed responses.
	Purged int `json:"purged"`
}

// proxyStats returns the statistics of all racks' proxies.
func (a *API) proxyStats(r *http.Request) (any, error) {
	if a.proxy == nil {
		return nil, &unsupported{"looking at the racks' proxies"}
	}
	return a.proxy.ProxyStats(r.Context())
}

// purgeProxy takes url, or prefix, from a form.
func (a *API) purgeProxy(r *http.Request) (any, error) {
	if a.proxy == nil {
		return nil, &unsupported{"purging the racks' proxies"}
	}
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	url, prefix := f.Raw("url"), f.Raw("prefix")
	if err := f.Rest(); err != nil {
		return nil, err
	}
	switch {
	case (url == "") == (prefix == ""):
		return nil, form.Invalid("url", "give either url, or prefix for all that begin so")
	case prefix != "":
		return a.proxy.PurgeProxy(r.Context(), prefix, true)
	}
	return a.proxy.PurgeProxy(r.Context(), url, false)
}

// proxyDefaults are the values of settings that are not stored, in the types that clients of MAAS
// expect.
var proxyDefaults = map[string]any{
	setting.EnableHTTPProxy: true, setting.HTTPProxy: "", setting.UsePeerProxy: false,
	setting.ProxyPort: setting.DefaultProxyPort, setting.PreferV4Proxy: false, setting.NoProxy: "",
	setting.ProxyRoutes: "", setting.ProxyUplink: 0,
	setting.ProxyTunnelPorts: "", setting.ProxyPorts: "", setting.ProxyParents: "", setting.AllowProxyTo: "",
}
