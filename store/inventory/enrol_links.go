package inventory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// Registration is a rack's report of its links when it connects.
type Registration struct {
	Rack string `json:"rack,omitempty"`
	// Trusted is set for a rack in the process of its region, which is given all that it registers.
	Trusted bool `json:"-"`
	// Links are all its interfaces that have addresses.
	Links []RackLink `json:"links"`
	// Serve are the names of those on which it serves machines.
	Serve []string `json:"serve,omitempty"`
	// Gateways are the default routers of its networks, as far as it knows them.
	Gateways []netip.Addr `json:"gateways,omitempty"`
	// DynamicFirst and DynamicLast bound the dynamic range of a network that is new; not valid =
	// the suggested one.
	DynamicFirst netip.Addr `json:"dynamic_first,omitzero"`
	DynamicLast  netip.Addr `json:"dynamic_last,omitzero"`
	// NoDHCP leaves DHCP off on a network that is new.
	NoDHCP bool `json:"no_dhcp,omitempty"`
	// DHCPMode says who gives addresses on a network that is new.
	DHCPMode ipam.DHCPMode `json:"dhcp_mode,omitempty"`
}

// RegisterLinks records a rack's report of its links, and makes what is needed to serve those in
// networks that it was given: a subnet for an unknown network, a dynamic range, and DHCP where no
// rack serves yet. All networks of an interface are on one VLAN: an unknown one joins the VLAN of a
// known one, or is on a fabric of its own, since nothing shows that it is joined to another.
// Objects that exist stay as they are, so it may be called at every connection.
//
// Networks that it was not given are proposals, which it returns: they make no subnet, and nothing
// is served or sent for them until an administrator accepts them. The first rack of a site is given
// all that it registers.
func (inv *Inventory) RegisterLinks(ctx context.Context, reg Registration) (proposals []RackProposal, err error) {
	if len(reg.Links) > maxClaims {
		return nil, invalid(kinds.Rack, reg.Rack, "links", fmt.Sprintf("are %d, more than the %d that a site takes; name the interfaces to serve", len(reg.Links), maxClaims))
	}
	err = inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := racks.one(ctx, tx, reg.Rack, "name = ?", reg.Rack)
		switch {
		case notFound(err):
			r, err = inv.RegisterRack(ctx, Rack{Name: reg.Rack})
		case err == nil:
			_, err = tx.Exec(ctx, "UPDATE rack SET last_seen = ? WHERE id = ?", time.Now().UnixMicro(), r.ID)
		}
		if err != nil {
			return err
		}
		before := r.Proposals(Assignment{})
		if r, err = inv.register(ctx, tx, r, reg); err != nil {
			return err
		}
		a, err := readAssignment(ctx, tx, r)
		if err != nil {
			return err
		}
		proposals = slices.DeleteFunc(r.Proposals(a), func(p RackProposal) bool { return p.Ignored })
		return inv.reportProposals(ctx, before, proposals)
	})
	return proposals, err
}

// register serves the links of a registration that the rack was given networks for.
func (inv *Inventory) register(ctx context.Context, tx *store.Tx, r Rack, reg Registration) (Rack, error) {
	reg.Rack = r.Name // a stored one has none
	trusted := reg.Trusted || r.Open
	if !trusted {
		first, err := isFirstRack(ctx, tx, r)
		if err != nil {
			return r, err
		}
		trusted = first
	}
	if r.Claim == nil && len(r.Links) > 0 {
		r.grant(Registration{Links: r.Links}) // what it was given before racks had assignments
	}
	if trusted {
		r.grant(reg)
	}
	a, err := readAssignment(ctx, tx, r)
	if err != nil {
		return r, err
	}
	links, _ := a.split(reg.Links)
	var fresh []ipam.Subnet
	for _, link := range links {
		if !slices.Contains(reg.Serve, link.Name) {
			continue
		}
		made, err := inv.linkSubnets(ctx, reg, link)
		if err != nil {
			return r, fmt.Errorf("interface %s of rack %s: %w", link.Name, reg.Rack, err)
		}
		fresh = append(fresh, made...)
	}
	// The addresses of the rack are held before a range is suggested.
	if r, err = inv.keepClaim(ctx, tx, r, reg, links); err != nil {
		return r, err
	}
	for _, s := range fresh {
		b := Bootstrap{Rack: reg.Rack, NoDHCP: reg.NoDHCP, DHCPMode: reg.DHCPMode}
		if s.Prefix.Contains(reg.DynamicFirst) {
			b.DynamicFirst, b.DynamicLast = reg.DynamicFirst, reg.DynamicLast
		}
		if err := inv.serve(ctx, s, b, true); err != nil {
			return r, err
		}
	}
	return racks.get(ctx, tx, r.ID)
}

// keepClaim stores a registration and the links that count. Racks register at each connection;
// without a change no plan has to be made again.
func (inv *Inventory) keepClaim(ctx context.Context, tx *store.Tx, r Rack, reg Registration, links []RackLink) (Rack, error) {
	reg.Rack, reg.Trusted = "", false // the row says them
	old, err := racks.get(ctx, tx, r.ID)
	if err != nil {
		return r, err
	}
	r.Links, r.Claim, r.Version = links, &reg, old.Version
	same := old.Claim != nil && sameClaim(*old.Claim, reg) && slices.EqualFunc(old.Links, links, sameLink) &&
		slices.Equal(old.Networks, r.Networks) && slices.Equal(old.BMCNetworks, r.BMCNetworks) && old.Open == r.Open
	if same {
		return r, nil
	}
	if err := racks.update(ctx, tx, &r); err != nil {
		return r, err
	}
	return r, inv.holdRackAddresses(ctx, tx, r)
}

// sameClaim compares registrations by what is stored of them.
func sameClaim(a, b Registration) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// isFirstRack reports whether nothing was given to another rack yet: no network, no VLAN, no links.
func isFirstRack(ctx context.Context, tx *store.Tx, r Rack) (bool, error) {
	all, err := racks.list(ctx, tx, "id <> ?", r.ID)
	if err != nil {
		return false, err
	}
	for _, other := range all {
		a, err := readAssignment(ctx, tx, other)
		if err != nil || !a.Empty() || len(other.Links) > 0 {
			return false, err
		}
	}
	a, err := readAssignment(ctx, tx, r)
	return a.Empty(), err
}

// grant gives a rack the networks of its registration, and the BMCs that it reaches: a site with
// one rack, or whose rack runs in the region's process, has no other way to them.
func (r *Rack) grant(reg Registration) {
	r.Open = false
	given := false
	for _, l := range reg.Links {
		for _, p := range l.Addrs {
			// The address of a virtual router or of a service is its own; it brings no network.
			if givesNetwork(p) {
				r.Networks, given = append(r.Networks, p.Masked()), true
			}
		}
	}
	if given && len(r.BMCNetworks) == 0 {
		r.BMCNetworks = everywhere
	}
	r.Networks, r.BMCNetworks = sortedNetworks(r.Networks), sortedNetworks(r.BMCNetworks)
}

// reportProposals adds an event for each network that was not claimed before.
func (inv *Inventory) reportProposals(ctx context.Context, before, now []RackProposal) error {
	for _, p := range now {
		if slices.ContainsFunc(before, func(b RackProposal) bool { return b.Network == p.Network }) {
			continue
		}
		err := inv.Events.Add(ctx, Event{Kind: "rack", Level: "warning", Description: fmt.Sprintf(
			"rack %s has %s on %s and was not given it; maas rack accept %s %s gives it, maas rack ignore %s %s keeps it off",
			p.Rack, p.Network, p.Link, p.Rack, p.Network, p.Rack, p.Network)})
		if err != nil {
			return err
		}
	}
	return nil
}

// linkSubnets makes the subnets that are missing for the addresses of a link and returns them.
func (inv *Inventory) linkSubnets(ctx context.Context, reg Registration, link RackLink) (made []ipam.Subnet, err error) {
	vlan, err := inv.linkVLAN(ctx, link.Addrs)
	if err != nil {
		return nil, err
	}
	for _, address := range link.Addrs {
		// A /32, as of a virtual router or of a service, is an address and no network.
		if address.IsSingleIP() || address.Addr().IsLinkLocalUnicast() {
			continue
		}
		prefix := address.Masked()
		known, err := inv.SubnetFor(ctx, address.Addr())
		if err == nil && known.Prefix != prefix {
			return nil, fmt.Errorf("inventory: it has the address %s, but the site has subnet %s there; correct the interface or the subnet", address, known.Prefix)
		}
		// Which IPv6 networks exist is the operator's decision.
		if err == nil || notFound(err) && !prefix.Addr().Is4() {
			continue
		}
		if !notFound(err) {
			return nil, err
		}
		if vlan == 0 {
			if vlan, err = inv.newNetwork(ctx); err != nil {
				return nil, err
			}
		}
		s := ipam.Subnet{Prefix: prefix, VLANID: vlan}
		for _, g := range reg.Gateways {
			if prefix.Contains(g) {
				s.Gateway = g
			}
		}
		if s, err = inv.Subnets.Create(ctx, s); err != nil {
			return nil, err
		}
		made = append(made, s)
	}
	return made, nil
}

// linkVLAN returns the VLAN of the first of the addresses whose subnet the site has; 0 = none.
// Interfaces have one broadcast domain, so the others are on it, too.
func (inv *Inventory) linkVLAN(ctx context.Context, addresses []netip.Prefix) (int64, error) {
	for _, a := range addresses {
		s, err := inv.SubnetFor(ctx, a.Addr())
		if err == nil {
			return s.VLANID, nil
		}
		if !notFound(err) {
			return 0, err
		}
	}
	return 0, nil
}

// vlanOfNetwork returns the VLAN for a subnet of which none is named: the VLAN of the rack's
// interface that has an address there; 0 = no rack has one, or its other networks are unknown.
func (inv *Inventory) vlanOfNetwork(ctx context.Context, tx *store.Tx, prefix netip.Prefix) (int64, error) {
	all, err := racks.list(ctx, tx, "")
	if err != nil {
		return 0, err
	}
	for _, r := range all {
		for _, l := range r.Links {
			if !slices.ContainsFunc(l.Addrs, func(a netip.Prefix) bool { return prefix.Contains(a.Addr()) }) {
				continue
			}
			if vlan, err := inv.linkVLAN(ctx, l.Addrs); vlan != 0 || err != nil {
				return vlan, err
			}
		}
	}
	return 0, nil
}

// newNetwork returns the default fabric's untagged VLAN if it has no subnets, else the VLAN of a
// new fabric.
func (inv *Inventory) newNetwork(ctx context.Context) (int64, error) {
	fabrics, err1 := inv.Fabrics.List(ctx)
	subnets, err2 := inv.Subnets.List(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	fabric := fabrics[0]
	if len(subnets) > 0 {
		var err error
		if fabric, err = inv.Fabrics.Create(ctx, ipam.Fabric{}); err != nil {
			return 0, err
		}
	}
	v, err := inv.DefaultVLAN(ctx, fabric.ID)
	return v.ID, err
}
