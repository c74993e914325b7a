package inventory

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/setting"
)

// checkDNSSetting refuses what DNS servers could not use.
func checkDNSSetting(name, value string) error {
	why := ""
	switch name {
	case setting.DNSSEC:
		switch dnssrv.Validation(value) {
		case "", dnssrv.ValidationAuto, dnssrv.ValidationYes, dnssrv.ValidationNo:
		default:
			why = fmt.Sprintf("%q is none of auto, yes and no", value)
		}
	case setting.UpstreamDNS, setting.DNSNotify:
		for _, text := range elements(value) {
			if _, ok := parseServer(text); !ok {
				why = fmt.Sprintf("%q is neither an address nor an address and a port", text)
			}
		}
	case setting.DNSTrustedACL:
		for _, text := range elements(value) {
			if _, ok := parseNetwork(text); !ok {
				why = fmt.Sprintf("%q is neither a network like 192.0.2.0/24 nor an address", text)
			}
		}
	case setting.InternalDomain:
		if name, err := DomainName(value); value != "" && (err != nil || name != value) {
			why = fmt.Sprintf("%q is not the name of a domain in lower case", value)
		}
	case setting.DNSTTL:
		if n, err := strconv.ParseUint(value, 10, 31); value != "" && (err != nil || n == 0) {
			why = fmt.Sprintf("%q is not a number of seconds from 1 to 2147483647", value)
		}
	}
	if why == "" {
		return nil
	}
	return invalid(kinds.Setting, name, name, why)
}

// parseServer reads the address of a DNS server; port 53 when there is none.
func parseServer(text string) (netip.AddrPort, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap, ap.Port() != 0 && !ap.Addr().IsUnspecified()
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return netip.AddrPortFrom(a, 53), err == nil && !a.IsUnspecified()
}

// parseNetwork reads a prefix, or an address as the prefix of itself alone.
func parseNetwork(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(text)
	return netip.PrefixFrom(a, a.BitLen()), err == nil && a.Zone() == ""
}

// SettingServers are the DNS servers of a setting.
func (m *Model) SettingServers(name string) (out []netip.AddrPort) {
	for _, text := range m.SettingList(name) {
		if ap, ok := parseServer(text); ok {
			out = append(out, ap)
		}
	}
	return out
}

// SettingNetworks are the prefixes of a setting.
func (m *Model) SettingNetworks(name string) (out []netip.Prefix) {
	for _, text := range m.SettingList(name) {
		if p, ok := parseNetwork(text); ok {
			out = append(out, p)
		}
	}
	return out
}
