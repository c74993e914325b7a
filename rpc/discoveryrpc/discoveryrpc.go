// Package discoveryrpc joins discovery on racks to their region: what was seen goes up, what to
// look at comes down, and the region has a rack sweep.
//
//	outbox.Add(discoveryrpc.FactKind, discoveryrpc.FactOf(event))           // rack
//	err := json.Unmarshal(fact.Data, &seen) // a discoveryrpc.Fact, where fact.Kind is FactKind // region
//
//	objects, err := discoveryrpc.Objects(policy)                            // region
//	region.State("rack-1").Set(discoveryrpc.Topic, objects)
//	rpc.Topic{Name: discoveryrpc.Topic, Apply: discoveryrpc.Apply(adopt)}   // rack
//
//	discoveryrpc.OfferScans(&methods, sweeper)                              // rack
//	status, err := discoveryrpc.StartScan(ctx, region.Rack("rack-1"), discoveryrpc.ScanRequest{...}) // region
package discoveryrpc

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/discovery"
)

// FactKind is the kind of facts that hold a [Fact]. They are observations: a full outbox drops them
// first.
const FactKind = "observation"

// Fact is an observation on its way to the region.
type Fact struct {
	// Event is the kind of event.
	Event discovery.Kind `json:"event"`
	// Previous is the other MAC of moved and conflict.
	Previous discovery.MAC `json:"previous,omitzero"`
	discovery.Device
}

// FactOf turns an event into what travels.
func FactOf(e discovery.Event) Fact {
	return Fact{Event: e.Kind, Previous: e.Previous, Device: e.Device}
}

// EventOf turns what travelled back into the event.
func EventOf(f Fact) discovery.Event {
	return discovery.Event{Kind: f.Event, Previous: f.Previous, Device: f.Device}
}

// HardwareAddr is the device's link address, nil when the fact has none.
func (f Fact) HardwareAddr() net.HardwareAddr { return f.MAC.HardwareAddr() }

// Topic is the rpc topic.
const Topic = "discovery"

const policyKey = "policy"

// Policy selects how a rack discovers devices. The zero value does nothing.
type Policy struct {
	// Rack is the name of the rack that this is for.
	Rack string `json:"rack,omitempty"`
	// Passive turns listening on.
	Passive bool `json:"passive,omitempty"`
	// Ignore are rules as discovery.ParseIgnore reads them.
	Ignore []string `json:"ignore,omitempty"`
	// Resolvers are asked for the names of what was seen.
	Resolvers []netip.AddrPort `json:"resolvers,omitempty"`
	// BeaconKey authenticates beacons between racks. Empty sends none.
	BeaconKey []byte `json:"beacon_key,omitempty"`
	// Subnets are all that may be swept.
	Subnets []netip.Prefix `json:"subnets,omitempty"`
	// Confirm are the subnets whose devices are asked before they count as gone.
	Confirm []netip.Prefix `json:"confirm,omitempty"`
}

// Covers reports whether all of a prefix may be swept.
func (p *Policy) Covers(prefix netip.Prefix) bool {
	return slices.ContainsFunc(p.Subnets, func(s netip.Prefix) bool { return s.Bits() <= prefix.Bits() && s.Contains(prefix.Addr()) })
}

// Objects returns the policy as the topic's one object.
func Objects(p Policy) (map[string][]byte, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("discoveryrpc: %w", err)
	}
	return map[string][]byte{policyKey: data}, nil
}

// Apply hands each state of the topic to adopt. Without a policy object that is the zero Policy.
func Apply(adopt func(context.Context, Policy) error) func(context.Context, map[string][]byte) error {
	return func(ctx context.Context, objects map[string][]byte) error {
		var p Policy
		if data, ok := objects[policyKey]; ok {
			if err := json.Unmarshal(data, &p); err != nil {
				return fmt.Errorf("discoveryrpc: %w", err)
			}
		}
		return adopt(ctx, p)
	}
}
