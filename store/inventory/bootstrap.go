package inventory

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/gomaas/maas/ipam"
)

// Bootstrap describes the one network that a new site begins with.
type Bootstrap struct {
	Rack    string       // name of the rack that serves it
	Link    string       // interface of the rack, such as "eth0"
	MAC     string       // of that interface; "" = not known
	Address netip.Prefix // the rack's address there with its prefix length, such as 192.168.1.2/24
	Gateway netip.Addr   // zero = the network has none
	DNS     []netip.Addr // given to clients after the racks; nil = none
	// Dynamic is the range DHCP hands out; not valid = the suggested one.
	DynamicFirst, DynamicLast netip.Addr
	// NoDHCP leaves DHCP off.
	NoDHCP bool
	// DHCPMode says who gives addresses.
	DHCPMode ipam.DHCPMode
}

// Bootstrap makes what is needed to serve one network on the default fabric's untagged VLAN: the
// rack, the subnet, a dynamic range, and DHCP turned on. Objects that exist stay as they are, so it
// may be called at every start.
func (inv *Inventory) Bootstrap(ctx context.Context, b Bootstrap) (s ipam.Subnet, err error) {
	err = inv.Atomically(ctx, func(ctx context.Context) error {
		prefix := b.Address.Masked()
		s, err = inv.SubnetFor(ctx, b.Address.Addr())
		fresh := notFound(err)
		if fresh {
			// The VLAN is left open: that of the interface, if the rack registered it before.
			s, err = inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix, Gateway: b.Gateway, DNSServers: b.DNS})
		}
		if err != nil {
			return err
		}
		if s.Prefix != prefix {
			return fmt.Errorf("inventory: %s has the address %s, but the site has subnet %s there; correct the interface or the subnet", b.Link, b.Address, s.Prefix)
		}
		if err := inv.addRackLink(ctx, b); err != nil {
			return err
		}
		return inv.serve(ctx, s, b, fresh)
	})
	return s, err
}

// addRackLink registers the rack, keeping links it has besides this one.
func (inv *Inventory) addRackLink(ctx context.Context, b Bootstrap) error {
	r, err := inv.Racks.Find(ctx, b.Rack)
	if notFound(err) {
		r, err = Rack{Name: b.Rack}, nil
	}
	if err != nil {
		return err
	}
	link := RackLink{Name: b.Link, MAC: b.MAC, Addrs: []netip.Prefix{b.Address}}
	links := []RackLink{link}
	for _, l := range r.Links {
		if l.Name != b.Link {
			links = append(links, l)
		}
	}
	r.Links = links
	_, err = inv.RegisterRack(ctx, r)
	return err
}

// serve adds the dynamic range and switches DHCP on, if the VLAN has no rack yet. A further network
// of a VLAN that the rack serves gets its range alone.
func (inv *Inventory) serve(ctx context.Context, s ipam.Subnet, b Bootstrap, fresh bool) error {
	v, err := inv.VLANs.Get(ctx, s.VLANID)
	if err != nil {
		return err
	}
	if fresh && v.DHCP && (v.PrimaryRack == b.Rack || v.SecondaryRack == b.Rack) {
		b.NoDHCP, b.DHCPMode = false, v.DHCPMode
		_, err = inv.addDynamic(ctx, s, b)
		return err
	}
	if v.PrimaryRack != "" || !fresh && v.DHCP {
		return nil
	}
	dynamic, err := inv.addDynamic(ctx, s, b)
	if err != nil {
		return err
	}
	v.PrimaryRack, v.DHCPMode = b.Rack, b.DHCPMode
	v.DHCP = !b.NoDHCP && (b.DHCPMode == ipam.DHCPProxy || dynamic)
	_, err = inv.VLANs.Update(ctx, v)
	return err
}

// addDynamic makes the dynamic range of a subnet that needs one, and reports whether it can have
// one.
func (inv *Inventory) addDynamic(ctx context.Context, s ipam.Subnet, b Bootstrap) (bool, error) {
	u, err := inv.Usage(ctx, s.ID)
	if err != nil || hasDynamic(u) {
		return err == nil, err
	}
	first, last := b.DynamicFirst, b.DynamicLast
	if !first.IsValid() {
		r := u.SuggestedDynamicRange()
		first, last = r.From(), r.To()
	}
	if first.IsValid() && b.DHCPMode != ipam.DHCPProxy {
		_, err = inv.Ranges.Create(ctx, ipam.Range{SubnetID: s.ID, Type: ipam.RangeDynamic, Start: first, End: last})
	}
	return first.IsValid(), err
}

func hasDynamic(u *ipam.Usage) bool {
	for _, r := range u.Ranges {
		if r.Type == ipam.RangeDynamic {
			return true
		}
	}
	return false
}
