package inventory

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

var interfaces = table[ipam.Interface]{
	kind: kinds.Interface, name: "interface", cols: []string{"node_id", "name", "kind", "mac", "vlan_id", "parents", "params", "boot", "enabled", "tags"},
	id: func(i *ipam.Interface) *int64 { return &i.ID }, version: func(i *ipam.Interface) *int64 { return &i.Version },
	label: func(i *ipam.Interface) string { return i.Name },
	fields: func(i *ipam.Interface) []any {
		return []any{asRef{&i.NodeID}, &i.Name, asInt[ipam.InterfaceKind]{&i.Kind}, asMAC{&i.MAC}, asRef{&i.VLANID}, asJSON{&i.Parents}, asJSON{&i.Params}, &i.Boot, &i.Enabled, asJSON{&i.Tags}}
	},
}

// interfacesWhere reads interfaces with their links, by node.
func interfacesWhere(ctx context.Context, tx *store.Tx, where string, args ...any) (map[int64][]Interface, error) {
	rows, err := interfaces.list(ctx, tx, where, args...)
	if err != nil {
		return nil, err
	}
	links, err := allocations.list(ctx, tx, "interface_id IN (SELECT id FROM interface WHERE "+where+")", args...)
	if err != nil {
		return nil, err
	}
	byInterface := make(map[int64][]ipam.Allocation)
	for _, l := range links {
		byInterface[l.InterfaceID] = append(byInterface[l.InterfaceID], l.Allocation)
	}
	byNode := make(map[int64][]Interface)
	for _, i := range rows {
		byNode[i.NodeID] = append(byNode[i.NodeID], Interface{i, byInterface[i.ID]})
	}
	return byNode, nil
}

// insertInterfaces adds the interfaces of a new node.
func insertInterfaces(ctx context.Context, tx *store.Tx, n *node) error {
	boots := false
	for _, i := range n.Interfaces {
		boots = boots || i.Boot
	}
	for k := range n.Interfaces {
		i := n.Interfaces[k].Interface
		i.ID, i.NodeID = 0, n.ID
		if i.Name == "" {
			i.Name = fmt.Sprintf("eth%d", k)
		}
		if !boots && k == 0 {
			i.Boot = true
		}
		if err := insertInterface(ctx, tx, &i); err != nil {
			return err
		}
	}
	return nil
}

// insertInterface adds an interface. If its link address was seen before, on no node, the observed
// interface becomes this one and keeps its addresses.
func insertInterface(ctx context.Context, tx *store.Tx, i *ipam.Interface) error {
	parents, err := parentsOf(ctx, tx, i)
	if err != nil {
		return err
	}
	if err := i.Validate(parents); err != nil {
		return err
	}
	if i.Kind == ipam.Physical {
		seen, err := interfaces.one(ctx, tx, i.MAC.String(), "mac = ? AND kind = ?", i.MAC.String(), int64(ipam.Unknown))
		if err == nil {
			i.ID, i.Version = seen.ID, seen.Version
			if i.VLANID == 0 {
				i.VLANID = seen.VLANID
			}
			return interfaces.update(ctx, tx, i)
		} else if !notFound(err) {
			return err
		}
	}
	if err := macFree(ctx, tx, *i); err != nil {
		return err
	}
	return nameTaken(i, interfaces.insert(ctx, tx, i))
}

// nameTaken is err, or says that the name is in the way: link addresses were looked for before.
func nameTaken(i *ipam.Interface, err error) error {
	return taken(err, kinds.Interface, fmt.Sprintf("name %s on its machine, or MAC %s", i.Name, i.MAC))
}

// parentsOf reads an interface's parents, fills in what the interface takes from them, and checks
// that its VLAN exists.
func parentsOf(ctx context.Context, tx *store.Tx, i *ipam.Interface) ([]ipam.Interface, error) {
	if i.VLANID != 0 {
		if _, err := vlans.get(ctx, tx, i.VLANID); err != nil {
			return nil, err
		}
	}
	var parents []ipam.Interface
	for _, id := range i.Parents {
		p, err := interfaces.get(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		parents = append(parents, p)
	}
	// Linux gives bonds, bridges and VLAN interfaces the link address of their first parent.
	if len(parents) > 0 && len(i.MAC) == 0 {
		i.MAC = parents[0].MAC
	}
	if i.Kind == ipam.VLANInterface && i.Name == "" && len(parents) == 1 && i.VLANID != 0 {
		v, err := vlans.get(ctx, tx, i.VLANID)
		if err != nil {
			return nil, err
		}
		i.Name = fmt.Sprintf("%s.%d", parents[0].Name, v.VID)
	}
	return parents, nil
}

// macFree refuses a physical interface whose link address another has, naming it.
func macFree(ctx context.Context, tx *store.Tx, i ipam.Interface) error {
	if i.Kind != ipam.Physical {
		return nil // see parentsOf
	}
	const query = "SELECT n.hostname FROM interface i JOIN node n ON n.id = i.node_id WHERE i.mac = ? AND i.kind = ? AND i.id <> ?"
	by, err := namesOf(ctx, tx, "", query, i.MAC.String(), int64(ipam.Physical), i.ID)
	if err != nil || len(by) == 0 {
		return err
	}
	return &ExistsError{kinds.Interface, fmt.Sprintf("MAC %s (of %s)", i.MAC, by[0])}
}

func hasParent(i ipam.Interface, id int64) bool {
	for _, p := range i.Parents {
		if p == id {
			return true
		}
	}
	return false
}

// Interface returns an interface with its links.
func (inv *Inventory) Interface(ctx context.Context, id int64) (i Interface, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		byNode, err := interfacesWhere(ctx, tx, "id = ?", id)
		if err != nil {
			return err
		}
		for _, is := range byNode {
			i = is[0]
			return nil
		}
		return &NotFoundError{kinds.Interface, fmt.Sprint(id)}
	})
	return i, err
}

// touch notes that something that belongs to the node has changed.
func (n *node) touch(ctx context.Context, tx *store.Tx) error { return touchNode(ctx, tx, n.ID) }

// touchNode puts a node into the change feed; 0 = no node.
func touchNode(ctx context.Context, tx *store.Tx, id int64) error {
	if id == 0 {
		return nil
	}
	var kind string
	if err := tx.Get(ctx, "SELECT kind FROM node WHERE id = ?", []any{id}, &kind); err != nil {
		return err
	}
	tx.Changed(kind, id, store.Updated)
	return nil
}

// interfaceIDs returns the interfaces with a link address.
func interfaceIDs(ctx context.Context, tx *store.Tx, mac net.HardwareAddr) (map[int64]bool, error) {
	all, err := interfaces.list(ctx, tx, "mac = ?", strings.ToLower(mac.String()))
	ids := make(map[int64]bool, len(all))
	for _, i := range all {
		ids[i.ID] = true
	}
	return ids, err
}

// Interface is a network interface with its links.
type Interface struct {
	ipam.Interface
	Links []ipam.Allocation // addresses and links, observed ones included
}

// interfaceCollection is the collection of the interfaces of machines and devices, without their
// links. An interface stays with its machine. It is deleted with its addresses and the VLAN
// interfaces on it; one that a bond or bridge is made of stays.
func (inv *Inventory) interfaceCollection() *Collection[ipam.Interface] {
	c := collect(inv, interfaces, rules[ipam.Interface]{})
	c.ops.insert = createInterface
	c.ops.update = updateInterface
	c.ops.delete = inv.deleteInterface
	return c
}

func createInterface(ctx context.Context, tx *store.Tx, i *ipam.Interface) error {
	n, err := nodes.get(ctx, tx, i.NodeID)
	if err != nil {
		return err
	}
	if err := insertInterface(ctx, tx, i); err != nil {
		return err
	}
	return n.touch(ctx, tx)
}

func updateInterface(ctx context.Context, tx *store.Tx, i *ipam.Interface) error {
	old, err := interfaces.current(ctx, tx, i)
	if err != nil {
		return err
	}
	i.NodeID = old.NodeID
	parents, err := parentsOf(ctx, tx, i)
	if err != nil {
		return err
	}
	if err := i.Validate(parents); err != nil {
		return err
	}
	if err := macFree(ctx, tx, *i); err != nil {
		return err
	}
	if err := nameTaken(i, interfaces.update(ctx, tx, i)); err != nil {
		return err
	}
	return touchNode(ctx, tx, i.NodeID)
}

func (inv *Inventory) deleteInterface(ctx context.Context, tx *store.Tx, id int64) error {
	i, err := interfaces.get(ctx, tx, id)
	if err != nil {
		return err
	}
	siblings, err := interfaces.list(ctx, tx, "node_id = ?", i.NodeID)
	if err != nil {
		return err
	}
	for _, s := range siblings {
		if !hasParent(s, id) {
			continue
		}
		// A VLAN interface is nothing without its parent; a bond may have other members.
		if s.Kind != ipam.VLANInterface {
			return &InUseError{Kind: kinds.Interface, Name: i.Name, By: []string{s.Kind.String() + " " + s.Name}}
		}
		if err := inv.deleteInterface(ctx, tx, s.ID); err != nil {
			return err
		}
	}
	if err := inv.releaseWhere(ctx, tx, "interface_id = ?", id); err != nil {
		return err
	}
	if err := interfaces.delete(ctx, tx, id); err != nil {
		return err
	}
	return touchNode(ctx, tx, i.NodeID)
}

// SetDefaultGateway makes the gateway of a link's subnet the one through which its machine reaches
// the rest of the world; the link is an allocation of one of the machine's interfaces. 0 takes the
// choice back, for both families.
func (inv *Inventory) SetDefaultGateway(ctx context.Context, machine, link int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := nodeOf(ctx, tx, kinds.Machine, machine)
		if err != nil {
			return err
		}
		n.changed(tx, store.Updated)
		if link == 0 {
			_, err := tx.Exec(ctx, "DELETE FROM default_gateway WHERE node_id = ?", machine)
			return err
		}
		a, err := allocations.get(ctx, tx, link)
		if err != nil {
			return err
		}
		family, err := gatewayFamily(ctx, tx, n, a.Allocation)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM default_gateway WHERE node_id = ? AND family = ?", machine, family); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO default_gateway (node_id, family, allocation_id) VALUES (?, ?, ?)", machine, family, link)
		return err
	})
}

// gatewayFamily is 4 or 6; the error says why the link has no gateway for the machine.
func gatewayFamily(ctx context.Context, tx *store.Tx, n node, a ipam.Allocation) (int64, error) {
	var owner int64
	if err := tx.Get(ctx, "SELECT COALESCE(node_id, 0) FROM interface WHERE id = ?", []any{a.InterfaceID}, &owner); err != nil && !notFound(err) {
		return 0, err
	}
	if owner != n.ID || a.SubnetID == 0 {
		return 0, invalid(kinds.Machine, n.Hostname, "link_id", "is not a link of the machine to a subnet")
	}
	s, err := subnets.get(ctx, tx, a.SubnetID)
	if err != nil {
		return 0, err
	}
	if !s.Gateway.IsValid() {
		return 0, invalid(kinds.Machine, n.Hostname, "link_id", fmt.Sprintf("is on subnet %s, which has no gateway", s.Prefix))
	}
	if s.Prefix.Addr().Is6() {
		return 6, nil
	}
	return 4, nil
}
