package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// internalTTL is short: machines are to find the racks that serve them now.
const internalTTL = 15

// internalDomain is the domain with a name for the racks of each subnet. Machines are given such a
// name for services that either of two racks may provide. It is "" if other servers serve the
// domain.
func internalDomain(m *inventory.Model) string {
	name := cmp.Or(m.Settings[setting.InternalDomain], setting.DefaultInternalDomain)
	if isExternal(m, name) {
		return ""
	}
	return name
}

// internalName is the name of a subnet's racks, such as "10-0-0-0--24.maas-internal". IPv6
// addresses are written out: a label does not begin with a hyphen.
func internalName(subnet netip.Prefix, domain string) string {
	host := strings.NewReplacer(".", "-", ":", "-").Replace(subnet.Addr().StringExpanded())
	return fmt.Sprintf("%s--%d.%s", host, subnet.Bits(), domain)
}

// internal names the racks of each subnet whose clients may ask them for names.
func (p *NamePlanner) internal(t touched, m *inventory.Model) {
	domain := internalDomain(m)
	if domain == "" {
		return
	}
	c := claimant{p, t, source{fromService, 0}, false, ""}
	for _, r := range m.Racks {
		for _, n := range BootServers(m, r) {
			if !p.subnets.byPrefix[n.Prefix].DenyDNS {
				c.addr(internalName(n.Prefix, domain), n.Servers[0], false)
			}
		}
	}
}

// sharedName is the name by which clients of a subnet find both racks of its VLAN; "" if the rack
// is alone there, or if clients ask others for names.
func (p *dhcpPlan) sharedName(s *ipam.Subnet) string {
	serving, domain := p.serving(s), internalDomain(p.m)
	asked := !s.Unmanaged && !s.DenyDNS && len(s.DNSServers) == 0 && serving.DHCPMode == ipam.DHCPServe
	if !asked || domain == "" || !p.serves(serving) || len(p.otherRacks(s, serving)) == 0 {
		return ""
	}
	return internalName(s.Prefix, domain)
}
