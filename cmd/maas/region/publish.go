package region

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gomaas/maas/cmd/maas/rack/register"
	"github.com/gomaas/maas/dnssrv"
	"github.com/gomaas/maas/rpc/dhcprpc"
	"github.com/gomaas/maas/rpc/discoveryrpc"
	"github.com/gomaas/maas/rpc/dnsrpc"
	"github.com/gomaas/maas/rpc/proxyrpc"
	"github.com/gomaas/maas/rpc/pxerpc"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
	"github.com/gomaas/maas/store/inventory/plan"
)

// published is the state that racks were sent last.
type published struct {
	model    inventory.Model
	names    plan.NamePlanner
	nodes    sentNodes
	cuts     map[string]string // by rack: the part of the names that it was sent
	bmcs     plan.BMCs
	metadata sentMetadata
	stale    bool // the last publication failed, so racks may have a part of the model
	sent     sentState
}

// publish sends each rack the difference to its last state. After changes of machines, devices,
// addresses and records alone it takes time proportional to them. Only one call may run at a time.
func (r *Region) publish(ctx context.Context) (err error) {
	p, began, before := &r.published, time.Now(), r.published.model.Revision
	changes, err := r.inv.Follow(ctx, &p.model)
	if err != nil {
		return err
	}
	if p.stale {
		changes = nil // they would leave out what the failed publication did not send
	}
	whole := changes == nil || changes.Networks
	if whole || p.model.Revision != before {
		told := r.tracePublication(ctx, began, whole, changes)
		defer func() { told(err) }()
	}
	if whole || changes.Networks {
		// Before racks are told: what they report of a new network is checked against these.
		networks := p.model
		networks.Machines, networks.Devices, networks.Orphans, networks.Records = nil, nil, nil, nil
		r.networks.Store(&networks)
	}
	if changes == nil || plan.BMCsChanged(changes) {
		p.bmcs = plan.BMCsOf(p.model.Machines) // once for all racks: it looks at all machines
	}
	// Stale until all racks are served: after an error the next call must not trust the changes.
	p.stale = true
	if whole {
		err = r.publishAll(ctx, &p.model, changes)
	} else {
		err = r.publishChanges(&p.model, changes)
	}
	if err == nil {
		err = r.publishMetadata(ctx, &p.model, changes)
	}
	if err != nil {
		return err
	}
	p.stale = false
	if changes == nil || !slices.EqualFunc(watched(changes.Before.Machines), watched(changes.After.Machines), sameBMC) {
		if err := r.powers.update(watched(p.model.Machines)); err != nil {
			// racks have their state already; a repetition would not help
			r.log.Error("power targets not updated", "err", err)
		}
	}
	return nil
}

// publishAll plans the whole site. The topics whose plans are small precede the topics that take
// time with thousands of machines, for all racks.
func (r *Region) publishAll(ctx context.Context, m *inventory.Model, changes *inventory.Changes) error {
	regions, err := r.allRegions(ctx)
	if err != nil {
		return fmt.Errorf("list of regions: %w", err)
	}
	revoked, err := r.revoked(ctx)
	if err != nil {
		return fmt.Errorf("list of revoked certificates: %w", err)
	}
	keys, err := r.inv.DNSKeys(m)
	if err != nil {
		return fmt.Errorf("keys of DNS: %w", err)
	}
	for _, topic := range []struct {
		name string
		plan func(inventory.Rack) (map[string][]byte, error)
	}{
		{proxyrpc.Topic, func(rack inventory.Rack) (map[string][]byte, error) { return r.proxyObjects(m, rack) }},
		{register.Topic, func(rack inventory.Rack) (map[string][]byte, error) {
			return register.Objects(regionsFor(rack, m.Racks, regions), revoked)
		}},
		{discoveryrpc.Topic, func(rack inventory.Rack) (map[string][]byte, error) {
			return discoveryrpc.Objects(r.discoveryPolicy(m, rack))
		}},
		{dnsrpc.ForeignTopic, func(rack inventory.Rack) (map[string][]byte, error) { return r.foreignDNS(m, rack, keys) }},
	} {
		for _, rack := range m.Racks {
			objects, err := topic.plan(rack)
			if err != nil {
				return fmt.Errorf("plan %s for rack %s: %w", topic.name, rack.Name, err)
			}
			r.sent(rack.Name, topic.name, len(objects), r.rpc.State(rack.Name).Set(topic.name, objects))
		}
	}
	if err := r.publishNodes(m, changes); err != nil {
		return err
	}
	// Most changes of networks, such as another range, affect no name.
	if changes != nil && r.namesFit(m) {
		return r.publishNames(m, changes)
	}
	return r.publishAllNames(m)
}

// publishAllNames plans the content of DNS servers. Racks with the same part of it share one
// encoding.
func (r *Region) publishAllNames(m *inventory.Model) (err error) {
	names := r.published.names.Plan(m)
	r.sign(m, names.Zones)
	if names.Access.Keys, err = r.inv.DNSKeys(m); err != nil {
		return fmt.Errorf("plan of names: %w", err)
	}
	parts := make(map[string]map[string][]byte)
	r.published.cuts = make(map[string]string, len(m.Racks))
	for _, rack := range m.Racks {
		cut := plan.DNSCutOf(m, rack)
		key := cut.Key()
		if parts[key] == nil {
			if parts[key], err = dnsrpc.Objects(dnsrpc.Content(cut.Plan(names))); err != nil {
				return fmt.Errorf("plan of names: %w", err)
			}
		}
		r.published.cuts[rack.Name] = key
		r.sent(rack.Name, dnsrpc.Topic, len(parts[key]), r.rpc.State(rack.Name).Set(dnsrpc.Topic, parts[key]))
	}
	return nil
}

// namesFit reports whether the names that changes affect are all that racks need: zones, and which
// rack serves which of them, are as they were.
func (r *Region) namesFit(m *inventory.Model) bool {
	if len(m.Racks) != len(r.published.cuts) {
		return false
	}
	for _, rack := range m.Racks {
		if sent, there := r.published.cuts[rack.Name]; !there || sent != plan.DNSCutOf(m, rack).Key() {
			return false
		}
	}
	return r.published.names.Fits(m)
}

// publishNames plans the names that a change affects.
func (r *Region) publishNames(m *inventory.Model, changes *inventory.Changes) error {
	sets := r.published.names.Change(changes)
	type part struct {
		upserts map[string][]byte
		deletes []string
	}
	parts := make(map[string]part)
	for _, rack := range m.Racks {
		cut := plan.DNSCutOf(m, rack)
		p, encoded := parts[cut.Key()]
		if !encoded {
			var err error
			if p.upserts, p.deletes, err = dnsrpc.SetObjects(cut.Sets(sets)); err != nil {
				return fmt.Errorf("plan of names: %w", err)
			}
			parts[cut.Key()] = p
		}
		r.sent(rack.Name, dnsrpc.Topic, len(p.upserts)+len(p.deletes), r.rpc.State(rack.Name).Change(dnsrpc.Topic, p.upserts, p.deletes))
	}
	return nil
}

// sign gives the zones of signed domains their keys.
func (r *Region) sign(m *inventory.Model, zones []dnssrv.Zone) {
	keys := make(map[string]dnssrv.SigningKey)
	for _, d := range m.Domains {
		keys[d.Name] = r.inv.SigningKey(d)
	}
	for i := range zones {
		zones[i].SigningKey = keys[zones[i].Name]
	}
}

// publishChanges plans the difference between two models whose networks are the same.
func (r *Region) publishChanges(m *inventory.Model, changes *inventory.Changes) error {
	if err := r.publishNames(m, changes); err != nil {
		return err
	}
	nodes := plan.NodesChanged(m, changes)
	boots := bootChanges{model: m, nodes: nodes}
	for _, rack := range m.Racks {
		state := r.rpc.State(rack.Name)
		boots, err := boots.of(m.Assignment(rack))
		if err != nil {
			return err
		}
		upserts, deletes, err := dhcprpc.ReservationObjects(nodes.Reservations(rack))
		if err != nil {
			return fmt.Errorf("plan for rack %s: %w", rack.Name, err)
		}
		r.sent(rack.Name, dhcprpc.Topic, len(upserts)+len(deletes), state.Change(dhcprpc.Topic, upserts, deletes))
		r.sent(rack.Name, pxerpc.Topic, len(boots.upserts)+len(boots.deletes), state.Change(pxerpc.Topic, boots.upserts, boots.deletes))
	}
	if plan.BMCsChanged(changes) {
		return r.publishProxies(m)
	}
	return nil
}

// allRegions returns the addresses of regions by name; nil if this region admits no racks of other
// processes.
func (r *Region) allRegions(ctx context.Context) ([]register.Region, error) {
	if r.racks == nil {
		return nil, nil
	}
	return r.racks.allRegions(ctx)
}

// revoked returns the serial numbers of revoked certificates, sorted. Racks check them for their
// failover partners. An expired certificate is refused anyway, so the list does not grow for ever.
func (r *Region) revoked(ctx context.Context) (serials []string, err error) {
	if r.racks == nil {
		return nil, nil
	}
	all, err := r.inv.Enrolment.Certificates(ctx)
	for _, c := range all {
		if !c.Revoked.IsZero() && time.Now().Before(c.Expires) {
			serials = append(serials, c.Serial)
		}
	}
	slices.Sort(serials)
	return serials, err
}

// regionsFor orders the regions for a rack, its first choice first. Racks are spread over the
// regions in order of ID, which never changes, so that a new rack moves no other.
func regionsFor(rack inventory.Rack, racks []inventory.Rack, regions []register.Region) []register.Region {
	if len(regions) == 0 {
		return nil
	}
	before := 0
	for _, other := range racks {
		if other.ID < rack.ID {
			before++
		}
	}
	first := before % len(regions)
	out := []register.Region{regions[first]}
	rest := slices.Delete(slices.Clone(regions), first, first+1)
	if len(rest) > 0 { // the racks of a region that fails spread over the others
		turn := before / len(regions) % len(rest)
		out = append(append(out, rest[turn:]...), rest[:turn]...)
	}
	return out
}

// Pauses before a failed publication is repeated, also without a further change. The pause doubles
// from publishAgain to publishAgainMost, since a large site takes seconds to plan.
const (
	publishAgain     = time.Second
	publishAgainMost = 30 * time.Second
)

// followChanges publishes after each change. Changes that arrive during a publication are published
// together by the next one.
func (r *Region) followChanges(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	watching := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from, err := r.inv.Revision(ctx)
	if err != nil {
		return ended(ctx, err)
	}
	// The first round publishes the changes between the publication by Serve and this revision.
	changed <- struct{}{}
	go func() { watching <- r.watch(ctx, from, changed) }()
	var again <-chan time.Time // nil = the last publication succeeded
	pause := publishAgain
	for {
		select {
		case <-changed:
		case <-again:
		case err := <-watching:
			return ended(ctx, err)
		}
		// A read of the model may fail while the database restarts; racks serve on meanwhile.
		began := time.Now()
		err := r.publish(ctx)
		if err == nil {
			again, pause = nil, publishAgain
			rest(ctx, time.Since(began))
			continue
		}
		if ctx.Err() == nil {
			r.log.Error("state not published, racks serve the last", "retry_in", pause, "err", err)
		}
		again, pause = time.After(pause), min(2*pause, publishAgainMost)
	}
}

// rest waits after a publication that took a time. Each publication looks at all nodes; many
// changes in a row so take at most a third of a processor for it.
func rest(ctx context.Context, took time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(min(2*took, time.Second)):
	}
}

// watch reports that the site changed, until ctx ends. If changes are missing, as after a restore,
// it reports one change: publish compares whole models then.
func (r *Region) watch(ctx context.Context, from int64, changed chan<- struct{}) error {
	for {
		err := r.watchFrom(ctx, from, changed)
		if !errors.Is(err, store.ErrCompacted) {
			return err
		}
		if from, err = r.inv.Revision(ctx); err != nil {
			return err
		}
		r.log.Info("whole state published: the data was replaced, or changed faster than it was read", "revision", from)
		tell(changed)
	}
}

// tell wakes followChanges. The channel holds one signal: several changes need one publication.
func tell(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}

// watchFrom reports changes after a revision until they are missing or ctx ends.
func (r *Region) watchFrom(ctx context.Context, from int64, changed chan<- struct{}) error {
	for change, err := range r.inv.Watch(ctx, from) {
		if errors.Is(err, store.ErrCompacted) {
			return err
		}
		if err != nil {
			r.log.Warn("changes not read, trying again", "err", err)
			continue
		}
		if change.Kind == kinds.Observation {
			continue // no plan depends on observations, and they are the most frequent changes
		}
		tell(changed)
	}
	return ctx.Err()
}

// ended returns nil if the context has ended, which is the regular end of a task.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
