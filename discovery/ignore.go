package discovery

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Ignore are rules for devices that are not to be reported. The zero value ignores nothing. It is
// not changed after use.
type Ignore struct {
	// MACs are whole addresses or beginnings, such as a vendor's.
	MACs []MACPrefix
	// Prefixes are of IP addresses.
	Prefixes []netip.Prefix
}

// ParseIgnore reads rules: each is a MAC, the beginning of one, an IP address or a prefix, such as
// "02:00:00" or "192.0.2.0/28".
func ParseIgnore(rules []string) (Ignore, error) {
	var ig Ignore
	for _, rule := range rules {
		rule = strings.ToLower(strings.TrimSpace(rule))
		if p, err := netip.ParsePrefix(rule); err == nil {
			ig.Prefixes = append(ig.Prefixes, p.Masked())
		} else if a, err := netip.ParseAddr(rule); err == nil {
			ig.Prefixes = append(ig.Prefixes, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
		} else if m, err := ParseMACPrefix(rule); err == nil {
			ig.MACs = append(ig.MACs, m)
		} else {
			return Ignore{}, fmt.Errorf("discovery: rule %q is neither a MAC, the beginning of one, an IP address nor a prefix", rule)
		}
	}
	return ig, nil
}

// Match reports whether a device at an address is ignored. Either may be missing.
func (ig *Ignore) Match(mac MAC, addr netip.Addr) bool {
	return slices.ContainsFunc(ig.MACs, func(p MACPrefix) bool { return p.Contains(mac) }) ||
		slices.ContainsFunc(ig.Prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}
