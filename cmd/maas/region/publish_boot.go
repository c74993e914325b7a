package region

import (
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// proxyVariable is the variable of boot profiles' command lines that holds the machine's proxy.
const proxyVariable = "http_proxy"

// bootPlanner plans boot profiles. The objects of machines are the same for all racks and are
// encoded once; the objects of networks differ, since each rack names itself as boot server.
type bootPlanner struct {
	model    *inventory.Model
	machines map[string][]byte // objects of all machines; nil until the first rack needs them
}

// all returns the objects of all machines. Callers must not modify the map.
func (p *bootPlanner) all() (_ map[string][]byte, err error) {
	if p.machines == nil {
		p.machines, err = pxerpc.Objects(pxerpc.Content{Machines: bootMachines(p.model, plan.Nodes(p.model))})
	}
	return p.machines, err
}

// change returns the difference in boot profiles that a change of machines and devices makes.
func (p *bootPlanner) change(nodes *plan.ChangedNodes) (c objectsChange, err error) {
	c.upserts, c.deletes, err = pxerpc.MachineObjects(bootMachines(p.model, nodes.Before), bootMachines(p.model, nodes.After))
	if err != nil {
		err = fmt.Errorf("plan of what machines boot: %w", err)
	}
	return c, err
}

// objects returns a rack's objects of no machine: the default profile, and the networks.
func (p *bootPlanner) objects(rack inventory.Rack) (map[string][]byte, error) {
	proxies := plan.ProxyURLsOf(p.model, rack)
	return pxerpc.Objects(pxerpc.Content{
		Default: p.model.DefaultProfile(), Vars: map[string]string{proxyVariable: proxies.Anywhere}, Networks: p.networks(rack, proxies),
	})
}

// networks returns the networks that differ from the default: by boot servers, profile or proxy.
func (p *bootPlanner) networks(rack inventory.Rack, proxies plan.ProxyURLs) []pxerpc.Network {
	servers := make(map[netip.Prefix][]netip.Addr)
	for _, n := range plan.BootServers(p.model, rack) {
		servers[n.Prefix] = n.Servers
	}
	var out []pxerpc.Network
	for i := range p.model.Subnets {
		s := &p.model.Subnets[i]
		n := pxerpc.Network{Prefix: s.Prefix, Servers: servers[s.Prefix], Profile: plan.SubnetProfile(p.model, s)}
		if url, known := proxies.Subnets[s.Prefix]; known && url != proxies.Anywhere {
			n.Vars = map[string]string{proxyVariable: url}
		}
		if n.Servers != nil || n.Profile != nil || n.Vars != nil {
			out = append(out, n)
		}
	}
	return out
}

// bootMachines returns an object for each link address of the nodes: firmware may boot from any of
// them.
func bootMachines(m *inventory.Model, nodes []plan.PlannedNode) []pxerpc.Machine {
	out := make([]pxerpc.Machine, 0, len(nodes))
	for _, n := range nodes {
		boot := plan.BootOf(m, n)
		for _, i := range n.Interfaces {
			if len(i.MAC) > 0 {
				out = append(out, pxerpc.Machine{MAC: i.MAC, Name: n.Hostname, Profile: boot.Profile, Options: boot.Options})
			}
		}
	}
	return out
}
