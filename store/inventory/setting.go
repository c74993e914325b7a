package inventory

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/setting"
)

// minTakeover is the shortest takeover in seconds: a restart of a rack takes less.
const minTakeover = 60

type settingRow struct {
	id          int64
	name, value string
}

var settings = table[settingRow]{
	kind: kinds.Setting, name: "setting", cols: []string{"name", "value"},
	id:     func(s *settingRow) *int64 { return &s.id },
	fields: func(s *settingRow) []any { return []any{&s.name, &s.value} },
}

// Settings holds the values of the site's settings by the names of package setting.
type Settings struct{ inv *Inventory }

// All returns all settings of the site that were set.
func (ss *Settings) All(ctx context.Context) (map[string]string, error) {
	all, err := listIn(ctx, ss.inv, settings, "")
	out := make(map[string]string, len(all))
	for _, s := range all {
		out[s.name] = s.value
	}
	return out, err
}

// Get returns one setting; the error is fs.ErrNotExist if it was never set.
func (ss *Settings) Get(ctx context.Context, name string) (value string, err error) {
	err = ss.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, err := settings.one(ctx, tx, name, "name = ?", name)
		value = s.value
		return err
	})
	return value, err
}

// Set sets a setting. A value that it cannot have is an *InvalidError.
func (ss *Settings) Set(ctx context.Context, name, value string) error {
	if slices.Contains(setting.DiscoveryNames[:], name) {
		value = strings.TrimSpace(value)
	}
	for _, check := range []func(name, value string) error{checkProxySetting, checkDNSSetting, checkDiscoverySetting, checkSetting} {
		if err := check(name, value); err != nil {
			return err
		}
	}
	return ss.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		switch name {
		case setting.DNSTransfer, setting.DNSUpdate, setting.DNSFollow:
			if err := checkKeys(ctx, tx, kinds.Setting, name, name, keysOf(name, value)); err != nil {
				return err
			}
		case setting.DNSCatalog:
			if _, err := domains.one(ctx, tx, value, "name = ?", value); err == nil {
				return invalid(kinds.Setting, name, name, fmt.Sprintf("%q is a domain of the site; a catalog is a zone of its own, such as catalog.%s", value, value))
			}
		case setting.DiscoveryIgnore:
			if err := forgetIgnored(ctx, tx, value); err != nil {
				return err
			}
		}
		s, err := settings.one(ctx, tx, name, "name = ?", name)
		switch {
		case notFound(err):
			return settings.insert(ctx, tx, &settingRow{name: name, value: value})
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
	case setting.NTPServers:
		for _, text := range elements(value) {
			_, err := netip.ParseAddr(text)
			if _, nerr := DomainName(text); err != nil && nerr != nil {
				return invalid(kinds.Setting, name, name, fmt.Sprintf("%q is neither an address nor a name", text))
			}
		}
	case setting.Takeover:
		if n, err := strconv.Atoi(value); value != "" && (err != nil || n < minTakeover) {
			return invalid(kinds.Setting, name, name, fmt.Sprintf("%q is not a number of seconds from %d", value, minTakeover))
		}
	case setting.Exhaustion, setting.CircuitQuota, setting.LinkQuota, setting.EnlistMax:
		if n, err := strconv.Atoi(value); value != "" && (err != nil || n < 0) {
			return invalid(kinds.Setting, name, name, fmt.Sprintf("%q is not a number from 0", value))
		}
	case setting.BootConfigured:
		if value != "" && value != "disk" && value != setting.BootConfiguredProfile {
			return invalid(kinds.Setting, name, name, fmt.Sprintf("%q is neither disk nor profile", value))
		}
	case setting.RouterAdvertisements:
		if slices.Contains([]string{setting.AdvertiseAuto, setting.AdvertiseAll, setting.AdvertiseNone}, value) {
			return nil
		}
		for _, text := range elements(value) {
			if p, err := netip.ParsePrefix(text); err != nil || p != p.Masked() {
				return invalid(kinds.Setting, name, name, fmt.Sprintf("%q is neither the prefix of a subnet, like 2001:db8::/64, nor auto, all or none", text))
			}
		}
	case setting.KernelOpts:
		if err := checkKernelOpts(value); err != nil {
			return invalid(kinds.Setting, name, name, err.Error())
		}
	}
	return nil
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
