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
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/setting"
)

// checkDiscoverySetting refuses values that racks could not use.
func checkDiscoverySetting(name, value string) error {
	why := ""
	switch name {
	case setting.NetworkDiscovery:
		if value != "enabled" && value != "disabled" {
			why = "is enabled or disabled"
		}
	case setting.DiscoveryVLANs:
		if value != "create" && value != "propose" {
			why = "is create or propose"
		}
	case setting.ActiveDiscoveryInterval:
		seconds, err := strconv.Atoi(value)
		if err != nil || !slices.Contains(scanIntervals[:], time.Duration(seconds)*time.Second) {
			why = "is a number of seconds, one of " + intervalChoices()
		}
	case setting.DiscoveryIgnore:
		if _, err := discovery.ParseIgnore(elements(value)); err != nil {
			why = fmt.Sprintf("has a part that is not a rule: %v", err)
		}
	}
	if why == "" {
		return nil
	}
	return invalid(kinds.Setting, value, name, why)
}

// forgetIgnored deletes the observations that racks no longer report, and what is known of devices
// that they report again.
func forgetIgnored(ctx context.Context, tx *store.Tx, value string) error {
	if err := forgetRules(ctx, tx, value); err != nil {
		return err
	}
	rules, err := discovery.ParseIgnore(elements(value))
	if err != nil {
		return err
	}
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
	return nil
}

func intervalChoices() string {
	var out []string
	for _, d := range scanIntervals {
		out = append(out, strconv.Itoa(int(d.Seconds())))
	}
	return strings.Join(out, ", ")
}

// SetActive chooses whether a subnet is swept regularly.
func (ss *Scans) SetActive(ctx context.Context, prefix netip.Prefix, on bool) error {
	return ss.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, err := subnets.one(ctx, tx, prefix.String(), "prefix = ?", prefix.Masked().String())
		if err != nil || s.ActiveDiscovery == on {
			return err
		}
		s.ActiveDiscovery = on
		_, err = ss.inv.Subnets.Update(ctx, s)
		return err
	})
}

// List lists when subnets were swept last.
func (ss *Scans) List(ctx context.Context) ([]ScanRecord, error) {
	return listIn(ctx, ss.inv, scans, "")
}
