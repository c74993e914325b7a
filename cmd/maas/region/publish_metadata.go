package region

import (
	"context"
	"fmt"

	"github.com/gomaas/maas/rpc/metadatarpc"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/plan"
)

// sentMetadata is the last publication of metadata.
type sentMetadata struct {
	inputs *plan.MetadataInputs // nil before the first one
	users  map[string][]byte    // user data by mark
}

// publishMetadata sends racks the metadata of machines. It follows all other topics, since a
// machine asks for it last. changes is nil unless all racks were sent the last plan.
func (r *Region) publishMetadata(ctx context.Context, m *inventory.Model, changes *inventory.Changes) error {
	last, inputs := &r.published.metadata, plan.MetadataInputsOf(m)
	whole := changes == nil || !inputs.Equal(last.inputs)
	if whole {
		users, err := r.inv.UserData.Contents(ctx)
		if err != nil {
			return fmt.Errorf("read user data: %w", err)
		}
		last.inputs, last.users = nil, users
	}
	p := metadataPlanner{model: m, users: last.users, planned: make(map[int64]metadatarpc.Machine)}
	if whole {
		p.after = plan.Nodes(m)
	} else {
		nodes := plan.NodesChanged(m, changes)
		p.before, p.after = nodes.Before, nodes.After
	}
	for _, rack := range m.Racks {
		upserts, deletes, err := p.of(m.Assignment(rack))
		if err != nil {
			return fmt.Errorf("plan %s for rack %s: %w", metadatarpc.Topic, rack.Name, err)
		}
		state := r.rpc.State(rack.Name)
		if whole {
			r.sent(rack.Name, metadatarpc.Topic, len(upserts), state.Set(metadatarpc.Topic, upserts))
		} else {
			r.sent(rack.Name, metadatarpc.Topic, len(upserts)+len(deletes), state.Change(metadatarpc.Topic, upserts, deletes))
		}
	}
	last.inputs = inputs
	return nil
}

// metadataPlanner plans metadata. The metadata of a machine are the same at all racks.
type metadataPlanner struct {
	model         *inventory.Model
	users         map[string][]byte
	before, after []plan.PlannedNode
	planned       map[int64]metadatarpc.Machine // of after, by ID
}

// of returns the objects of a rack that changed, and those that are gone.
func (p *metadataPlanner) of(a inventory.Assignment) (upserts map[string][]byte, deletes []string, err error) {
	var before, after []metadatarpc.Machine
	for _, n := range withMetadataAt(a, p.before) {
		m := metadatarpc.Machine{}
		m.Instance.ID = n.Machine.SystemID // the key is all that counts of what is gone
		before = append(before, m)
	}
	for _, n := range withMetadataAt(a, p.after) {
		m, done := p.planned[n.Machine.ID]
		if !done {
			m = metadatarpc.Machine(plan.MetadataOf(p.model, n.Machine))
			p.planned[n.Machine.ID] = m
		}
		after = append(after, m)
	}
	if upserts, deletes, err = metadatarpc.Difference(before, after, p.users); err == nil {
		deletes = append(deletes, p.unused(a)...)
	}
	return upserts, deletes, err
}

// withMetadataAt returns the machines whose metadata a rack serves: those that it may serve, and of
// machines that no administrator took up those on its VLANs alone.
func withMetadataAt(a inventory.Assignment, nodes []plan.PlannedNode) (out []plan.PlannedNode) {
	for _, n := range claimedBy(a, nodes) {
		if n.Machine != nil && (n.Machine.Status != inventory.StatusNew || a.ServesAny(n.Interfaces)) {
			out = append(out, n)
		}
	}
	return out
}

// unused returns the keys of user data that a rack may still have of changed machines, and that
// none of its machines reads any more.
func (p *metadataPlanner) unused(a inventory.Assignment) (keys []string) {
	gone := make(map[string]bool)
	for _, n := range withMetadataAt(a, p.before) {
		gone[plan.UserDataOf(p.model, n.Machine)] = true
	}
	delete(gone, "")
	for _, n := range withMetadataAt(a, p.after) {
		delete(gone, plan.UserDataOf(p.model, n.Machine))
	}
	if len(gone) == 0 {
		return nil
	}
	for _, n := range withMetadataAt(a, plan.Nodes(p.model)) {
		delete(gone, plan.UserDataOf(p.model, n.Machine))
	}
	for mark := range gone {
		keys = append(keys, metadatarpc.UserKey(mark))
	}
	return keys
}
