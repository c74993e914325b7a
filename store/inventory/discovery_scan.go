package inventory

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/setting"
)

const defaultScanInterval = 3 * time.Hour

// scanIntervals are the choices of setting.ActiveDiscoveryInterval.
var scanIntervals = [...]time.Duration{
	0, 10 * time.Minute, 30 * time.Minute, time.Hour, defaultScanInterval, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

// DiscoveryEnabled reports whether racks listen.
func (m *Model) DiscoveryEnabled() bool { return m.Settings[setting.NetworkDiscovery] != "disabled" }

// ScanInterval returns the interval at which subnets with active discovery are swept; 0 = never,
// also while racks do not listen.
func (m *Model) ScanInterval() time.Duration {
	if !m.DiscoveryEnabled() {
		return 0
	}
	seconds, err := strconv.Atoi(strings.TrimSpace(m.Settings[setting.ActiveDiscoveryInterval]))
	if err != nil || seconds < 0 {
		return defaultScanInterval
	}
	return time.Duration(seconds) * time.Second
}

// ScanRecord is the last sweep of a subnet.
type ScanRecord struct {
	ID       int64
	SubnetID int64
	Rack     string
	Started  time.Time
	Held     time.Time // no other rack sweeps it before this time
}

var scans = table[ScanRecord]{
	kind: kinds.Observation, name: "scan", cols: []string{"subnet_id", "rack", "started", "held"},
	id:     func(r *ScanRecord) *int64 { return &r.ID },
	fields: func(r *ScanRecord) []any { return []any{&r.SubnetID, &r.Rack, asTime{&r.Started}, asTime{&r.Held}} },
}

// Scans shares out the sweeps of subnets among racks.
type Scans struct{ inv *Inventory }

// Claim gives a rack the sweep of a subnet for a while and reports whether it did: not while
// another rack has it, and not within the interval after the last sweep (0 = at any time). A last
// sweep in the future, by a clock that was wrong, is ignored.
func (ss *Scans) Claim(ctx context.Context, subnet int64, rack string, now time.Time, interval, hold time.Duration) (ok bool, err error) {
	err = ss.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		ok = false
		mine := ScanRecord{SubnetID: subnet, Rack: rack, Started: now, Held: now.Add(hold)}
		old, err := scans.one(ctx, tx, strconv.FormatInt(subnet, 10), "subnet_id = ?", subnet)
		switch {
		case notFound(err):
			ok = true
			return scans.insert(ctx, tx, &mine)
		case err != nil:
			return err
		}
		// Otherwise a rack whose clock was a year ahead would keep the subnet from sweeps for a
		// year.
		wrong := old.Started.After(now)
		if !wrong && (old.Held.After(now) || now.Sub(old.Started) < interval) {
			return nil
		}
		mine.ID, ok = old.ID, true
		return scans.update(ctx, tx, &mine)
	})
	return ok, err
}

// End lets others sweep a subnet that a rack has claimed.
func (ss *Scans) End(ctx context.Context, subnet int64, rack string, now time.Time) error {
	return ss.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE scan SET held = ? WHERE subnet_id = ? AND rack = ?", asTime{&now}, subnet, rack)
		return err
	})
}

// ScanPlan is which rack sweeps which subnets.
type ScanPlan struct {
	Rack    string
	Subnets []ipam.Subnet
}

// PlanScan gives each subnet that wanted holds for to one of the connected racks that have an
// address in it: to the primary rack of its VLAN if that is one, else to the one with the fewest.
// It also returns the subnets that no connected rack is linked to.
func PlanScan(m *Model, connected []string, wanted func(ipam.Subnet) bool) (plans []ScanPlan, left []ipam.Subnet) {
	load := map[string][]ipam.Subnet{}
	for _, s := range m.Subnets {
		if !wanted(s) {
			continue
		}
		able := racksOn(m, s, connected)
		if len(able) == 0 {
			left = append(left, s)
			continue
		}
		// Racks sweep one subnet after the other, so the load is spread by number.
		best := slices.MinFunc(able, func(a, b string) int { return len(load[a]) - len(load[b]) })
		for _, v := range m.VLANs {
			if v.ID == s.VLANID && slices.Contains(able, v.PrimaryRack) {
				best = v.PrimaryRack
			}
		}
		load[best] = append(load[best], s)
	}
	for _, r := range m.Racks { // in the model's order, so that plans are the same each time
		if len(load[r.Name]) > 0 {
			plans = append(plans, ScanPlan{r.Name, load[r.Name]})
		}
	}
	return plans, left
}

// racksOn are the racks of a list that have an address in a subnet.
func racksOn(m *Model, s ipam.Subnet, connected []string) (able []string) {
	for _, r := range m.Racks {
		if slices.Contains(connected, r.Name) && r.LinkedTo(s) {
			able = append(able, r.Name)
		}
	}
	return able
}

// LinkedTo reports whether the rack has an address in the subnet.
func (r Rack) LinkedTo(s ipam.Subnet) bool {
	return slices.ContainsFunc(r.Links, func(l RackLink) bool {
		return slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool { return s.Prefix.Contains(p.Addr()) })
	})
}
