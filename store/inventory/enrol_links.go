package inventory

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gomaas/maas/ipam"
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
// subnet for an unknown network, on a fabric of its own since nothing shows that it is joined to
// another; a dynamic range; and DHCP where no rack serves yet. Objects that exist stay as they are,
// so it may be called at every connection.
func (inv *Inventory) RegisterLinks(ctx context.Context, reg Registration) error {
	return inv.Atomically(ctx, func(ctx context.Context) error {
		var fresh []ipam.Subnet
		for _, link := range reg.Links {
			if !slices.Contains(reg.Serve, link.Name) {
				continue
			}
			for _, address := range link.Addrs {
				s, err := inv.linkSubnet(ctx, reg, address)
				if err != nil {
					return fmt.Errorf("interface %s of rack %s: %w", link.Name, reg.Rack, err)
				}
				if s.ID != 0 {
					fresh = append(fresh, s)
				}
			}
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

// linkSubnet makes the subnet of an address if there is none, and returns it then; the zero Subnet
// if there is one that serves.
func (inv *Inventory) linkSubnet(ctx context.Context, reg Registration, address netip.Prefix) (ipam.Subnet, error) {
	prefix := address.Masked()
	s, err := inv.SubnetFor(ctx, address.Addr())
	if err == nil {
		if s.Prefix != prefix {
			return s, fmt.Errorf("inventory: it has the address %s, but the site has subnet %s there; correct the interface or the subnet", address, s.Prefix)
		}
		return ipam.Subnet{}, nil
	}
	if !notFound(err) {
		return s, err
	}
	if !prefix.Addr().Is4() { // which IPv6 networks there are is the operator's to say
		return ipam.Subnet{}, nil
	}
	vlan, err := inv.newNetwork(ctx)
	if err != nil {
		return s, err
	}
	s = ipam.Subnet{Prefix: prefix, VLANID: vlan}
	for _, g := range reg.Gateways {
		if prefix.Contains(g) {
			s.Gateway = g
		}
	}
	return inv.Subnets.Create(ctx, s)
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
