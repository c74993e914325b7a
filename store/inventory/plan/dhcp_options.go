package plan

import (
	"cmp"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/store/inventory"
)

// place identifies the object that DHCP options belong to; the zero value is the site.
type place struct{ node, subnet, rng int64 }

// families are options of IPv4 and of IPv6, and the length of leases of both.
type families struct {
	v4, v6 dhcpsrv.Options
	lease  time.Duration // 0 = not set
}

// of are the options for an address of a family.
func (f families) of(is6 bool) dhcpsrv.Options {
	if is6 {
		return f.v6
	}
	return f.v4
}

// placedOptions are the enabled options by where they belong. One that cannot be read is none.
func placedOptions(m *inventory.Model) map[place]families {
	out := make(map[place]families)
	for _, s := range m.Snippets {
		o, err := inventory.ParseDHCPOptions(s.Value)
		if err != nil || !s.Enabled {
			continue
		}
		at := place{s.NodeID, s.SubnetID, s.RangeID}
		have := out[at]
		out[at] = families{override(have.v4, o.V4), override(have.v6, o.V6), cmp.Or(o.LeaseTime, have.lease)}
	}
	return out
}

// override joins options; an option of over replaces that of base with the same code.
func override(base, over dhcpsrv.Options) dhcpsrv.Options {
	for _, o := range over {
		replaced := false
		for i := range base {
			if base[i].Code == o.Code {
				base[i], replaced = o, true
			}
		}
		if !replaced {
			base = append(base, o)
		}
	}
	return base
}
