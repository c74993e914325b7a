package plan

import (
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/failover"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory/setting"
)

// share makes the other rack of a VLAN the partner in a subnet, when that rack serves it as well:
// it must have an address there.
func (p *dhcpPlan) share(sub *dhcpsrv.Subnet, s *ipam.Subnet, serving ipam.VLAN) {
	other := serving.SecondaryRack
	if other == p.rack.Name {
		other = serving.PrimaryRack
	}
	// Two racks that share one address, as with VRRP, are one server to clients: they cannot split
	// the load.
	servers := p.otherRacks(s, serving)
	if other == "" || len(servers) == 0 || servers[0] == sub.Server {
		return
	}
	sub.Partner, sub.PartnerServer, sub.Secondary = other, servers[0], serving.SecondaryRack == p.rack.Name
}

// partners are the racks that the subnets name, each with all its addresses: first those in the
// shared subnets, where nothing is in between.
func (p *dhcpPlan) partners(subnets []dhcpsrv.Subnet) (out []failover.Partner) {
	for _, s := range subnets {
		if s.Partner == "" {
			continue
		}
		at := slices.IndexFunc(out, func(o failover.Partner) bool { return o.Name == s.Partner })
		if at < 0 {
			at = len(out)
			out = append(out, failover.Partner{Name: s.Partner, Self: p.rack.Name, TakeoverAfter: p.takeover()})
		}
		out[at].Addrs = appendNew(out[at].Addrs, s.PartnerServer)
	}
	for i := range out {
		for _, r := range p.m.Racks {
			for _, l := range r.Links {
				for _, a := range l.Addrs {
					// Link-local addresses need a zone, which means nothing on another host.
					if r.Name == out[i].Name && !a.Addr().IsLoopback() && !a.Addr().IsLinkLocalUnicast() {
						out[i].Addrs = appendNew(out[i].Addrs, a.Addr())
					}
				}
			}
		}
	}
	return out
}

func appendNew(addrs []netip.Addr, a netip.Addr) []netip.Addr {
	if slices.Contains(addrs, a) {
		return addrs
	}
	return append(addrs, a)
}

// takeover is the time that a rack has to be away before its partner uses its addresses.
func (p *dhcpPlan) takeover() time.Duration {
	return time.Duration(p.m.SettingNumber(setting.Takeover, int(failover.DefaultTakeover/time.Second))) * time.Second
}
