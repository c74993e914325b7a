package region

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// sentNodes holds the last publication of networks, to compare the next one with it.
type sentNodes struct {
	inputs   *plan.NodeInputs          // nil before the first publication
	networks map[string]networkObjects // by rack
}

// networkObjects are a rack's objects of no machine or device.
type networkObjects struct{ dhcp, boot map[string][]byte }

// nodesPlan publishes DHCP and boot state after a change of networks. A site has few networks and
// many machines, so racks for whose machines nothing changes get the networks alone, in time
// proportional to them.
type nodesPlan struct {
	region    *Region
	model     *inventory.Model
	last, now sentNodes
	boot      bootPlanner
	changed   *plan.ChangedNodes // nil = the plan of any machine may differ
	boots     bootChanges        // of changed
}

// objectsChange holds the arguments of State.Change.
type objectsChange struct {
	upserts map[string][]byte
	deletes []string
}

// publishNodes plans for the racks. changes is nil unless all racks were sent the last plan.
func (r *Region) publishNodes(m *inventory.Model, changes *inventory.Changes) (err error) {
	p := &nodesPlan{
		region: r, model: m, last: r.published.nodes, now: sentNodes{plan.NodeInputsOf(m), make(map[string]networkObjects)},
		boot: bootPlanner{model: m},
	}
	if changes != nil && p.now.inputs.Equal(p.last.inputs) {
		p.changed = plan.NodesChanged(m, changes)
		p.boots = bootChanges{model: m, nodes: p.changed}
	}
	for _, rack := range m.Racks {
		if err := p.publish(rack); err != nil {
			return fmt.Errorf("plan for rack %s: %w", rack.Name, err)
		}
	}
	r.published.nodes = p.now
	return nil
}

// publish sends a rack its networks, and its machines as far as they differ.
func (p *nodesPlan) publish(rack inventory.Rack) (err error) {
	var n networkObjects
	if n.dhcp, err = dhcprpc.Objects(plan.DHCPNetworks(p.model, rack), plan.Advertisements(p.model, rack)); err != nil {
		return err
	}
	if n.boot, err = p.boot.objects(rack); err != nil {
		return err
	}
	p.now.networks[rack.Name] = n
	last, sent := p.last.networks[rack.Name]
	if !sent || p.changed == nil || !p.now.inputs.EqualFor(p.last.inputs, rack.Name) {
		return p.whole(rack)
	}
	return p.delta(rack, last)
}

// whole replaces all that a rack has of both topics. DHCP precedes boot files, as a machine asks
// for them in this order.
func (p *nodesPlan) whole(rack inventory.Rack) error {
	dhcp, err := dhcprpc.Objects(plan.DHCP(p.model, rack), plan.Advertisements(p.model, rack))
	if err != nil {
		return err
	}
	machines, err := p.boot.all(p.model.Assignment(rack))
	if err != nil {
		return err
	}
	networks := p.now.networks[rack.Name].boot
	boot := make(map[string][]byte, len(machines)+len(networks))
	maps.Copy(boot, machines)
	maps.Copy(boot, networks)
	state := p.region.rpc.State(rack.Name)
	p.region.sent(rack.Name, dhcprpc.Topic, len(dhcp), state.Set(dhcprpc.Topic, dhcp))
	p.region.sent(rack.Name, pxerpc.Topic, len(boot), state.Set(pxerpc.Topic, boot))
	return nil
}

// delta sends a rack its networks and the machines that changed since its last publication.
func (p *nodesPlan) delta(rack inventory.Rack, last networkObjects) (err error) {
	var reservations objectsChange
	if reservations.upserts, reservations.deletes, err = dhcprpc.ReservationObjects(p.changed.Reservations(rack)); err != nil {
		return err
	}
	now := p.now.networks[rack.Name]
	p.change(rack, dhcprpc.Topic, reservations.with(now.dhcp, last.dhcp))
	boots, err := p.boots.of(p.model.Assignment(rack))
	if err != nil {
		return err
	}
	p.change(rack, pxerpc.Topic, boots.with(now.boot, last.boot))
	return nil
}

// change sends a change of one topic.
func (p *nodesPlan) change(rack inventory.Rack, topic string, c objectsChange) {
	p.region.sent(rack.Name, topic, len(c.upserts)+len(c.deletes), p.region.rpc.State(rack.Name).Change(topic, c.upserts, c.deletes))
}

// with adds the networks to a change: all of them as upserts, since a state drops what is equal to
// what it has, and removed ones as deletes.
func (c objectsChange) with(now, last map[string][]byte) objectsChange {
	sum := objectsChange{make(map[string][]byte, len(now)+len(c.upserts)), slices.Clone(c.deletes)}
	maps.Copy(sum.upserts, now)
	maps.Copy(sum.upserts, c.upserts)
	for key := range last {
		if now[key] == nil {
			sum.deletes = append(sum.deletes, key)
		}
	}
	return sum
}
