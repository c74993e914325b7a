package maasapi

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
	"github.com/gomaas/maas/store/inventory/setting"
)

// DiscoverySettings control what racks do about discovery.
type DiscoverySettings struct {
	// Listening is "enabled" or "disabled".
	Listening string `json:"network_discovery"`
	// Interval is the time between sweeps of a subnet in seconds; 0 = no sweeps.
	Interval int    `json:"active_discovery_interval"`
	Ignore   string `json:"discovery_ignore"`
	// VLANs is "create" or "propose".
	VLANs   string                `json:"discovery_vlans"`
	Subnets []discoverySubnetJSON `json:"subnets"`
}

// discoverySubnetJSON describes the sweeps of a subnet.
type discoverySubnetJSON struct {
	CIDR   string     `json:"cidr"`
	Active bool       `json:"active_discovery"` // it is swept regularly
	Last   *time.Time `json:"last_scan"`        // nil = never
	Rack   string     `json:"rack,omitempty"`   // the rack that swept it last
}

// discoveryDefaults are the values of settings that are not stored.
var discoveryDefaults = map[string]string{
	setting.NetworkDiscovery: "enabled", setting.ActiveDiscoveryInterval: "10800", setting.DiscoveryVLANs: "create",
	setting.DiscoveryIgnore: "",
}

// discoverySetting returns a setting or its default.
func (a *API) discoverySetting(r *http.Request, name string) (string, error) {
	all, err := a.inv.Settings.All(r.Context())
	if value := all[name]; err != nil || value != "" {
		return value, err
	}
	return discoveryDefaults[name], nil
}

// getDiscoverySettings returns all settings of discovery and the subnets with their last sweeps.
func (a *API) getDiscoverySettings(r *http.Request) (any, error) {
	out := DiscoverySettings{Subnets: []discoverySubnetJSON{}}
	var interval string
	for name, to := range map[string]*string{
		setting.NetworkDiscovery: &out.Listening, setting.ActiveDiscoveryInterval: &interval,
		setting.DiscoveryIgnore: &out.Ignore, setting.DiscoveryVLANs: &out.VLANs,
	} {
		var err error
		if *to, err = a.discoverySetting(r, name); err != nil {
			return nil, err
		}
	}
	out.Interval, _ = strconv.Atoi(interval) // it was checked when it was set
	subnets, err := a.inv.Subnets.List(r.Context())
	if err != nil {
		return nil, err
	}
	scans, err := a.inv.Scans.List(r.Context())
	for _, s := range subnets {
		d := discoverySubnetJSON{CIDR: s.Prefix.String(), Active: s.ActiveDiscovery}
		if i := slices.IndexFunc(scans, func(r inventory.ScanRecord) bool { return r.SubnetID == s.ID }); i >= 0 {
			d.Last, d.Rack = &scans[i].Started, scans[i].Rack
		}
		out.Subnets = append(out.Subnets, d)
	}
	return out, err
}

// postDiscoverySettings takes any of the settings by name, and active and passive with the CIDRs of
// subnets to sweep regularly, or no longer. All of it is stored, or nothing.
func (a *API) postDiscoverySettings(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	err = a.tx.Atomically(r.Context(), func(ctx context.Context) error {
		for _, name := range setting.DiscoveryNames {
			if f.Has(name) {
				if err := a.inv.Settings.Set(ctx, name, f.Raw(name)); err != nil {
					return err
				}
			}
		}
		for _, field := range []string{"active", "passive"} {
			for _, text := range f.List(field) {
				p, err := netip.ParsePrefix(text)
				if err != nil {
					return form.Invalid(field, "is not a prefix like 192.0.2.0/24")
				}
				if err := a.inv.Scans.SetActive(ctx, p, field == "active"); err != nil {
					return err
				}
			}
		}
		return f.Rest()
	})
	if err != nil {
		return nil, err
	}
	return a.getDiscoverySettings(r)
}
