package inventory

import (
	"context"
	"strings"

	"github.com/gomaas/maas/pxe"
)

// BootPlan says what machines boot. It is a pxe.Resolver.
type BootPlan struct {
	// Default is for clients without an entry; nil = they find nothing.
	Default *pxe.Profile `json:"default,omitempty"`
	// ByMAC has the profile of each link address that has one of its own.
	ByMAC map[string]pxe.Profile `json:"byMAC,omitempty"`
}

// PlanPXE returns the profiles of all machines: their own, or the site's
// default, with the kernel options of their tags and of the site. Devices boot from their disks. A default profile that cannot be
// read is none.
func PlanPXE(m *Model) BootPlan {
	def, err := parseProfile(m.Settings[SettingBootProfile])
	if err != nil {
		def = nil
	}
	p := BootPlan{Default: def, ByMAC: make(map[string]pxe.Profile)}
	for i := range m.Machines {
		own := m.Machines[i].Profile
		if opts := m.kernelOpts(&m.Machines[i]); opts != "" {
			own = withOptions(own, def, opts)
		}
		if own == nil {
			continue
		}
		for _, iface := range m.Machines[i].Interfaces {
			if len(iface.MAC) > 0 {
				p.ByMAC[iface.MAC.String()] = *own
			}
		}
	}
	for i := range m.Devices {
		for _, iface := range m.Devices[i].Interfaces {
			if len(iface.MAC) > 0 {
				p.ByMAC[iface.MAC.String()] = pxe.Profile{Name: "device", Kind: pxe.Local}
			}
		}
	}
	return p
}

// withOptions is the profile, or else the default one, with more on its kernel command line.
func withOptions(own, def *pxe.Profile, opts string) *pxe.Profile {
	if own == nil {
		own = def
	}
	if own == nil || own.Kernel == "" {
		return own
	}
	longer := *own
	longer.Cmdline = strings.TrimSpace(own.Cmdline + " " + opts)
	return &longer
}

// Resolve implements pxe.Resolver.
func (p BootPlan) Resolve(_ context.Context, r pxe.Request) (pxe.Profile, error) {
	if len(r.MAC) > 0 {
		if own, ok := p.ByMAC[r.MAC.String()]; ok {
			return own, nil
		}
	}
	if p.Default == nil {
		return pxe.Profile{}, pxe.ErrNoProfile
	}
	return *p.Default, nil
}
