package inventory

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/store"
)

// DiscoverySettings are the names of the settings of discovery.
var DiscoverySettings = [...]string{
	SettingNetworkDiscovery, SettingActiveDiscoveryInterval, SettingDiscoveryIgnore, SettingDiscoveryVLANs,
}

// SetDiscoverySetting sets one of DiscoverySettings, if it can be understood.
func (inv *Inventory) SetDiscoverySetting(ctx context.Context, name, value string) error {
	value = strings.TrimSpace(value)
	bad := func(why string) error { return invalid(KindSetting, value, name, why) }
	switch name {
	case SettingNetworkDiscovery:
		if value != "enabled" && value != "disabled" {
			return bad("is enabled or disabled")
		}
	case SettingDiscoveryVLANs:
		if value != "create" && value != "propose" {
			return bad("is create or propose")
		}
	case SettingActiveDiscoveryInterval:
		seconds, err := strconv.Atoi(value)
		if err != nil || !slices.Contains(scanIntervals[:], time.Duration(seconds)*time.Second) {
			return bad("is a number of seconds, one of " + intervalChoices())
		}
	case SettingDiscoveryIgnore:
		m := &Model{Settings: map[string]string{name: value}}
		rules, err := discovery.ParseIgnore(m.SettingList(name))
		if err != nil {
			return bad(fmt.Sprintf("has a part that is not a rule: %v", err))
		}
		return inv.setIgnore(ctx, value, rules)
	default:
		return &NotFoundError{KindSetting, name}
	}
	return inv.SetSetting(ctx, name, value)
}

// setIgnore forgets what is ignored from now on.
func (inv *Inventory) setIgnore(ctx context.Context, value string, rules discovery.Ignore) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		rows, err := observations.list(ctx, tx, "")
		if err != nil {
			return err
		}
		for _, o := range rows {
			mac, _ := discovery.MACOf(o.MAC)
			if rules.Match(mac, o.Addr) {
				if err := observations.delete(ctx, tx, o.ID); err != nil {
					return err
				}
			}
		}
		return inv.SetSetting(ctx, SettingDiscoveryIgnore, value)
	})
}

func intervalChoices() string {
	var out []string
	for _, d := range scanIntervals {
		out = append(out, strconv.Itoa(int(d.Seconds())))
	}
	return strings.Join(out, ", ")
}

// SetActiveDiscovery chooses whether a subnet is swept regularly.
func (inv *Inventory) SetActiveDiscovery(ctx context.Context, prefix netip.Prefix, on bool) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, err := subnets.one(ctx, tx, prefix.String(), "prefix = ?", prefix.Masked().String())
		if err != nil || s.ActiveDiscovery == on {
			return err
		}
		s.ActiveDiscovery = on
		_, err = inv.Subnets.Update(ctx, s)
		return err
	})
}

// Scans lists when subnets were swept last.
func (inv *Inventory) Scans(ctx context.Context) ([]ScanRecord, error) {
	return listIn(ctx, inv, scans, "")
}
