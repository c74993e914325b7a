package inventory

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

// Registration is a rack's report of its links when it connects.
type Registration struct {
	Rack string
	// Links are all its interfaces that have addresses.
	Links []RackLink
	// Serve are the names of those on which it serves machines.
	Serve []string
	// Gateways are the default routers of its networks, as far as it knows them.
	Gateways []netip.Addr
	// DynamicFirst and DynamicLast bound the dynamic range of a network that is new; not valid =
	// the suggested one.
	DynamicFirst, DynamicLast netip.Addr
	// NoDHCP leaves DHCP off on a network that is new.
	NoDHCP bool
	// DHCPMode says who gives addresses on a network that is new.
	DHCPMode ipam.DHCPMode
}

// RegisterLinks updates the links of a rack and makes what is needed to serve its networks: a
// subnet for an unknown network, a dynamic range, and DHCP where no rack serves yet. All networks
// of an interface are on one VLAN: an unknown one joins the VLAN of a known one, or is on a fabric
// of its own, since nothing shows that it is joined to another. Objects that exist stay as they
// are, so it may be called at every connection.
func (inv *Inventory) RegisterLinks(ctx context.Context, reg Registration) error {
	return inv.Atomically(ctx, func(ctx context.Context) error {
		var fresh []ipam.Subnet
		for _, link := range reg.Links {
			if !slices.Contains(reg.Serve, link.Name) {
				continue
			}
			made, err := inv.linkSubnets(ctx, reg, link)
			if err != nil {
				return fmt.Errorf("interface %s of rack %s: %w", link.Name, reg.Rack, err)
			}
			fresh = append(fresh, made...)
		}
		// The addresses of the rack are held before a range is suggested.
		if _, err := inv.RegisterRack(ctx, Rack{Name: reg.Rack, Links: reg.Links}); err != nil {
			return err
		}
		for _, s := range fresh {
			b := Bootstrap{Rack: reg.Rack, NoDHCP: reg.NoDHCP, DHCPMode: reg.DHCPMode}
			if s.Prefix.Contains(reg.DynamicFirst) {
				b.DynamicFirst, b.DynamicLast = reg.DynamicFirst, reg.DynamicLast
			}
			if err := inv.serve(ctx, s, b, true); err != nil {
				return err
			}
		}
		return nil
	})
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
