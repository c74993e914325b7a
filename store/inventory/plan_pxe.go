package inventory

import (
	"context"

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
// default. Devices boot from their disks. A default profile that cannot be
// read is none.
func PlanPXE(m *Model) BootPlan {
	def, err := parseProfile(m.Settings[SettingBootProfile])
	if err != nil {
		def = nil
	}
	p := BootPlan{Default: def, ByMAC: make(map[string]pxe.Profile)}
	for i := range m.Machines {
		own := m.Machines[i].Profile
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
