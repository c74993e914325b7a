package inventory

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gomaas/maas/store"
)

// Settings that this package reads itself. Lists are separated by spaces or commas.
const (
	SettingBootProfile   = "boot_profile"      // JSON of pxe.Profile; see SetDefaultProfile
	SettingUpstreamDNS   = "upstream_dns"      // servers that DNS asks for other names
	SettingDNSTrustedACL = "dns_trusted_acl"   // prefixes that may use DNS besides the site's subnets
	SettingDNSSEC        = "dnssec_validation" // "auto", "yes" or "no"; see dnssrv.Validation; default auto
	SettingDNSTransfer   = "dns_transfer_acl"  // prefixes and TSIG keys of secondaries that may transfer zones
	// secondaries, address or address:port, that are notified of each change
	SettingDNSNotify    = "dns_notify"
	SettingDNSTTL       = "default_dns_ttl"    // seconds; default 30
	SettingSecondaryNS  = "dns_secondary_ns"   // names of further servers of the site's zones, which transfer them
	SettingNTPServers   = "ntp_servers"        // addresses are given to DHCP clients; names are not used yet
	SettingTakeover     = "dhcp_takeover"      // seconds a rack is away until the other one uses its half of the addresses, from 60; default 3600
	SettingCircuitQuota = "dhcp_circuit_quota" // dynamic addresses behind one circuit of a relay agent; default 0, no limit
	// the same for clients without a circuit: directly on a link, or behind a relay that reports
	// none
	SettingLinkQuota  = "dhcp_link_quota"
	SettingKernelOpts = "kernel_opts" // at the end of each machine's kernel command line
)

// minTakeover is the shortest takeover in seconds: a restart of a rack takes less.
const minTakeover = 60

type setting struct {
	id          int64
	name, value string
}

var settings = table[setting]{
	kind: KindSetting, name: "setting", cols: []string{"name", "value"},
	id:     func(s *setting) *int64 { return &s.id },
	fields: func(s *setting) []any { return []any{&s.name, &s.value} },
}

// Settings returns all settings of the site that were set.
func (inv *Inventory) Settings(ctx context.Context) (map[string]string, error) {
	all, err := listIn(ctx, inv, settings, "")
	out := make(map[string]string, len(all))
	for _, s := range all {
		out[s.name] = s.value
	}
	return out, err
}

// Setting returns one setting; the error is fs.ErrNotExist if it was never set.
func (inv *Inventory) Setting(ctx context.Context, name string) (value string, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, err := settings.one(ctx, tx, name, "name = ?", name)
		value = s.value
		return err
	})
	return value, err
}

// SetSetting sets a setting. A value that it cannot have is an *InvalidError.
func (inv *Inventory) SetSetting(ctx context.Context, name, value string) error {
	if err := checkProxySetting(name, value); err != nil {
		return err
	}
	if err := checkDNSSetting(name, value); err != nil {
		return err
	}
	if err := checkSetting(name, value); err != nil {
		return err
	}
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if name == SettingDNSTransfer {
			_, keys := SplitTransfer(elements(value))
			if err := checkKeys(ctx, tx, KindSetting, name, name, keys); err != nil {
				return err
			}
		}
		s, err := settings.one(ctx, tx, name, "name = ?", name)
		switch {
		case notFound(err):
			return settings.insert(ctx, tx, &setting{name: name, value: value})
		case err != nil || s.value == value:
			return err
		}
		s.value = value
		return settings.update(ctx, tx, &s)
	})
}

// checkSetting refuses what those who read other settings could not use.
func checkSetting(name, value string) error {
	switch name {
	case SettingNTPServers:
		for _, text := range elements(value) {
			_, err := netip.ParseAddr(text)
			if _, nerr := DomainName(text); err != nil && nerr != nil {
				return invalid(KindSetting, name, name, fmt.Sprintf("%q is neither an address nor a name", text))
			}
		}
	case SettingTakeover:
		if n, err := strconv.Atoi(value); value != "" && (err != nil || n < minTakeover) {
			return invalid(KindSetting, name, name, fmt.Sprintf("%q is not a number of seconds from %d", value, minTakeover))
		}
	case SettingExhaustion, SettingCircuitQuota, SettingLinkQuota:
		if n, err := strconv.Atoi(value); value != "" && (err != nil || n < 0) {
			return invalid(KindSetting, name, name, fmt.Sprintf("%q is not a number from 0", value))
		}
	case SettingKernelOpts:
		if err := checkKernelOpts(value); err != nil {
			return invalid(KindSetting, name, name, err.Error())
		}
	}
	return nil
}

// SetRouterAdvertisements sets SettingRouterAdvertisements. A value that it cannot have is an
// *InvalidError.
func (inv *Inventory) SetRouterAdvertisements(ctx context.Context, value string) error {
	for _, text := range elements(value) {
		if p, err := netip.ParsePrefix(text); text != "all" && (err != nil || p != p.Masked()) {
			return invalid(KindSetting, SettingRouterAdvertisements, "value", fmt.Sprintf("%q is neither the prefix of a subnet, like 2001:db8::/64, nor all", text))
		}
	}
	return inv.SetSetting(ctx, SettingRouterAdvertisements, value)
}

// SettingList reads a setting that holds several values.
func (m *Model) SettingList(setting string) []string { return elements(m.Settings[setting]) }

// SettingNumber reads a setting that holds a number; fallback if it holds none.
func (m *Model) SettingNumber(setting string, fallback int) int {
	if n, err := strconv.Atoi(strings.TrimSpace(m.Settings[setting])); err == nil {
		return n
	}
	return fallback
}

// SettingFlag reads a setting that is true or false; fallback if it is neither.
func (m *Model) SettingFlag(setting string, fallback bool) bool {
	if v, err := strconv.ParseBool(strings.TrimSpace(m.Settings[setting])); err == nil {
		return v
	}
	return fallback
}

// SettingRouterAdvertisements names the subnets on whose links racks send router advertisements, as
// prefixes, or "all" for every link with DHCP; empty = none. A rack never offers itself as a
// router. The advertisements announce DHCPv6 where it is served; elsewhere they announce that there
// is no router, so that firmware that waits for one continues at once.
const SettingRouterAdvertisements = "router_advertisements"
