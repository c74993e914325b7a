package inventory

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/gomaas/maas/discovery"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// LinkPeer is the far end of a rack's link: the port of a switch, or a link of another rack on the
// same network.
type LinkPeer struct {
	ID       int64
	Rack     string
	Link     string // interface of the rack
	VID      int    // tag that its packets have here; 0 = none
	Kind     string // "switch" or "rack"
	Peer     string // chassis of the switch, or name of the rack
	PeerLink string // port of the switch, or interface of the rack
	Info     json.RawMessage
	LastSeen time.Time
	Expires  time.Time
}

// Switch returns the switch's announcement of itself; nil for racks.
func (p LinkPeer) Switch() *discovery.Switch {
	s := new(discovery.Switch)
	if p.Kind != peerSwitch || json.Unmarshal(p.Info, s) != nil {
		return nil
	}
	return s
}

const (
	peerSwitch = "switch"
	peerRack   = "rack"
)

var linkPeers = table[LinkPeer]{
	kind: kinds.Observation, name: "link_peer", cols: []string{"rack", "link", "vid", "kind", "peer", "peer_link", "info", "last_seen", "expires"},
	id: func(p *LinkPeer) *int64 { return &p.ID },
	fields: func(p *LinkPeer) []any {
		return []any{&p.Rack, &p.Link, &p.VID, &p.Kind, &p.Peer, &p.PeerLink, asJSON{&p.Info}, asTime{&p.LastSeen}, asTime{&p.Expires}}
	},
}

// peerLinger extends the time for which a peer is kept beyond its rack's report: the rack repeats a
// report only every ten minutes.
const peerLinger = 15 * time.Minute

func (inv *Inventory) recordPeer(ctx context.Context, tx *store.Tx, rack string, e discovery.Event) error {
	o := e.Device
	p := LinkPeer{Rack: rack, Link: o.Interface, VID: int(o.VID), LastSeen: o.Last, Expires: o.Expires.Add(peerLinger), Info: json.RawMessage("{}")}
	if o.Beacon != nil {
		p.Kind, p.Peer, p.PeerLink = peerRack, o.Beacon.Rack, o.Beacon.Interface
	} else {
		p.Kind, p.Peer, p.PeerLink = peerSwitch, o.Switch.Chassis, o.Switch.Port
		info, err := json.Marshal(o.Switch)
		if err != nil {
			return err
		}
		p.Info = info
	}
	const same = "rack = ? AND link = ? AND vid = ? AND kind = ? AND peer = ? AND peer_link = ?"
	key := []any{p.Rack, p.Link, p.VID, p.Kind, p.Peer, p.PeerLink}
	if e.Kind == discovery.Expired {
		return linkPeers.deleteWhere(ctx, tx, same, key...)
	}
	old, err := linkPeers.one(ctx, tx, p.Peer, same, key...)
	if notFound(err) {
		if p.Kind == peerRack && p.Peer == rack && p.PeerLink == p.Link {
			if err := inv.note(ctx, "warning", "%s of rack %s hears its own beacons: there is a loop in the network", p.Link, rack); err != nil {
				return err
			}
		}
		return linkPeers.insert(ctx, tx, &p)
	}
	if err != nil {
		return err
	}
	p.ID = old.ID
	_, err = tx.Exec(ctx, "UPDATE link_peer SET info = ?, last_seen = ?, expires = ? WHERE id = ?", asJSON{&p.Info}, asTime{&p.LastSeen}, asTime{&p.Expires}, p.ID)
	return err
}

// Topology holds the far ends of racks' links.
type Topology struct{ inv *Inventory }

// Peers lists what is at the other ends of racks' links.
func (ts *Topology) Peers(ctx context.Context) ([]LinkPeer, error) {
	return listIn(ctx, ts.inv, linkPeers, "")
}

// linkVLAN returns the untagged VLAN of a rack's link: the VLAN of the subnet of one of its
// addresses, or of a link with which it shares a network.
func linkVLAN(ctx context.Context, tx *store.Tx, rack, link string) (ipam.VLAN, error) {
	all, err := racks.list(ctx, tx, "")
	if err != nil {
		return ipam.VLAN{}, err
	}
	peers, err := linkPeers.list(ctx, tx, "kind = ? AND vid = 0", peerRack)
	if err != nil {
		return ipam.VLAN{}, err
	}
	for _, member := range groupOf(peers, rackPort{rack, link}) {
		s, err := subnetOfLink(ctx, tx, all, member)
		if err == nil {
			return vlans.get(ctx, tx, s.VLANID)
		}
		if !notFound(err) {
			return ipam.VLAN{}, err
		}
	}
	return ipam.VLAN{}, &NotFoundError{kinds.VLAN, "of " + link + " of rack " + rack}
}

// subnetOfLink is the subnet that one of a link's addresses is in.
func subnetOfLink(ctx context.Context, tx *store.Tx, all []Rack, p rackPort) (ipam.Subnet, error) {
	for _, r := range all {
		for _, l := range r.Links {
			if r.Name != p.rack || l.Name != p.link {
				continue
			}
			for _, a := range l.Addrs {
				if s, err := subnetFor(ctx, tx, a.Addr()); !notFound(err) {
					return s, err
				}
			}
		}
	}
	return ipam.Subnet{}, &NotFoundError{kinds.Subnet, "of " + p.link + " of rack " + p.rack}
}

// rackPort is a link of a rack.
type rackPort struct{ rack, link string }

func (p rackPort) compare(o rackPort) int {
	return cmp.Or(cmp.Compare(p.rack, o.rack), cmp.Compare(p.link, o.link))
}

// groupOf lists the links that share a network without tags with one, itself first.
func groupOf(peers []LinkPeer, first rackPort) []rackPort {
	group := []rackPort{first}
	for i := 0; i < len(group); i++ {
		var found []rackPort
		for _, p := range peers {
			here, there := rackPort{p.Rack, p.Link}, rackPort{p.Peer, p.PeerLink}
			switch group[i] {
			case here:
				found = append(found, there)
			case there:
				found = append(found, here)
			}
		}
		slices.SortFunc(found, rackPort.compare)
		for _, f := range found {
			if !slices.Contains(group, f) {
				group = append(group, f)
			}
		}
	}
	return group
}

// FabricProposal says that a subnet belongs to another fabric: the link that it is on shares a
// network with a link whose subnet is in that one.
type FabricProposal struct {
	Subnet     ipam.Subnet
	Rack, Link string // that the subnet is on
	From, To   ipam.VLAN
	Why        string
}

// Proposals compares what racks' beacons tell about which links share a network with the fabrics of
// the subnets on these links. Of the fabrics on one network the oldest is the one to keep.
func (ts *Topology) Proposals(ctx context.Context) (out []FabricProposal, err error) {
	err = ts.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		out, err = fabricProposals(ctx, tx)
		return err
	})
	return out, err
}

func fabricProposals(ctx context.Context, tx *store.Tx) ([]FabricProposal, error) {
	all, err := racks.list(ctx, tx, "")
	if err != nil {
		return nil, err
	}
	peers, err := linkPeers.list(ctx, tx, "kind = ? AND vid = 0", peerRack)
	if err != nil {
		return nil, err
	}
	var out []FabricProposal
	done := map[rackPort]bool{}
	for _, p := range peers {
		if start := (rackPort{p.Rack, p.Link}); !done[start] {
			group := groupOf(peers, start)
			for _, m := range group {
				done[m] = true
			}
			some, err := proposalsOf(ctx, tx, all, group)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
	}
	return out, nil
}

// proposalsOf proposes one fabric for all links of a group.
func proposalsOf(ctx context.Context, tx *store.Tx, all []Rack, group []rackPort) ([]FabricProposal, error) {
	type placed struct {
		port   rackPort
		subnet ipam.Subnet
		vlan   ipam.VLAN
	}
	var have []placed
	slices.SortFunc(group, rackPort.compare)
	for _, m := range group {
		s, err := subnetOfLink(ctx, tx, all, m)
		if notFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		v, err := vlans.get(ctx, tx, s.VLANID)
		if err != nil {
			return nil, err
		}
		have = append(have, placed{m, s, v})
	}
	if len(have) < 2 {
		return nil, nil
	}
	keep := slices.MinFunc(have, func(a, b placed) int { return cmp.Compare(a.vlan.FabricID, b.vlan.FabricID) })
	var out []FabricProposal
	for _, h := range have {
		known := slices.ContainsFunc(out, func(p FabricProposal) bool { return p.Subnet.ID == h.subnet.ID })
		if h.vlan.FabricID == keep.vlan.FabricID || known {
			continue
		}
		out = append(out, FabricProposal{
			Subnet: h.subnet, Rack: h.port.rack, Link: h.port.link, From: h.vlan, To: keep.vlan,
			Why: fmt.Sprintf("%s of rack %s hears %s of rack %s, which is on %s", h.port.link, h.port.rack, keep.port.link, keep.port.rack, keep.subnet.Prefix),
		})
	}
	return out, nil
}

// Apply moves the subnets of all proposals to the VLANs that they belong to, all or none, and
// returns what it did.
func (ts *Topology) Apply(ctx context.Context) (done []FabricProposal, err error) {
	err = ts.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if done, err = fabricProposals(ctx, tx); err != nil {
			return err
		}
		for _, p := range done {
			s, err := subnets.get(ctx, tx, p.Subnet.ID)
			if err != nil {
				return err
			}
			s.VLANID = p.To.ID
			if _, err := ts.inv.Subnets.Update(ctx, s); err != nil {
				return err
			}
			if err := ts.inv.note(ctx, "info", "subnet %s moved to fabric %d: %s", s.Prefix, p.To.FabricID, p.Why); err != nil {
				return err
			}
		}
		return nil
	})
	return done, err
}
