package maasapi

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strconv"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/store/inventory"
)

// Proxy reaches the proxies of all racks. Its methods may be called concurrently and take until ctx ends at most.
type Proxy interface {
	// ProxyStats asks each rack what its proxy did.
	ProxyStats(ctx context.Context) ([]RackProxy, error)
	// PurgeProxy makes the caches forget a URL, or all that begin so.
	PurgeProxy(ctx context.Context, url string, prefix bool) ([]RackProxy, error)
}

// RackProxy is the answer of one rack about its proxy.
type RackProxy struct {
	Rack string `json:"rack"`
	// Error is why the rack did not answer.
	Error string `json:"error,omitempty"`
	// Stats is nil when they were not asked for.
	Stats *proxy.Stats `json:"stats,omitempty"`
	// Purged is how many responses were forgotten.
	Purged int `json:"purged"`
}

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
	if err := r.ParseForm(); err != nil {
		return nil, &badRequest{"url", err.Error()}
	}
	url, prefix := r.PostForm.Get("url"), r.PostForm.Get("prefix")
	switch {
	case (url == "") == (prefix == ""):
		return nil, &badRequest{"url", "give either url, or prefix for all that begin so"}
	case prefix != "":
		return a.proxy.PurgeProxy(r.Context(), prefix, true)
	}
	return a.proxy.PurgeProxy(r.Context(), url, false)
}

// proxyDefaults are the settings of the proxy as they come. The values are of the types that clients of MAAS expect.
var proxyDefaults = map[string]any{
	inventory.SettingEnableHTTPProxy: true, inventory.SettingHTTPProxy: "", inventory.SettingUsePeerProxy: false,
	inventory.SettingProxyPort: inventory.DefaultProxyPort, inventory.SettingPreferV4Proxy: false, inventory.SettingNoProxy: "",
	inventory.SettingProxyRoutes: "", inventory.SettingProxyUplink: 0,
}

// getProxySetting is op=get_config for the settings of the proxy.
func (a *API) getProxySetting(r *http.Request) (any, error) {
	name := r.URL.Query().Get("name")
	if op := r.URL.Query().Get("op"); op != "get_config" || !slices.Contains(inventory.ProxySettings, name) {
		return nil, &unsupported{"maas op=" + op + " name=" + name}
	}
	fallback := proxyDefaults[name]
	text, err := a.inv.Setting(r.Context(), name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && text == "" {
		return fallback, nil
	}
	if err != nil {
		return nil, err
	}
	switch fallback.(type) {
	case bool:
		v, err := strconv.ParseBool(text)
		return v, err
	case int:
		v, err := strconv.Atoi(text)
		return v, err
	}
	return text, nil
}

// setProxySetting is op=set_config for the settings of the proxy. Racks follow at once.
func (a *API) setProxySetting(r *http.Request) (any, error) {
	if err := r.ParseForm(); err != nil {
		return nil, &badRequest{"value", err.Error()}
	}
	name := r.PostForm.Get("name")
	if op := r.URL.Query().Get("op"); op != "set_config" || !slices.Contains(inventory.ProxySettings, name) {
		return nil, &unsupported{"maas op=" + op + " name=" + name}
	}
	if err := a.inv.SetSetting(r.Context(), name, r.PostForm.Get("value")); err != nil {
		return nil, err
	}
	return "OK", nil
}
