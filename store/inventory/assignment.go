package inventory

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Assignment holds the networks that a rack was given: by its token, by an administrator, or by the
// VLANs that name it. What a rack says about itself adds nothing to it, so a stolen identity
// reaches no further. The zero Assignment is of a rack that serves nothing.
type Assignment struct {
	// Networks are those whose machines it serves.
	Networks []netip.Prefix
	// Delegated are the prefixes that routers in Networks are delegated. Its other networks have no
	// part in them.
	Delegated []netip.Prefix
	// VLANs are those that it serves, by ID, with the VLANs relayed to them.
	VLANs map[int64]bool
	// BMCs are networks with BMCs that it may be sent the passwords of, besides Networks.
	BMCs []netip.Prefix
	// foreign are VLANs that only other racks serve, by ID.
	foreign map[int64]bool
}

// assigned holds the networks that a version of a rack was given.
type assigned struct {
	version int64
	Assignment
}

// Assignment returns the networks of a rack. Callers must not modify it. A model that was read
// knows it: plans ask for it several times for each rack.
func (m *Model) Assignment(r Rack) Assignment {
	if known, ok := m.assigned[r.ID]; ok && known.version == r.Version {
		return known.Assignment
	}
	return assignmentOf(r, m.VLANs, m.Subnets)
}

// assignmentOf computes an assignment. A VLAN that names the rack brings its subnets, and a network
// that holds whole subnets brings their VLANs.
func assignmentOf(r Rack, vlans []ipam.VLAN, subnets []ipam.Subnet) Assignment {
	a := Assignment{Networks: slices.Clone(r.Networks), VLANs: make(map[int64]bool), BMCs: r.BMCNetworks, foreign: make(map[int64]bool)}
	if r.Claim == nil && len(r.Links) > 0 { // links that code gave it, not a registration
		r.grant(Registration{Links: r.Links})
		a.Networks, a.BMCs = slices.Clone(r.Networks), r.BMCNetworks
	}
	named, others := make(map[int64]bool), make(map[int64]bool)
	for _, v := range vlans {
		named[v.ID] = r.Name != "" && (v.PrimaryRack == r.Name || v.SecondaryRack == r.Name)
		others[v.ID] = v.PrimaryRack != "" || v.SecondaryRack != ""
	}
	for _, v := range vlans {
		switch {
		case named[v.ID] || named[v.RelayVLANID]:
			a.VLANs[v.ID] = true
		case others[v.ID] || others[v.RelayVLANID]:
			a.foreign[v.ID] = true
		}
	}
	for _, s := range subnets {
		switch {
		case a.VLANs[s.VLANID]:
			a.Networks = append(a.Networks, s.Prefix)
		case within(s.Prefix, r.Networks):
			a.VLANs[s.VLANID] = true
		default:
			continue
		}
		for _, p := range s.Delegated {
			a.Delegated = append(a.Delegated, p.Prefix)
		}
	}
	return a
}

// within reports whether one of the networks holds the whole of p.
func within(p netip.Prefix, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Bits() <= p.Bits() && n.Contains(p.Addr()) })
}

// Empty reports whether the rack was given nothing.
func (a Assignment) Empty() bool {
	return len(a.Networks) == 0 && len(a.VLANs) == 0 && len(a.BMCs) == 0
}

// Serves reports whether an address belongs to a network of the rack.
func (a Assignment) Serves(addr netip.Addr) bool {
	return slices.ContainsFunc(a.Networks, func(n netip.Prefix) bool { return n.Contains(addr.Unmap()) })
}

// Delegates reports whether an address belongs to a prefix that the rack may delegate.
func (a Assignment) Delegates(addr netip.Addr) bool {
	return slices.ContainsFunc(a.Delegated, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Reaches returns how well the rack suits a BMC at an address: the length of the longest of its
// networks that holds it, and whether there is one. An address that is not valid, as of a BMC with
// a name, is in networks of all addresses only.
func (a Assignment) Reaches(bmc netip.Addr) (bits int, ok bool) {
	for _, networks := range [][]netip.Prefix{a.Networks, a.BMCs} {
		for _, n := range networks {
			if n.Contains(bmc.Unmap()) || !bmc.IsValid() && n.Bits() == 0 {
				bits, ok = max(bits, n.Bits()), true
			}
		}
	}
	return bits, ok
}

// Claims reports whether the rack may speak for a node with these interfaces, and hold what the
// node boots: it serves a VLAN of one of them, or no other rack does. A node whose VLANs are not
// known, or that no rack serves, may boot anywhere.
func (a Assignment) Claims(interfaces []Interface) bool {
	if len(a.Networks) == 0 {
		return false
	}
	foreign := false
	for _, i := range interfaces {
		if a.VLANs[i.VLANID] {
			return true
		}
		foreign = foreign || a.foreign[i.VLANID]
	}
	return !foreign
}

// ServesAny reports whether one of the interfaces is on a VLAN of the rack.
func (a Assignment) ServesAny(interfaces []Interface) bool {
	return slices.ContainsFunc(interfaces, func(i Interface) bool { return a.VLANs[i.VLANID] })
}

// accepts reports whether a link's address counts: it is in a network of the rack, or is valid on
// its own link only.
func (a Assignment) accepts(p netip.Prefix) bool {
	return p.Addr().IsLinkLocalUnicast() || within(p.Masked(), a.Networks)
}

// split parts links into what the assignment covers, and the rest.
func (a Assignment) split(links []RackLink) (accepted, rest []RackLink) {
	for _, l := range links {
		in, out := l, l
		in.Addrs, out.Addrs = nil, nil
		for _, p := range l.Addrs {
			if a.accepts(p) {
				in.Addrs = append(in.Addrs, p)
			} else {
				out.Addrs = append(out.Addrs, p)
			}
		}
		if len(in.Addrs) > 0 {
			accepted = append(accepted, in)
		}
		if len(out.Addrs) > 0 {
			rest = append(rest, out)
		}
	}
	return accepted, rest
}

// RackProposal is a network that a rack registered and was not given. An administrator accepts or
// ignores it; until then the rack does not serve it.
type RackProposal struct {
	Rack    string
	Link    string       // the rack's interface
	Network netip.Prefix // masked
	Address netip.Addr   // of the rack there
	Serve   bool         // the rack is configured to serve machines there
	Ignored bool
}

// Proposals returns the networks of a rack's registration that are not in its assignment, in order
// of links.
func (r Rack) Proposals(a Assignment) (out []RackProposal) {
	if r.Claim == nil {
		return nil
	}
	_, rest := a.split(r.Claim.Links)
	for _, l := range rest {
		for _, p := range l.Addrs {
			out = append(out, RackProposal{
				Rack: r.Name, Link: l.Name, Network: p.Masked(), Address: p.Addr(), Serve: slices.Contains(r.Claim.Serve, l.Name),
				Ignored: slices.Contains(r.Ignored, p.Masked()),
			})
		}
	}
	return out
}

// Bounds of what a site takes from a rack without an administrator. A wider network is no link's,
// and a host has a few dozen addresses.
const (
	widest4, widest6 = 8, 32
	maxClaims        = 256
)

// givesNetwork reports whether an address claims a network that can be given without a question.
func givesNetwork(p netip.Prefix) bool {
	widest := widest6
	if p.Addr().Is4() {
		widest = widest4
	}
	return p.IsValid() && p.Bits() >= widest && !p.IsSingleIP() && !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsMulticast()
}

// everywhere are the networks of all addresses.
var everywhere = []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}

// sortedNetworks returns masked networks in order, each once, without those that others hold.
func sortedNetworks(networks []netip.Prefix) (out []netip.Prefix) {
	sorted := make([]netip.Prefix, 0, len(networks))
	for _, n := range networks {
		sorted = append(sorted, n.Masked())
	}
	slices.SortFunc(sorted, func(a, b netip.Prefix) int { return cmp.Or(cmp.Compare(a.Bits(), b.Bits()), a.Compare(b)) })
	for _, n := range sorted {
		if !within(n, out) {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return out
}

// readAssignment reads what a rack was given.
func readAssignment(ctx context.Context, tx *store.Tx, r Rack) (Assignment, error) {
	vs, err := vlans.list(ctx, tx, "")
	if err != nil {
		return Assignment{}, err
	}
	ss, err := subnets.list(ctx, tx, "")
	return assignmentOf(r, vs, ss), err
}

// Assignments reads what the racks were given, by name.
func (en *Enrolment) Assignments(ctx context.Context) (map[string]Assignment, error) {
	out := make(map[string]Assignment)
	err := en.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		rs, err1 := racks.list(ctx, tx, "")
		vs, err2 := vlans.list(ctx, tx, "")
		ss, err3 := subnets.list(ctx, tx, "")
		for _, r := range rs {
			out[r.Name] = assignmentOf(r, vs, ss)
		}
		return errors.Join(err1, err2, err3)
	})
	return out, err
}

// Assignment reads what the rack with that name was given.
func (en *Enrolment) Assignment(ctx context.Context, rack string) (a Assignment, err error) {
	err = en.inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := racks.one(ctx, tx, rack, "name = ?", rack)
		if err == nil {
			a, err = readAssignment(ctx, tx, r)
		}
		return err
	})
	return a, err
}

// settleRacks makes the links of racks fit what they were given, after a change of that. Racks
// without a claim have the links that code gave them.
func (inv *Inventory) settleRacks(ctx context.Context, tx *store.Tx) error {
	all, err := racks.list(ctx, tx, "claim <> 'null'")
	if err != nil || len(all) == 0 {
		return err
	}
	vs, err := vlans.list(ctx, tx, "")
	if err != nil {
		return err
	}
	ss, err := subnets.list(ctx, tx, "")
	if err != nil {
		return err
	}
	for _, r := range all {
		links, _ := assignmentOf(r, vs, ss).split(r.Claim.Links)
		if slices.EqualFunc(links, r.Links, sameLink) {
			continue
		}
		r.Links = links
		if err := racks.update(ctx, tx, &r); err != nil {
			return err
		}
		if err := inv.holdRackAddresses(ctx, tx, r); err != nil {
			return err
		}
	}
	return nil
}

// Assign changes what a rack was given, and makes what is needed to serve it. Networks that the
// rack has on its links and that are given now are made subnets as at its registration.
func (en *Enrolment) Assign(ctx context.Context, rack string, change func(*Rack) error) (r Rack, err error) {
	err = en.inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if r, err = racks.one(ctx, tx, rack, "name = ?", rack); err != nil {
			return err
		}
		if err := change(&r); err != nil {
			return err
		}
		if r, err = en.inv.Racks.Update(ctx, r); err != nil || r.Claim == nil {
			return err
		}
		r, err = en.inv.register(ctx, tx, r, *r.Claim)
		return err
	})
	return r, err
}

// Accept gives a rack networks that it proposed; none named = all that it proposed and that are not
// ignored.
func (en *Enrolment) Accept(ctx context.Context, rack string, networks ...netip.Prefix) (accepted []netip.Prefix, err error) {
	_, err = en.Assign(ctx, rack, func(r *Rack) error {
		accepted, err = en.proposed(ctx, *r, networks, false)
		r.Networks = append(r.Networks, accepted...)
		r.Ignored = slices.DeleteFunc(r.Ignored, func(n netip.Prefix) bool { return slices.Contains(accepted, n) })
		return err
	})
	return accepted, err
}

// Ignore keeps networks that a rack proposed from being reported again.
func (en *Enrolment) Ignore(ctx context.Context, rack string, networks ...netip.Prefix) (ignored []netip.Prefix, err error) {
	_, err = en.Assign(ctx, rack, func(r *Rack) error {
		ignored, err = en.proposed(ctx, *r, networks, true)
		r.Ignored = append(r.Ignored, ignored...)
		return err
	})
	return ignored, err
}

// proposed returns the named proposals of a rack, or all open ones.
func (en *Enrolment) proposed(ctx context.Context, r Rack, networks []netip.Prefix, ignore bool) (out []netip.Prefix, err error) {
	a, err := en.Assignment(ctx, r.Name)
	if err != nil {
		return nil, err
	}
	open := make(map[netip.Prefix]bool)
	for _, p := range r.Proposals(a) {
		open[p.Network] = true
		if len(networks) == 0 && !p.Ignored && !slices.Contains(out, p.Network) {
			out = append(out, p.Network)
		}
	}
	for _, n := range networks {
		if !open[n.Masked()] {
			return nil, invalid(kinds.Rack, r.Name, "network", n.String()+" is none that it proposes; see maas rack proposals, or assign it with maas rack assign")
		}
		out = append(out, n.Masked())
	}
	if len(out) == 0 {
		what := "accept"
		if ignore {
			what = "ignore"
		}
		return nil, invalid(kinds.Rack, r.Name, "network", "has nothing to "+what+": the rack proposes no network")
	}
	return out, nil
}
