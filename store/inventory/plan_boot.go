package inventory

import (
	"net/netip"

	"github.com/gomaas/maas/pxe"
)

// NodeBoot is what is said of the boots of one machine or device.
type NodeBoot struct {
	// Profile is what it boots wherever it is; nil = what its subnet says.
	Profile *pxe.Profile
	// Options end the kernel command line, whichever profile it is.
	Options string
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
