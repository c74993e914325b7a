package inventory

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/setting"
)

// maxReason bounds the reason for which a device is ignored, in bytes.
const maxReason = 500

// IgnoredDevice is a rule of [setting.DiscoveryIgnore]. A rule that Ignore made has the device that
// it was made for; a rule of the setting alone has nothing but itself.
type IgnoredDevice struct {
	ID       int64
	Rule     string     // as in the setting; of Ignore it is the MAC
	Addr     netip.Addr // where the device was seen; zero = not known
	Hostname string     // "" = not known
	Reason   string
	User     string    // that ignored it; "" = not known
	Time     time.Time // zero = not known
}

var ignoredDevices = table[IgnoredDevice]{
	kind: kinds.Observation, name: "ignored_device", cols: []string{"rule", "ip", "hostname", "reason", "account", "at"},
	id: func(d *IgnoredDevice) *int64 { return &d.ID },
	fields: func(d *IgnoredDevice) []any {
		return []any{&d.Rule, asText{&d.Addr}, &d.Hostname, &d.Reason, &d.User, asTime{&d.Time}}
	},
}

// Ignore adds a device that a rack saw to the rules of [setting.DiscoveryIgnore], by its MAC: racks
// do not report it at any address, and what they reported is forgotten. The error is fs.ErrNotExist
// if no rack saw it.
func (ds *Discoveries) Ignore(ctx context.Context, a netip.Addr, mac net.HardwareAddr, reason string) (out IgnoredDevice, err error) {
	if reason = strings.TrimSpace(reason); len(reason) > maxReason {
		return out, invalid(eventDiscovery, mac.String(), "reason", "is longer than 500 bytes")
	}
	err = ds.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		d, err := discoveryOf(ctx, tx, a.Unmap(), mac)
		if err != nil {
			return err
		}
		rules, err := ds.inv.ignoreRules(ctx)
		if err != nil {
			return err
		}
		out = IgnoredDevice{Rule: d.MAC.String(), Addr: d.Addr, Hostname: d.Hostname, Reason: reason, Time: time.Now()}
		if who := actorOf(ctx); who != nil {
			out.User = who.User
		}
		if err := ds.inv.Settings.Set(ctx, setting.DiscoveryIgnore, strings.Join(append(rules, out.Rule), ",")); err != nil {
			return err
		}
		return ignoredDevices.insert(ctx, tx, &out)
	})
	return out, err
}

// Unignore removes a rule from [setting.DiscoveryIgnore], however it is spelled. Racks report what
// it matched when they see it again. The error is fs.ErrNotExist if there is no such rule.
func (ds *Discoveries) Unignore(ctx context.Context, rule string) error {
	return ds.inv.update(ctx, func(ctx context.Context, _ *store.Tx) error {
		rules, err := ds.inv.ignoreRules(ctx)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(rules), func(r string) bool { return sameRule(r, rule) })
		if len(left) == len(rules) {
			return &NotFoundError{"rule", "that ignores " + rule}
		}
		return ds.inv.Settings.Set(ctx, setting.DiscoveryIgnore, strings.Join(left, ","))
	})
}

// Ignored lists the rules of [setting.DiscoveryIgnore] in their order.
func (ds *Discoveries) Ignored(ctx context.Context) (out []IgnoredDevice, err error) {
	err = ds.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		rules, err := ds.inv.ignoreRules(ctx)
		if err != nil {
			return err
		}
		known, err := ignoredDevices.list(ctx, tx, "")
		for _, rule := range rules {
			d := IgnoredDevice{Rule: rule}
			if i := slices.IndexFunc(known, func(k IgnoredDevice) bool { return k.Rule == rule }); i >= 0 {
				d = known[i]
			}
			out = append(out, d)
		}
		return err
	})
	return out, err
}

// ignoreRules returns the rules of the setting as they were written.
func (inv *Inventory) ignoreRules(ctx context.Context) ([]string, error) {
	text, err := inv.Settings.Get(ctx, setting.DiscoveryIgnore)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return elements(text), err
}

// sameRule reports whether two texts are the same rule.
func sameRule(a, b string) bool {
	x, err1 := discovery.ParseIgnore([]string{a})
	y, err2 := discovery.ParseIgnore([]string{b})
	return err1 == nil && err2 == nil && slices.Equal(x.MACs, y.MACs) && slices.Equal(x.Prefixes, y.Prefixes)
}

// forgetRules deletes what is known of devices whose rules are gone.
func forgetRules(ctx context.Context, tx *store.Tx, value string) error {
	rules := elements(value)
	known, err := ignoredDevices.list(ctx, tx, "")
	for _, k := range known {
		if err == nil && !slices.Contains(rules, k.Rule) {
			err = ignoredDevices.delete(ctx, tx, k.ID)
		}
	}
	return err
}
