package inventory

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/gomaas/maas/proxy"
)

// Settings of the proxy, with the names they have in MAAS.
const (
	SettingEnableHTTPProxy = "enable_http_proxy" // whether machines are given a proxy; default true
	SettingHTTPProxy       = "http_proxy"        // external proxy that machines are given instead of the racks'; "" = none
	SettingUsePeerProxy    = "use_peer_proxy"    // machines are given the racks' proxies, and these go through http_proxy; default false
	SettingProxyPort       = "maas_proxy_port"   // of the racks' proxies; default 8000
	SettingPreferV4Proxy   = "prefer_v4_proxy"   // connect to IPv4 addresses of origins first; default false
	SettingNoProxy         = "no_proxy"          // what racks reach without a parent: hosts, .domains and networks
)

// Further settings of the proxy, which MAAS has not.
const (
	SettingProxyRoutes = "proxy_routes" // what racks serve of mirrors: PREFIX=ORIGIN, such as /ubuntu/=http://archive.example/ubuntu/
	SettingProxyUplink = "proxy_uplink" // bytes a second that each rack takes from origins, shared fairly; default 0 = no limit
)

// ProxySettings are the names of all of them.
var ProxySettings = []string{
	SettingEnableHTTPProxy, SettingHTTPProxy, SettingUsePeerProxy, SettingProxyPort, SettingPreferV4Proxy, SettingNoProxy,
	SettingProxyRoutes, SettingProxyUplink,
}

// DefaultProxyPort is the port that MAAS uses.
const DefaultProxyPort = 8000

// checkProxySetting refuses values that the proxy cannot have. Of other settings it knows nothing.
func checkProxySetting(name, value string) error {
	why := ""
	switch name {
	case SettingEnableHTTPProxy, SettingUsePeerProxy, SettingPreferV4Proxy:
		if _, err := strconv.ParseBool(value); err != nil && value != "" {
			why = fmt.Sprintf("%q is neither true nor false", value)
		}
	case SettingHTTPProxy:
		if u, err := url.Parse(value); value != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "") {
			why = "is not a URL like http://proxy.example:3128" // which may hold a password, so it is not repeated
		}
	case SettingProxyPort:
		why = badProxyPort(value)
	case SettingProxyRoutes:
		if err := proxy.New(proxy.Config{}).Update(proxy.Policy{Routes: ProxyRoutes(elements(value))}); err != nil {
			why = strings.TrimPrefix(err.Error(), "proxy: policy: ")
		}
	case SettingProxyUplink:
		if n, err := strconv.Atoi(value); value != "" && (err != nil || n < 0) {
			why = fmt.Sprintf("%q is not a number of bytes a second; 0 means no limit", value)
		}
	}
	if why == "" {
		return nil
	}
	return invalid(KindSetting, name, name, why)
}

// ProxyRoutes reads PREFIX=ORIGIN of each element. What is not of that form has no origin.
func ProxyRoutes(list []string) (routes []proxy.Route) {
	for _, text := range list {
		prefix, origin, _ := strings.Cut(text, "=")
		routes = append(routes, proxy.Route{Prefix: prefix, Origin: origin})
	}
	return routes
}

// badProxyPort says why a port is not for the proxy; "" = it is.
func badProxyPort(value string) string {
	if value == "" {
		return ""
	}
	port, err := strconv.Atoi(strings.TrimSpace(value))
	switch {
	case err != nil || port < 1 || port > 65535:
		return fmt.Sprintf("%q is not a port; ports go from 1 to 65535", value)
	case port < 1024:
		return fmt.Sprintf("port %d belongs to the system; take one from 1024", port)
	case port >= 5239 && port <= 5284:
		return fmt.Sprintf("port %d is one of 5239 to 5284, which regions and racks use themselves; take another", port)
	}
	return ""
}
