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
	case setting.DNSUpdate, setting.DNSFollow:
		if _, err := ForeignZones(elements(value)); err != nil {
			why = err.Error()
		}
	case setting.InternalDomain, setting.DNSCatalog:
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

// ForeignZone is a zone of another DNS server, as [setting.DNSUpdate] and [setting.DNSFollow] name
// it.
type ForeignZone struct {
	Zone   string
	Server netip.AddrPort // its primary
	Key    string         // name of the TSIG key that signs what is sent there; "" = none
}

// ForeignZones reads zones of the form ZONE=SERVER or ZONE=SERVER/KEY.
func ForeignZones(list []string) (out []ForeignZone, err error) {
	for _, text := range list {
		zone, rest, _ := strings.Cut(text, "=")
		server, key, keyed := strings.Cut(rest, "/")
		z := ForeignZone{Key: key}
		var ok bool
		if z.Server, ok = parseServer(server); !ok || keyed && key == "" {
			return nil, fmt.Errorf("%q has no address of a server; write ZONE=SERVER or ZONE=SERVER/KEY", text)
		}
		if z.Zone, err = DomainName(zone); err != nil || z.Zone == "" {
			return nil, fmt.Errorf("%q has no name of a zone; write ZONE=SERVER or ZONE=SERVER/KEY", text)
		}
		for _, other := range out {
			if other.Zone == z.Zone {
				return nil, fmt.Errorf("the zone %s is given twice; its primary is one server", z.Zone)
			}
		}
		out = append(out, z)
	}
	return out, nil
}

// keysOf returns the names of the TSIG keys in a setting.
func keysOf(name, value string) (keys []string) {
	switch name {
	case setting.DNSTransfer:
		_, keys = SplitTransfer(elements(value))
	case setting.DNSUpdate, setting.DNSFollow:
		zones, _ := ForeignZones(elements(value))
		for _, z := range zones {
			if z.Key != "" {
				keys = append(keys, z.Key)
			}
		}
	}
	return keys
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
