package plan

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// NodeBoot holds the boot settings of one machine or device.
type NodeBoot struct {
	// Profile is its boot profile on every network; nil = its subnet's.
	Profile *pxe.Profile
	// Options end the kernel command line, whichever profile it is.
	Options string
	// Loader is the path of the loader that its firmware started last; "" = not known.
	Loader string
	// Configured: it boots its disk, unless the profile is for always.
	Configured bool
}

// BootOf returns what is said of the boots of a machine or device.
func BootOf(m *inventory.Model, n PlannedNode) NodeBoot {
	// A device is not the site's to boot: an operating system on its disk must not be lost.
	if n.Machine == nil {
		return NodeBoot{Profile: &pxe.Profile{Name: "device", Kind: pxe.Local}}
	}
	p, _ := machineProfile(m, n.Machine)
	return NodeBoot{Profile: p, Options: kernelOpts(m, n.Machine), Loader: n.Machine.Loader, Configured: bootsDisk(m, n.Machine)}
}

// bootsDisk reports whether a machine boots its disk since its system is configured.
func bootsDisk(m *inventory.Model, x *inventory.Machine) bool {
	return !x.Configured.IsZero() && m.Settings[setting.BootConfigured] != setting.BootConfiguredProfile
}

// BootNetwork lists the boot servers of a subnet.
type BootNetwork struct {
	Prefix  netip.Prefix
	Servers []netip.Addr // this rack's address first
}

// BootServers returns the boot servers of the subnets that a rack serves: its own addresses first,
// then the other rack of the VLAN.
func BootServers(m *inventory.Model, rack inventory.Rack) []BootNetwork {
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

// machineProfile returns a machine's profile on every network and the rule that chose it; nil = the
// subnet decides.
func machineProfile(m *inventory.Model, x *inventory.Machine) (p *pxe.Profile, by string) {
	if x.Profile != nil {
		return x.Profile, "the machine's own"
	}
	return tagProfile(m, x.Tags)
}

// SubnetProfile returns what machines boot in a subnet that have none of their own or of their
// tags; nil = the default.
func SubnetProfile(m *inventory.Model, s *ipam.Subnet) *pxe.Profile {
	p, _ := subnetProfile(m, s)
	return p
}

func subnetProfile(m *inventory.Model, s *ipam.Subnet) (p *pxe.Profile, by string) {
	if own, ok := m.Profiles[inventory.BootTarget{SubnetID: s.ID}]; ok {
		return &own, "subnet " + s.Prefix.String()
	}
	p, by = tagProfile(m, m.SubnetTags[s.ID])
	return p, by + " of subnet " + s.Prefix.String()
}

// tagProfile is the profile of the first of the site's tags that has one and is among the names.
func tagProfile(m *inventory.Model, names []string) (p *pxe.Profile, by string) {
	// In the order of the site's tags, the oldest first, whatever the order of the names is.
	for _, t := range m.Tags {
		if of, ok := m.Profiles[inventory.BootTarget{TagID: t.ID}]; ok && slices.Contains(names, t.Name) {
			return &of, "tag " + t.Name
		}
	}
	return nil, ""
}

// BootRule says what decides over the profile of a machine that boots from an address of a subnet:
// such as "tag lab", "subnet 10.0.0.0/24" or "the site's default"; "" = it has none. A nil machine
// is one that is not known, a nil subnet likewise.
func BootRule(m *inventory.Model, x *inventory.Machine, s *ipam.Subnet) string {
	by, profile := bootRule(m, x, s)
	if x != nil && bootsDisk(m, x) && profile != nil && !profile.Always {
		return "its system is configured, so that it boots its disk (maas machine reinstall has it boot by " + by + ")"
	}
	return by
}

func bootRule(m *inventory.Model, x *inventory.Machine, s *ipam.Subnet) (by string, p *pxe.Profile) {
	if x != nil {
		if p, by := machineProfile(m, x); p != nil {
			return by, p
		}
	}
	if s != nil {
		if p, by := subnetProfile(m, s); p != nil {
			return by, p
		}
	}
	if p := m.DefaultProfile(); p != nil {
		return "the site's default", p
	}
	return "", nil
}

// kernelOpts returns the kernel options that a machine gets from the site and from its tags.
func kernelOpts(m *inventory.Model, machine *inventory.Machine) string {
	// The last occurrence of an option counts for the kernel, so tags follow the site.
	opts := []string{m.Settings[setting.KernelOpts]}
	for _, t := range m.Tags {
		for _, name := range machine.Tags {
			if name == t.Name {
				opts = append(opts, t.KernelOpts)
			}
		}
	}
	return strings.Join(strings.Fields(strings.Join(opts, " ")), " ")
}
