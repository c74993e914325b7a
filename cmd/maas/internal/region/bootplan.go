package region

import (
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
)

// bootPlan joins what machines boot with their names and with the proxies of one rack.
type bootPlan struct {
	fallback *pxe.Profile
	model    *inventory.Model
	proxies  inventory.ProxyURLs
}

func newBootPlan(m *inventory.Model, proxies inventory.ProxyURLs) *bootPlan {
	return &bootPlan{fallback: m.DefaultProfile(), model: m, proxies: proxies}
}

// bootContent is what a rack tells machines to boot.
func bootContent(m *inventory.Model, rack inventory.Rack, proxies inventory.ProxyURLs) pxerpc.Content {
	p := newBootPlan(m, proxies)
	c := pxerpc.Content{Default: withProxy(p.fallback, p.proxies.Of(0)), Machines: p.machines(m.Nodes())}
	for _, n := range inventory.PlanBootServers(m, rack) {
		c.Networks = append(c.Networks, pxerpc.Network(n))
	}
	return c
}

func (p *bootPlan) machines(nodes []inventory.PlannedNode) []pxerpc.Machine {
	out := make([]pxerpc.Machine, 0, len(nodes))
	for _, n := range nodes {
		own := p.model.ProfileOf(n, p.fallback)
		for _, i := range n.Interfaces {
			if len(i.MAC) == 0 {
				continue
			}
			machine := pxerpc.Machine{MAC: i.MAC, Name: n.Hostname}
			if proxy := p.proxies.Of(i.VLANID); own != nil {
				machine.Profile = withProxy(own, proxy)
			} else if p.fallback != nil && proxy != p.proxies.Of(0) {
				machine.Profile = withProxy(p.fallback, proxy)
			}
			out = append(out, machine)
		}
	}
	return out
}
