package region

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// proxyVariable is the variable of boot profiles' command lines that holds the machine's proxy.
const proxyVariable = "http_proxy"

// bootPlanner plans boot profiles. A machine's object is the same for all racks that hold it, and
// is encoded once; the objects of networks differ, since each rack names itself as boot server.
type bootPlanner struct {
	model    *inventory.Model
	nodes    []plan.PlannedNode
	machines map[string][]byte // objects of all machines; nil until the first rack needs them
}

// all returns the objects of the machines that a rack may serve: what a machine boots may hold
// secrets. Callers must not modify the map.
func (p *bootPlanner) all(a inventory.Assignment) (_ map[string][]byte, err error) {
	if p.machines == nil {
		p.nodes = plan.Nodes(p.model)
		if p.machines, err = pxerpc.Objects(pxerpc.Content{Machines: bootMachines(p.model, p.nodes)}); err != nil {
			return nil, err
		}
	}
	claimed := claimedBy(a, p.nodes)
	if len(claimed) == len(p.nodes) {
		return p.machines, nil
	}
	out := make(map[string][]byte)
	for _, n := range claimed {
		for _, i := range n.Interfaces {
			if key := pxerpc.MachineKey(i.MAC); p.machines[key] != nil {
				out[key] = p.machines[key]
			}
		}
	}
	return out, nil
}

// claimedBy returns the nodes that a rack with this assignment may serve, the list itself if all.
func claimedBy(a inventory.Assignment, nodes []plan.PlannedNode) []plan.PlannedNode {
	// A machine that no administrator took up yet is where it boots.
	claims := func(n *plan.PlannedNode) bool {
		return a.Claims(n.Interfaces) || len(a.Networks) > 0 && n.Machine != nil && n.Machine.Status == inventory.StatusNew
	}
	for i := range nodes {
		if claims(&nodes[i]) {
			continue
		}
		out := slices.Clone(nodes[:i])
		for j := range nodes[i+1:] {
			if n := &nodes[i+1+j]; claims(n) {
				out = append(out, *n)
			}
		}
		return out
	}
	return nodes
}

// bootChanges plans the difference in boot profiles that a change of machines and devices makes. It
// is encoded once for all racks that hold all of these machines.
type bootChanges struct {
	model *inventory.Model
	nodes *plan.ChangedNodes
	whole *objectsChange // nil until a rack needs it
}

// of returns the difference for a rack.
func (p *bootChanges) of(a inventory.Assignment) (objectsChange, error) {
	before, after := claimedBy(a, p.nodes.Before), claimedBy(a, p.nodes.After)
	all := len(before) == len(p.nodes.Before) && len(after) == len(p.nodes.After)
	if all && p.whole != nil {
		return *p.whole, nil
	}
	var c objectsChange
	var err error
	c.upserts, c.deletes, err = pxerpc.MachineObjects(bootMachines(p.model, before), bootMachines(p.model, after))
	if err != nil {
		return c, fmt.Errorf("plan of what machines boot: %w", err)
	}
	if all {
		p.whole = &c
	}
	return c, nil
}

// objects returns a rack's objects of no machine: the default profile, and the networks.
func (p *bootPlanner) objects(rack inventory.Rack) (map[string][]byte, error) {
	if p.model.Assignment(rack).Empty() {
		return nil, nil
	}
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
				out = append(out, pxerpc.Machine{MAC: i.MAC, Name: n.Hostname, Profile: boot.Profile, Options: boot.Options, Loader: boot.Loader, Configured: boot.Configured})
			}
		}
	}
	return out
}
