package plan

import (
	"slices"

	"github.com/gomaas/maas/dhcpsrv"
	"github.com/gomaas/maas/store/inventory"
)

// ChangedNodes holds the machines and devices that changed, before and after, and those that share
// link addresses with them, directly or through others: all that plans need when nothing else
// changed.
type ChangedNodes struct {
	Before, After []PlannedNode
	m             *inventory.Model
	macs          map[string]bool // as bytes
}

// PlannedNode is a machine or device as plans see it.
type PlannedNode struct {
	Hostname   string
	Interfaces []inventory.Interface
	Machine    *inventory.Machine // nil for a device
	id         int64
}

// NodesChanged returns in what the nodes of a model differ from what they were by c, which Follow
// returned for it and which is not nil. It looks at all nodes once, and once more at most for each
// that shares link addresses.
func NodesChanged(m *inventory.Model, c *inventory.Changes) *ChangedNodes {
	n := &ChangedNodes{m: m, macs: make(map[string]bool)}
	changed := make(map[int64]bool)
	before, after := plannedNodes(&c.Before, everyNode), plannedNodes(&c.After, everyNode)
	for _, node := range append(before, after...) {
		changed[node.id] = true
		n.add(node)
	}
	if len(changed) == 0 {
		return n
	}
	// A link address, which bridges may share, has one reservation in a subnet. A node that shares
	// one with a changed node may so get that node's reservation, also for its further addresses,
	// which it may share with other nodes.
	for known := 0; known < len(n.macs); {
		known = len(n.macs)
		n.After = plannedNodes(part(m), n.has)
		for _, node := range n.After {
			n.add(node)
		}
	}
	n.Before = before
	for _, node := range n.After {
		if !changed[node.id] {
			n.Before = append(n.Before, node)
		}
	}
	return n
}

func (n *ChangedNodes) add(node PlannedNode) {
	for _, i := range node.Interfaces {
		n.macs[string(i.MAC)] = true
	}
}

func (n *ChangedNodes) has(interfaces []inventory.Interface) bool {
	return slices.ContainsFunc(interfaces, func(i inventory.Interface) bool { return n.macs[string(i.MAC)] })
}

func everyNode([]inventory.Interface) bool { return true }

// Nodes returns the machines, then the devices.
func Nodes(m *inventory.Model) []PlannedNode { return plannedNodes(part(m), everyNode) }

func part(m *inventory.Model) *inventory.Part {
	return &inventory.Part{Machines: m.Machines, Devices: m.Devices, Orphans: m.Orphans, Records: m.Records}
}

func plannedNodes(p *inventory.Part, wanted func([]inventory.Interface) bool) []PlannedNode {
	var out []PlannedNode
	for i := range p.Machines {
		if n := &p.Machines[i]; wanted(n.Interfaces) {
			out = append(out, PlannedNode{n.Hostname, n.Interfaces, n, n.ID})
		}
	}
	for i := range p.Devices {
		if n := &p.Devices[i]; wanted(n.Interfaces) {
			out = append(out, PlannedNode{n.Hostname, n.Interfaces, nil, n.ID})
		}
	}
	return out
}

// Reservations returns the reservations of a rack that may differ, as they were and as they are.
func (n *ChangedNodes) Reservations(rack inventory.Rack) (before, after []dhcpsrv.Reservation) {
	if len(n.macs) == 0 {
		return nil, nil
	}
	return n.reservations(rack, n.Before), n.reservations(rack, n.After)
}

func (n *ChangedNodes) reservations(rack inventory.Rack, nodes []PlannedNode) []dhcpsrv.Reservation {
	p := newDHCPPlan(n.m, rack)
	served := p.served()
	if len(served) == 0 {
		return nil
	}
	l := newReservationList(p, served)
	for _, node := range nodes {
		l.node(node)
	}
	for _, r := range n.m.Reserved {
		if n.macs[string(r.MAC)] {
			l.reserved(r)
		}
	}
	return l.sorted()
}
