package region

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gomaas/maas/cmd/maas/internal/register"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
)

// publish plans the whole site and hands each rack what differs from before. It is not called twice at once.
func (r *Region) publish(ctx context.Context) error {
	model, err := r.inv.ModelSince(ctx, r.planned)
	if err != nil {
		return err
	}
	r.planned = model
	r.monitor.Update(r.watched(model))
	names := inventory.PlanDNS(model) // the same on all racks
	dns, err := dnsrpc.Objects(dnsrpc.Content{Zones: names.Zones, Sets: names.Sets, Forwarding: names.Forwarding, Access: names.Access})
	if err != nil {
		return fmt.Errorf("plan of names: %w", err)
	}
	regions, err := r.regionObjects(ctx)
	if err != nil {
		return fmt.Errorf("list of regions: %w", err)
	}
	for _, rack := range model.Racks {
		topics, err := plan(model, rack, r.beside)
		if err != nil {
			return fmt.Errorf("plan for rack %s: %w", rack.Name, err)
		}
		if topics[discoveryrpc.Topic], err = discoveryrpc.Objects(r.discoveryPolicy(model, rack)); err != nil {
			return fmt.Errorf("plan for rack %s: %w", rack.Name, err)
		}
		topics[dnsrpc.Topic], topics[register.Topic] = dns, regions
		state := r.rpc.State(rack.Name)
		for name, objects := range topics {
			state.Set(name, objects)
		}
	}
	return nil
}

// regionObjects is where the regions are; nowhere, while they take no racks of other processes.
func (r *Region) regionObjects(ctx context.Context) (map[string][]byte, error) {
	if r.racks == nil {
		return register.Objects(nil)
	}
	addresses, err := r.racks.allAddresses(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(addresses)
	return register.Objects(addresses)
}

// plan is what one rack serves and others do not, by topic.
func plan(m *inventory.Model, rack inventory.Rack, beside string) (map[string]map[string][]byte, error) {
	dhcp, err1 := dhcprpc.Objects(inventory.PlanDHCP(m, rack))
	boot, err2 := pxerpc.Objects(bootContent(m, rack))
	proxy, err3 := proxyrpc.Objects(proxyrpc.Content(inventory.PlanProxy(m, rack.Name, beside)))
	return map[string]map[string][]byte{
		dhcprpc.Topic: dhcp, pxerpc.Topic: boot, proxyrpc.Topic: proxy,
	}, errors.Join(err1, err2, err3)
}

// bootContent joins the boot plan with the names of machines and their proxies.
func bootContent(m *inventory.Model, rack inventory.Rack) pxerpc.Content {
	plan := inventory.PlanPXE(m)
	anywhere := inventory.ProxyURL(m, rack, 0)
	content := pxerpc.Content{Default: withProxy(plan.Default, anywhere)}
	add := func(name string, interfaces []inventory.Interface) {
		for _, i := range interfaces {
			if len(i.MAC) == 0 {
				continue
			}
			machine := pxerpc.Machine{MAC: i.MAC, Name: name}
			if own, ok := plan.ByMAC[i.MAC.String()]; ok {
				machine.Profile = withProxy(&own, inventory.ProxyURL(m, rack, i.VLANID))
			} else if url := inventory.ProxyURL(m, rack, i.VLANID); plan.Default != nil && url != anywhere {
				machine.Profile = withProxy(plan.Default, url)
			}
			content.Machines = append(content.Machines, machine)
		}
	}
	for i := range m.Machines {
		add(m.Machines[i].Hostname, m.Machines[i].Interfaces)
	}
	for i := range m.Devices {
		add(m.Devices[i].Hostname, m.Devices[i].Interfaces)
	}
	return content
}

// followChanges publishes again after each change, several at once when they come faster than they are planned.
func (r *Region) followChanges(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	watching := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from, err := r.inv.Revision(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	// What changed between the first publication and this revision is published by the first round.
	changed <- struct{}{}
	go func() { watching <- r.watch(ctx, from, changed) }()
	for {
		select {
		case <-changed:
			if err := r.publish(ctx); err != nil && ctx.Err() == nil {
				r.log.Error("state is not published, racks serve the last", "err", err)
			}
		case err := <-watching:
			return ended(ctx, err)
		}
	}
}

// watch says that something changed, until ctx ends. When changes are missing, as after a restore, everything counts as
// changed.
func (r *Region) watch(ctx context.Context, from int64, changed chan<- struct{}) error {
	for {
		err := r.watchFrom(ctx, from, changed)
		if !errors.Is(err, store.ErrCompacted) {
			return err
		}
		if from, err = r.inv.Revision(ctx); err != nil {
			return err
		}
		r.log.Info("the data was replaced, or changed faster than it was read: all is published anew", "revision", from)
		tell(changed)
	}
}

func tell(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}

func (r *Region) watchFrom(ctx context.Context, from int64, changed chan<- struct{}) error {
	for change, err := range r.inv.Watch(ctx, from) {
		if errors.Is(err, store.ErrCompacted) {
			return err
		}
		if err != nil {
			r.log.Warn("cannot read changes, trying again", "err", err)
			continue
		}
		if change.Kind == inventory.KindObservation {
			continue // nothing is planned from what was merely seen
		}
		tell(changed)
	}
	return ctx.Err()
}

// ended turns the end of the context into success.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
