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

// nodesSent tells, when networks have changed, what is different for machines and devices.
type nodesSent struct {
	basis    *plan.NodesBasis                // of the last plan of networks; nil before the first
	networks map[rackTopic]map[string][]byte // the objects that are of no machine or device
}

type rackTopic struct{ rack, topic string }

// nodesPlan publishes what racks tell machines after a change of networks: the part of the networks and, where machines get
// the same as before, of the machines only those that changed, in time proportional to them.
type nodesPlan struct {
	region    *Region
	model     *inventory.Model
	last, now nodesSent
	boot      bootPlanner
	changed   *plan.ChangedNodes // nil: any machine may get something else
	boots     objectsChange      // of changed
}

// objectsChange is what State.Change takes.
type objectsChange struct {
	upserts map[string][]byte
	deletes []string
}

// publishNodes plans for the racks, all of which were sent the last plan if changes is not nil.
func (r *Region) publishNodes(m *inventory.Model, changes *inventory.Changes) (err error) {
	p := &nodesPlan{
		region: r, model: m, last: r.published.nodes, now: nodesSent{plan.NodesBasisOf(m), make(map[rackTopic]map[string][]byte)},
		boot: bootPlanner{model: m},
	}
	if changes != nil && p.now.basis.Equal(p.last.basis) {
		p.changed = plan.NodesChanged(m, changes)
		if p.boots, err = p.boot.change(p.changed); err != nil {
			return err
		}
	}
	for _, publish := range []func(inventory.Rack) error{p.dhcp, p.profiles} {
		for _, rack := range m.Racks {
			if err := publish(rack); err != nil {
				return fmt.Errorf("plan for rack %s: %w", rack.Name, err)
			}
		}
	}
	r.published.nodes = p.now
	return nil
}

func (p *nodesPlan) dhcp(rack inventory.Rack) error {
	ads := plan.Advertisements(p.model, rack)
	networks, err := dhcprpc.Objects(plan.DHCPNetworks(p.model, rack), ads)
	if err != nil {
		return err
	}
	return p.publish(rackTopic{rack.Name, dhcprpc.Topic}, networks, func() (c objectsChange, err error) {
		c.upserts, c.deletes, err = dhcprpc.ReservationObjects(p.changed.Reservations(rack))
		return c, err
	}, func() (map[string][]byte, error) {
		return dhcprpc.Objects(plan.DHCP(p.model, rack), ads)
	})
}

func (p *nodesPlan) profiles(rack inventory.Rack) error {
	networks, err := p.boot.objects(rack)
	if err != nil {
		return err
	}
	return p.publish(rackTopic{rack.Name, pxerpc.Topic}, networks, func() (objectsChange, error) {
		return p.boots, nil
	}, func() (map[string][]byte, error) {
		machines, err := p.boot.all()
		whole := make(map[string][]byte, len(machines)+len(networks))
		maps.Copy(whole, machines)
		maps.Copy(whole, networks)
		return whole, err
	})
}

// publish sends one rack the change if it has the rest, and all otherwise.
func (p *nodesPlan) publish(to rackTopic, networks map[string][]byte, change func() (objectsChange, error), all func() (map[string][]byte, error)) error {
	p.now.networks[to] = networks
	state, before := p.region.rpc.State(to.rack), p.last.networks[to]
	if before == nil || p.changed == nil || !p.now.basis.EqualFor(p.last.basis, to.rack) {
		whole, err := all()
		if err == nil {
			p.region.sent(to.rack, to.topic, len(whole), state.Set(to.topic, whole))
		}
		return err
	}
	c, err := change()
	if err != nil {
		return err
	}
	upserts, deletes := maps.Clone(networks), slices.Clone(c.deletes)
	maps.Copy(upserts, c.upserts)
	for key := range before {
		if networks[key] == nil {
			deletes = append(deletes, key)
		}
	}
	p.region.sent(to.rack, to.topic, len(upserts)+len(deletes), state.Change(to.topic, upserts, deletes))
	return nil
}
