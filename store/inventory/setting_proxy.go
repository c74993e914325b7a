package inventory

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/gomaas/maas/proxy"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/setting"
)

// checkProxySetting refuses values that the proxy cannot have. Of other settings it knows nothing.
func checkProxySetting(name, value string) error {
	why := ""
	switch name {
	case setting.EnableHTTPProxy, setting.UsePeerProxy, setting.PreferV4Proxy:
		if _, err := strconv.ParseBool(value); err != nil && value != "" {
			why = fmt.Sprintf("%q is neither true nor false", value)
		}
	case setting.HTTPProxy:
		if u, err := url.Parse(value); value != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "") {
			why = "is not a URL like http://proxy.example:3128" // which may hold a password, so it is not repeated
		}
	case setting.ProxyPort:
		why = badProxyPort(value)
	case setting.ProxyRoutes:
		if err := proxy.New(proxy.Config{}).Update(proxy.Policy{Routes: ProxyRoutes(elements(value))}); err != nil {
			why = strings.TrimPrefix(err.Error(), "proxy: policy: ")
		}
	case setting.ProxyTunnelPorts, setting.ProxyPorts:
		if _, err := ProxyPorts(elements(value)); err != nil {
			why = err.Error()
		}
	case setting.AllowProxyTo:
		for _, text := range elements(value) {
			if _, err := ProxyNetwork(text); err != nil {
				why = err.Error()
			}
		}
	case setting.ProxyParents:
		if err := proxy.New(proxy.Config{}).Update(proxy.Policy{HostParents: ProxyParents(elements(value))}); err != nil {
			why = strings.TrimPrefix(err.Error(), "proxy: policy: ")
		}
	case setting.NoProxy:
		if err := proxy.New(proxy.Config{}).Update(proxy.Policy{Direct: elements(value)}); err != nil {
			why = strings.TrimPrefix(err.Error(), "proxy: policy: ")
		}
	case setting.ProxyUplink:
		if n, err := strconv.Atoi(value); value != "" && (err != nil || n < 0) {
			why = fmt.Sprintf("%q is not a number of bytes a second; 0 means no limit", value)
		}
	}
	if why == "" {
		return nil
	}
	return invalid(kinds.Setting, name, name, why)
}

// ProxyNetwork reads a network, or an address as a network of its own.
func ProxyNetwork(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a.WithZone(""), a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is neither a network such as 192.0.2.0/24 nor an address", text)
	}
	return p.Masked(), nil
}

// ProxyRoutes reads PREFIX=ORIGIN of each element. What is not of that form has no origin.
func ProxyRoutes(list []string) (routes []proxy.Route) {
	for _, text := range list {
		prefix, origin, _ := strings.Cut(text, "=")
		routes = append(routes, proxy.Route{Prefix: prefix, Origin: origin})
	}
	return routes
}

// ProxyPorts reads the ports and ranges of ports of a list. An error names the part that is none.
func ProxyPorts(list []string) (ports []proxy.Ports, err error) {
	for _, text := range list {
		p, err := proxy.ParsePorts(text)
		if err != nil {
			return nil, err
		}
		ports = append(ports, p)
	}
	return ports, nil
}

// ProxyParents reads HOST=URL of each element, in which the parents of a host keep their order.
// What is not of that form has no parent.
func ProxyParents(list []string) (out []proxy.HostParents) {
	at := make(map[string]int)
	for _, text := range list {
		host, parent, found := strings.Cut(text, "=")
		i, seen := at[host]
		if !seen {
			i = len(out)
			at[host] = i
			out = append(out, proxy.HostParents{Hosts: []string{host}})
		}
		if found {
			out[i].Parents = append(out[i].Parents, parent)
		}
	}
	return out
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
