package inventory

import (
	"context"
	"net/netip"

	"github.com/gomaas/maas/pxe"
)

// BootPlan says what machines boot. It is a pxe.Resolver.
type BootPlan struct {
	// Default is for clients of which nothing else is said; nil = they find nothing.
	Default *pxe.Profile `json:"default,omitempty"`
	// ByMAC has what is known of link addresses.
	ByMAC map[string]NodeBoot `json:"byMAC,omitempty"`
	// Subnets are those that have a profile, their own or that of a tag.
	Subnets []pxe.SubnetRule `json:"subnets,omitempty"`
}

// NodeBoot is what is said of the boots of one machine or device.
type NodeBoot struct {
	// Profile is what it boots wherever it is; nil = what its subnet says.
	Profile *pxe.Profile `json:"profile,omitempty"`
	// Options end the kernel command line, whichever profile it is.
	Options string `json:"options,omitempty"`
}

// PlanPXE returns the profiles of all machines and subnets, and the kernel
// options of the machines' tags and of the site. Devices boot from their
// disks. A default profile that cannot be read is none.
func PlanPXE(m *Model) BootPlan {
	p := BootPlan{Default: m.DefaultProfile(), ByMAC: make(map[string]NodeBoot)}
	for _, n := range m.Nodes() {
		boot := m.BootOf(n)
		for _, iface := range n.Interfaces {
			if len(iface.MAC) > 0 && boot != (NodeBoot{}) {
				p.ByMAC[iface.MAC.String()] = boot
			}
		}
	}
	for i := range m.Subnets {
		if own := m.SubnetProfile(&m.Subnets[i]); own != nil {
			p.Subnets = append(p.Subnets, pxe.SubnetRule{Prefix: m.Subnets[i].Prefix, Profile: own})
		}
	}
	return p
}

// DefaultProfile returns what machines boot of which nothing else is said; nil = nothing.
func (m *Model) DefaultProfile() *pxe.Profile {
	p, err := parseProfile(m.Settings[SettingBootProfile])
	if err != nil {
		return nil
	}
	return p
}

// BootOf returns what is said of the boots of a machine or device.
func (m *Model) BootOf(n PlannedNode) NodeBoot {
	if n.Machine == nil {
		return NodeBoot{Profile: &pxe.Profile{Name: "device", Kind: pxe.Local}}
	}
	p, _ := m.machineProfile(n.Machine)
	return NodeBoot{Profile: p, Options: m.kernelOpts(n.Machine)}
}

// Resolve implements pxe.Resolver.
func (p BootPlan) Resolve(ctx context.Context, r pxe.Request) (pxe.Profile, error) {
	var own NodeBoot
	if len(r.MAC) > 0 {
		own = p.ByMAC[r.MAC.String()]
	}
	if own.Profile != nil {
		return own.Profile.WithOptions(own.Options), nil
	}
	found, err := pxe.Rules{Subnets: p.Subnets, Default: p.Default}.Resolve(ctx, r)
	if err != nil {
		return found, err
	}
	return found.WithOptions(own.Options), nil
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
		if at := p.at(s); at.server.IsValid() {
			out = append(out, BootNetwork{s.Prefix, append([]netip.Addr{at.server}, p.otherRacks(s, at.serving)...)})
		}
	}
	return out
}
