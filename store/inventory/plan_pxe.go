package inventory

import (
	"context"
	"net/netip"
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
	p := BootPlan{Default: m.DefaultProfile(), ByMAC: make(map[string]pxe.Profile)}
	for _, n := range m.Nodes() {
		own := m.ProfileOf(n, p.Default)
		if own == nil {
			continue
		}
		for _, iface := range n.Interfaces {
			if len(iface.MAC) > 0 {
				p.ByMAC[iface.MAC.String()] = *own
			}
		}
	}
	return p
}

// DefaultProfile returns what machines without a profile boot; nil = nothing.
func (m *Model) DefaultProfile() *pxe.Profile {
	p, err := parseProfile(m.Settings[SettingBootProfile])
	if err != nil {
		return nil
	}
	return p
}

// ProfileOf returns what a machine or device boots where it is not what
// DefaultProfile returned; nil = it is.
func (m *Model) ProfileOf(n PlannedNode, fallback *pxe.Profile) *pxe.Profile {
	if n.Machine == nil {
		return &pxe.Profile{Name: "device", Kind: pxe.Local}
	}
	if opts := m.kernelOpts(n.Machine); opts != "" {
		return withOptions(n.Machine.Profile, fallback, opts)
	}
	return n.Machine.Profile
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

// BootNetwork is where the machines of a subnet find boot servers.
type BootNetwork struct {
	Prefix  netip.Prefix
	Servers []netip.Addr // this rack's address first
}

// PlanBootServers returns the boot servers of the subnets that a rack serves:
// its own, then those of the other rack of the VLAN.
func PlanBootServers(m *Model, rack Rack) []BootNetwork {
	p := newDHCPPlan(m, rack)
	var out []BootNetwork
	for i := range m.Subnets {
		s := &m.Subnets[i]
		if s.Unmanaged {
			continue
		}
		if sub, ok := p.subnet(s); ok {
			out = append(out, BootNetwork{s.Prefix, append([]netip.Addr{sub.Server}, p.otherRacks(s, p.serving(s))...)})
		}
	}
	return out
}
