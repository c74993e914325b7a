package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory/maasapi"
)

// discoverySettingsCmd is `maas discovery settings`.
type discoverySettingsCmd struct {
	remote
	Listen  string         `enum:",on,off" default:"" help:"Passive discovery on racks: on or off." placeholder:"on|off"`
	Every   *time.Duration `help:"Interval of active scans: 0s, 10m, 30m, 1h, 3h, 6h, 12h, 24h or 168h." placeholder:"TIME"`
	Ignore  *string        `help:"MAC addresses, MAC prefixes, IP addresses and IP prefixes to ignore, separated by commas." placeholder:"RULES"`
	VLANs   string         `name:"vlans" enum:",create,propose" default:"" help:"Action for an unknown VLAN tag: create or propose." placeholder:"create|propose"`
	Active  []string       `help:"Subnet to scan regularly." placeholder:"CIDR"`
	Passive []string       `help:"Subnet to remove from regular scans." placeholder:"CIDR"`
}

// Run runs the command.
func (c discoverySettingsCmd) Run(ctx context.Context, io stdio) error {
	const path = "/api/v1/discovery/settings"
	var s maasapi.DiscoverySettings
	form := c.form()
	err := c.get(ctx, path, &s)
	if len(form) > 0 && err == nil {
		err = c.post(ctx, path, form, &s)
	}
	if err != nil {
		return err
	}
	err = c.print(io.out, s, "", func(row func(...string)) {
		row("listening", s.Listening)
		row("scan every", (time.Duration(s.Interval) * time.Second).String())
		row("ignore", s.Ignore)
		row("unknown VLANs", s.VLANs)
	})
	if err != nil || c.Output != "table" {
		return err
	}
	fmt.Fprintln(io.out)
	return c.print(io.out, s, "SUBNET\tSCANNED\tLAST SCAN\tBY", func(row func(...string)) {
		for _, sub := range s.Subnets {
			scanned, last := "only when asked", ""
			if sub.Active {
				scanned = "regularly"
			}
			if sub.Last != nil {
				last = stamp(*sub.Last)
			}
			row(sub.CIDR, scanned, last, sub.Rack)
		}
	})
}

// form returns the settings that flags change.
func (c discoverySettingsCmd) form() url.Values {
	form := url.Values{}
	if c.Listen != "" {
		form.Set("network_discovery", map[string]string{"on": "enabled", "off": "disabled"}[c.Listen])
	}
	if c.Every != nil {
		form.Set("active_discovery_interval", fmt.Sprint(int(c.Every.Seconds())))
	}
	if c.Ignore != nil {
		form.Set("discovery_ignore", strings.TrimSpace(*c.Ignore))
	}
	if c.VLANs != "" {
		form.Set("discovery_vlans", c.VLANs)
	}
	for name, list := range map[string][]string{"active": c.Active, "passive": c.Passive} {
		if len(list) > 0 {
			form[name] = list
		}
	}
	return form
}
