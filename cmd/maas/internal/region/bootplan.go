package region

import (
	"net/netip"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
)

// bootPlan joins what machines boot with their names and with the proxies of one rack.
type bootPlan struct {
	model   *inventory.Model
	proxies inventory.ProxyURLs
}

func newBootPlan(m *inventory.Model, proxies inventory.ProxyURLs) *bootPlan {
	return &bootPlan{model: m, proxies: proxies}
}

// bootContent is what a rack tells machines to boot.
func bootContent(m *inventory.Model, rack inventory.Rack, proxies inventory.ProxyURLs) pxerpc.Content {
	p := newBootPlan(m, proxies)
	fallback := m.DefaultProfile()
	return pxerpc.Content{Default: withProxy(fallback, p.proxies.Of(0)), Machines: p.machines(m.Nodes()), Networks: p.networks(rack, fallback)}
}

// networks are those of which there is something to say: boot servers, or a profile that is not the default one.
func (p *bootPlan) networks(rack inventory.Rack, fallback *pxe.Profile) []pxerpc.Network {
	servers := make(map[netip.Prefix][]netip.Addr)
	for _, n := range inventory.PlanBootServers(p.model, rack) {
		servers[n.Prefix] = n.Servers
	}
	var out []pxerpc.Network
	for i := range p.model.Subnets {
		s := &p.model.Subnets[i]
		n := pxerpc.Network{Prefix: s.Prefix, Servers: servers[s.Prefix]}
		proxy := p.proxies.Of(s.VLANID)
		if own := p.model.SubnetProfile(s); own != nil {
			n.Profile = withProxy(own, proxy)
		} else if proxy != p.proxies.Of(0) {
			n.Profile = withProxy(fallback, proxy)
		}
		if n.Servers != nil || n.Profile != nil {
			out = append(out, n)
		}
	}
	return out
}

func (p *bootPlan) machines(nodes []inventory.PlannedNode) []pxerpc.Machine {
	out := make([]pxerpc.Machine, 0, len(nodes))
	for _, n := range nodes {
		boot := p.model.BootOf(n)
		for _, i := range n.Interfaces {
			if len(i.MAC) > 0 {
				own := withProxy(boot.Profile, p.proxies.Of(i.VLANID))
				out = append(out, pxerpc.Machine{MAC: i.MAC, Name: n.Hostname, Profile: own, Options: boot.Options})
			}
		}
	}
	return out
}
