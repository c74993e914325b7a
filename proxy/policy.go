package proxy

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Policy says which clients may use a proxy, and for what. The zero Policy allows no client.
type Policy struct {
	// Allow lists the networks of clients. If empty, no client is allowed.
	Allow []netip.Prefix `json:"allow,omitempty"`
	// Ports are the destination ports of plain requests. None means 80, 443 and everything from
	// 1024.
	Ports []Ports `json:"ports,omitempty"`
	// TunnelPorts are the destination ports of CONNECT. None means 443 only.
	TunnelPorts []Ports `json:"tunnelPorts,omitempty"`
	// AllowLocal lists loopback and link-local networks that may be reached all the same.
	AllowLocal []netip.Prefix `json:"allowLocal,omitempty"`
	// Deny lists further networks that may not be reached, such as the addresses of racks and
	// regions. It goes before AllowLocal, and does not concern parents and routes.
	Deny []netip.Prefix `json:"deny,omitempty"`
	// Parent is the proxy through which everything goes, such as http://proxy.example:3128. Empty
	// means directly.
	Parent string `json:"parent,omitempty"`
	// Parents are further proxies in the order in which they are tried. One that cannot be
	// connected to is left alone for some seconds. While all are away the first is tried, never the
	// origin.
	Parents []string `json:"parents,omitempty"`
	// HostParents replace Parent and Parents for some hosts. The entry that names a host most
	// closely counts: the host itself, then the longest domain or network.
	HostParents []HostParents `json:"hostParents,omitempty"`
	// Direct lists what is reached without a parent: hosts, domains with a dot in front, and
	// networks, such as mirror.example, .lab.example and 192.0.2.0/24; * is everything. Networks
	// are for hosts given as addresses.
	Direct []string `json:"direct,omitempty"`
	// PreferIPv4 connects to the IPv4 addresses of a host first, and to others only when none of
	// them answers.
	PreferIPv4 bool `json:"preferIPv4,omitempty"`
	// Uplink is the largest number of bytes a second from origins, tunnels included. Clients that
	// want more get equal shares. A fetch that others join counts for the client that began it, and
	// answers from the cache cost nothing. Zero means no limit.
	Uplink int64 `json:"uplink,omitempty"`
	// Forwarded names the client to origins and parents in Forwarded (RFC 7239). The clients' own
	// such fields are never passed on.
	Forwarded bool `json:"forwarded,omitempty"`
	// HideVia leaves out Via (RFC 9110, 7.6.3). Proxies that are each other's parent then no longer
	// notice that.
	HideVia bool `json:"hideVia,omitempty"`
	// Routes make the proxy a server of other origins' files, for requests that name it and not an
	// origin.
	Routes []Route `json:"routes,omitempty"`
}

// HostParents are the parents for some hosts only, such as the domain of a company whose mirrors
// are behind its own proxy.
type HostParents struct {
	// Hosts are in the form of Policy.Direct: hosts, domains with a dot in front, networks and *.
	Hosts []string `json:"hosts"`
	// Parents are tried in order, as Policy.Parents are.
	Parents []string `json:"parents"`
}

// A Route answers paths below Prefix, such as /images/, with the same paths below Origin, such as
// http://images.example/maas/. The longest matching prefix counts; Prefix without its final slash
// is not below it. An origin may have any address, even on loopback, since the author of the policy
// chose it.
type Route struct {
	Prefix string `json:"prefix"`
	Origin string `json:"origin"`
}

// check reports what of the policy cannot be used.
func (p *Policy) check() error {
	for _, prefix := range slices.Concat(p.Allow, p.AllowLocal, p.Deny) {
		if !prefix.IsValid() {
			return errors.New("proxy: policy: a network is not a valid prefix")
		}
	}
	if p.Uplink < 0 {
		return fmt.Errorf("proxy: policy: an uplink of %d bytes a second is none; 0 means no limit", p.Uplink)
	}
	for _, port := range slices.Concat(p.Ports, p.TunnelPorts) {
		if err := port.check(); err != nil {
			return fmt.Errorf("proxy: policy: %w", err)
		}
	}
	for _, rule := range p.Direct {
		if err := checkHosts("direct", rule); err != nil {
			return err
		}
	}
	for _, h := range p.HostParents {
		if len(h.Hosts) == 0 || len(h.Parents) == 0 {
			return fmt.Errorf("proxy: policy: parents for hosts %q need both hosts and a parent", h.Hosts)
		}
		for _, rule := range h.Hosts {
			if err := checkHosts("parent for", rule); err != nil {
				return err
			}
		}
	}
	for _, r := range p.Routes {
		if err := r.check(); err != nil {
			return err
		}
	}
	for _, parent := range p.allParents() {
		u, err := url.Parse(parent)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return fmt.Errorf("proxy: policy: parent %q is not a URL like http://proxy.example:3128", redacted(parent))
		}
	}
	return nil
}

// checkHosts refuses an entry for hosts that would match none, so that they would go another way
// than its author means.
func checkHosts(what, rule string) error {
	if _, err := netip.ParsePrefix(rule); err == nil || rule == "*" {
		return nil
	}
	if _, err := netip.ParseAddr(rule); err == nil {
		return nil
	}
	if domain, ok := strings.CutPrefix(rule, "*"); ok && isHost(strings.TrimPrefix(domain, ".")) && domain[0] == '.' {
		return fmt.Errorf("proxy: policy: %s %q is not a domain; write %s", what, rule, domain)
	}
	if !isHost(strings.TrimPrefix(rule, ".")) {
		return fmt.Errorf("proxy: policy: %s %q is not a host, a domain such as .lab.example, a network or *", what, rule)
	}
	return nil
}

// isHost reports whether a name can be the host of a URL: labels of letters, digits, hyphens and
// underscores.
func isHost(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return false
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// redacted is a URL for people to read, without what could be a password.
func redacted(raw string) string {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		scheme, rest = "", raw
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = "xxxxx" + rest[at:]
	}
	if found {
		return scheme + "://" + rest
	}
	return rest
}

// parents are those for all hosts, in order.
func (p *Policy) parents() []string {
	if p.Parent == "" {
		return p.Parents
	}
	return slices.Concat([]string{p.Parent}, p.Parents)
}

// allParents are those for all and for some hosts, each once.
func (p *Policy) allParents() []string {
	all := slices.Clone(p.parents())
	for _, h := range p.HostParents {
		for _, parent := range h.Parents {
			if !slices.Contains(all, parent) {
				all = append(all, parent)
			}
		}
	}
	return all
}

// parentURLs are all parents, parsed. They have been checked.
func (p *Policy) parentURLs() (urls []*url.URL) {
	for _, raw := range p.allParents() {
		if u, err := url.Parse(raw); err == nil {
			urls = append(urls, u)
		}
	}
	return urls
}

// parentsFor are the parents for a host, in order; none for the direct way.
func (p *Policy) parentsFor(host string) []string {
	host = strings.TrimSuffix(host, ".") // a final dot does not make it another host
	if closest(p.Direct, host) >= 0 {
		return nil
	}
	parents, best := p.parents(), -1
	for _, h := range p.HostParents {
		if c := closest(h.Hosts, host); c > best {
			parents, best = h.Parents, c
		}
	}
	return parents
}

// closest returns how closely the rules name a host, negative if none does: the host itself beats
// domains and networks, of which the longest counts, and * is the last.
func closest(rules []string, host string) int {
	// A name is not resolved here: the parent may be the only one that can.
	addr, _ := netip.ParseAddr(host)
	best := -1
	for _, rule := range rules {
		network, err := netip.ParsePrefix(rule)
		switch {
		case rule == "*":
			best = max(best, 0)
		case err == nil && network.Contains(addr.Unmap()):
			best = max(best, network.Bits()+1)
		case strings.HasPrefix(rule, ".") && len(host) > len(rule) && strings.EqualFold(host[len(host)-len(rule):], rule):
			best = max(best, len(rule))
		case strings.EqualFold(host, rule):
			return math.MaxInt
		}
	}
	return best
}

func (p *Policy) allows(client netip.Addr) bool { return contains(p.Allow, client) }

func (p *Policy) allowsPort(port uint16, tunnel bool) bool {
	switch {
	case tunnel && len(p.TunnelPorts) == 0:
		return port == 443
	case tunnel:
		return holdsPort(p.TunnelPorts, port)
	case len(p.Ports) == 0:
		return port == 80 || port == 443 || port >= 1024
	}
	return holdsPort(p.Ports, port)
}

// allowsDestination refuses the addresses that mean the proxy's own host or link.
func (p *Policy) allowsDestination(addr netip.Addr) bool {
	addr = addr.Unmap()
	// Deny comes first, so that a wide AllowLocal does not open a denied host.
	if contains(p.Deny, addr) {
		return false
	}
	if addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsMulticast() || addr.IsUnspecified() {
		return contains(p.AllowLocal, addr)
	}
	return true
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	// Prefixes have neither zones nor mapped forms.
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}
