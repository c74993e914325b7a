package plan

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/dhcpsrv/radv"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/setting"
)

// leaseTime6 is the length of IPv6 leases without a snippet for it, as MAAS has it.
const leaseTime6 = 30 * time.Minute

// LeaseTime returns the length of leases of a family without a snippet for it.
func LeaseTime(is6 bool) time.Duration {
	if is6 {
		return leaseTime6
	}
	return dhcpsrv.DefaultLeaseTime
}

// subnet6 completes an IPv6 subnet: DHCPv6 does not carry default routes, other routes or the MTU,
// and the pools begin behind the routers' anycast address.
func (p *dhcpPlan) subnet6(sub dhcpsrv.Subnet, delegated []ipam.PrefixPool) dhcpsrv.Subnet {
	sub.LeaseTime = cmp.Or(sub.LeaseTime, leaseTime6)
	for _, p := range delegated {
		sub.Delegate = append(sub.Delegate, dhcpsrv.PrefixPool{Prefix: p.Prefix, Length: p.Length})
	}
	for i := range sub.Pools {
		// RFC 4291 section 2.6.1: the address with an empty interface ID is every router's.
		if sub.Pools[i].First == sub.Prefix.Masked().Addr() {
			sub.Pools[i].First = sub.Pools[i].First.Next()
		}
	}
	sub.Pools = slices.DeleteFunc(sub.Pools, func(r dhcpsrv.Pool) bool { return r.Last.Less(r.First) })
	return sub
}

// hostOf reports whether an address can be a client's. The first address of an IPv6 subnet belongs
// to all routers, and this rack's own addresses are taken.
func (p *dhcpPlan) hostOf(subnet int64, a netip.Addr) bool {
	s := subnetByID(p.m, subnet)
	if s == nil || a.Is4() {
		return s != nil
	}
	_, own := p.addressIn(p.rack, s.Prefix)
	return a != own && (a != s.Prefix.Masked().Addr() || s.Prefix.Bits() >= 127)
}

// Advertisements returns the router advertisements that a rack sends.
func Advertisements(m *inventory.Model, rack inventory.Rack) []radv.Advertisement {
	p := newDHCPPlan(m, rack)
	return p.advertisements(p.subnets())
}

// advertisements returns one advertisement for each link with a subnet that the setting names.
func (p *dhcpPlan) advertisements(subnets []dhcpsrv.Subnet) (out []radv.Advertisement) {
	named := p.m.SettingList(setting.RouterAdvertisements)
	auto := len(named) == 0 || slices.Contains(named, setting.AdvertiseAuto)
	all := auto || slices.Contains(named, setting.AdvertiseAll)
	var links []string
	for _, s := range subnets {
		if s.Link != "" && !slices.Contains(links, s.Link) && (all || slices.Contains(named, s.Name)) {
			links = append(links, s.Link)
		}
	}
	for _, link := range links {
		a := p.advertisement(link, subnets)
		a.Yield = auto
		out = append(out, a)
	}
	return out
}

func (p *dhcpPlan) advertisement(link string, subnets []dhcpsrv.Subnet) radv.Advertisement {
	a := radv.Advertisement{Link: link}
	for _, s := range subnets {
		if s.Link != link || !s.Prefix.Addr().Is6() {
			continue
		}
		a.Managed = true // the M flag: addresses come from DHCPv6
		a.Prefixes = append(a.Prefixes, s.Prefix)
		model := slices.IndexFunc(p.m.Subnets, func(m ipam.Subnet) bool { return m.Prefix == s.Prefix })
		// Below 1280 a link cannot carry IPv6 (RFC 8200 section 5), and hosts ignore the option.
		if v := p.vlans[p.m.Subnets[model].VLANID]; v.MTU != ipam.DefaultMTU && v.MTU >= 1280 {
			a.MTU = v.MTU
		}
	}
	return a
}
