package inventory

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

var subnets = table[ipam.Subnet]{
	kind: KindSubnet, name: "subnet",
	cols: []string{"name", "description", "vlan_id", "prefix", "gateway", "dns_servers", "rdns", "unmanaged", "deny_dns", "deny_proxy", "active_discovery", "disabled_boot"},
	id:   func(s *ipam.Subnet) *int64 { return &s.ID }, version: func(s *ipam.Subnet) *int64 { return &s.Version },
	label: func(s *ipam.Subnet) string { return s.String() },
	fields: func(s *ipam.Subnet) []any {
		return []any{&s.Name, &s.Description, &s.VLANID, asText{&s.Prefix}, asText{&s.Gateway}, asJSON{&s.DNSServers}, asInt[ipam.RDNSMode]{&s.RDNS},
			&s.Unmanaged, &s.DenyDNS, &s.DenyProxy, &s.ActiveDiscovery, asJSON{&s.DisabledBootMethods}}
	},
}

// CreateSubnet adds a subnet to a VLAN (0 = the default VLAN of the default
// fabric). Its prefix must not overlap another's. Without a name it is called
// by its prefix.
func (inv *Inventory) CreateSubnet(ctx context.Context, s ipam.Subnet) (ipam.Subnet, error) {
	s.ID = 0
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		s.Prefix = s.Prefix.Masked()
		v, err := vlanOf(ctx, tx, s.VLANID)
		if err != nil {
			return err
		}
		s.VLANID = v.ID
		if s.Name == "" && s.Prefix.IsValid() {
			s.Name = s.Prefix.String()
		}
		if err := checkSubnet(ctx, tx, s); err != nil {
			return err
		}
		return taken(subnets.insert(ctx, tx, &s), KindSubnet, "CIDR "+s.Prefix.String())
	})
	return s, err
}

// UpdateSubnet changes a subnet. A new prefix must still hold its ranges and
// reserved and given addresses; where its name contains the old prefix, the
// new one takes its place.
func (inv *Inventory) UpdateSubnet(ctx context.Context, s ipam.Subnet) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := subnets.current(ctx, tx, &s)
		if err != nil {
			return err
		}
		s.Prefix = s.Prefix.Masked()
		if s.Prefix != old.Prefix && s.Prefix.IsValid() {
			s.Name = strings.ReplaceAll(s.Name, old.Prefix.String(), s.Prefix.String())
		}
		if _, err := vlans.get(ctx, tx, s.VLANID); err != nil {
			return err
		}
		if err := checkSubnet(ctx, tx, s); err != nil {
			return err
		}
		if err := checkFits(ctx, tx, s); err != nil {
			return err
		}
		if err := subnets.update(ctx, tx, &s); err != nil {
			return taken(err, KindSubnet, "CIDR "+s.Prefix.String())
		}
		return inv.touchSubnet(ctx, tx, s.ID)
	})
}

func checkSubnet(ctx context.Context, tx *store.Tx, s ipam.Subnet) error {
	if err := s.Validate(); err != nil {
		return err
	}
	others, err := subnets.list(ctx, tx, "")
	if err != nil {
		return err
	}
	return ipam.CheckOverlap(s, others)
}

// checkFits refuses a prefix that leaves out something the subnet has.
func checkFits(ctx context.Context, tx *store.Tx, s ipam.Subnet) error {
	u, err := usageOf(ctx, tx, s.ID)
	if err != nil {
		return err
	}
	var out []string
	check := func(a netip.Addr, what fmt.Stringer) {
		if a.IsValid() && !s.Prefix.Contains(a) {
			out = append(out, what.String())
		}
	}
	for _, r := range u.Ranges {
		check(r.Start, r)
		if s.Prefix.Contains(r.Start) {
			check(r.End, r)
		}
	}
	for _, r := range u.Reserved {
		check(r.Addr, r)
	}
	for _, a := range u.Allocations {
		if a.Type != ipam.AllocDiscovered {
			check(a.Addr, a)
		}
	}
	if len(out) > 0 {
		return invalid(KindSubnet, s.String(), "cidr", "leaves out "+out[0]+fmt.Sprintf(" (%d objects in all); remove what it leaves out first", len(out)))
	}
	return nil
}

// touchSubnet notes that the rules of a subnet's addresses have changed.
func (inv *Inventory) touchSubnet(ctx context.Context, tx *store.Tx, id int64) error {
	_, err := tx.Exec(ctx, "UPDATE subnet SET settings_rev = settings_rev + 1 WHERE id = ?", id)
	return err
}

// Subnets lists the subnets.
func (inv *Inventory) Subnets(ctx context.Context) ([]ipam.Subnet, error) {
	return listIn(ctx, inv, subnets, "")
}

// Subnet returns a subnet.
func (inv *Inventory) Subnet(ctx context.Context, id int64) (ipam.Subnet, error) {
	return getIn(ctx, inv, subnets, id)
}

// SubnetFor returns the subnet that an address lies in.
func (inv *Inventory) SubnetFor(ctx context.Context, a netip.Addr) (s ipam.Subnet, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		s, err = subnetFor(ctx, tx, a)
		return err
	})
	return s, err
}

func subnetFor(ctx context.Context, tx *store.Tx, a netip.Addr) (ipam.Subnet, error) {
	all, err := subnets.list(ctx, tx, "")
	if err != nil {
		return ipam.Subnet{}, err
	}
	for _, s := range all {
		if s.Prefix.Contains(a.Unmap()) {
			return s, nil
		}
	}
	return ipam.Subnet{}, &NotFoundError{KindSubnet, "for " + a.String()}
}

// DeleteSubnet deletes a subnet with its ranges, routes, reserved addresses
// and observations. One that a VLAN's DHCP hands out addresses of stays, and
// so does one with addresses held by machines, devices or users, unless force
// is set.
func (inv *Inventory) DeleteSubnet(ctx context.Context, id int64, force bool) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		u, err := usageOf(ctx, tx, id)
		if err != nil {
			return err
		}
		v, err := vlans.get(ctx, tx, u.Subnet.VLANID)
		if err != nil {
			return err
		}
		var by []string
		for _, r := range u.Ranges {
			if v.DHCP && r.Type == ipam.RangeDynamic {
				by = append(by, r.String())
			}
		}
		if err := inUse(KindSubnet, u.Subnet.String(), "delete the dynamic range, or turn DHCP off on VLAN "+v.String(), by); err != nil {
			return err
		}
		for _, a := range u.Allocations {
			if a.Type != ipam.AllocDiscovered {
				by = append(by, a.String())
			}
		}
		if err := inUse(KindSubnet, u.Subnet.String(), "release them, or use force", by); err != nil && !force {
			return err
		}
		return deleteSubnet(ctx, tx, id)
	})
}

// deleteSubnet deletes what belongs to the subnet too, so that the change feed tells of it.
func deleteSubnet(ctx context.Context, tx *store.Tx, id int64) error {
	return errors.Join(
		ranges.deleteWhere(ctx, tx, "subnet_id = ?", id),
		routes.deleteWhere(ctx, tx, "source_id = ? OR destination_id = ?", id, id),
		reservedIPs.deleteWhere(ctx, tx, "subnet_id = ?", id),
		allocations.deleteWhere(ctx, tx, "subnet_id = ?", id),
		subnets.delete(ctx, tx, id),
	)
}

// Usage returns everything that decides over the addresses of a subnet.
func (inv *Inventory) Usage(ctx context.Context, subnet int64) (u *ipam.Usage, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		u, err = usageOf(ctx, tx, subnet)
		return err
	})
	return u, err
}

// Explain says what an address is and who may have it.
func (inv *Inventory) Explain(ctx context.Context, a netip.Addr) (e ipam.Explanation, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, err := subnetFor(ctx, tx, a)
		if err != nil {
			return err
		}
		u, err := usageOf(ctx, tx, s.ID)
		if err == nil {
			e = u.Explain(a)
		}
		return err
	})
	return e, err
}

// usageOf reads a subnet with all that is on it.
func usageOf(ctx context.Context, tx *store.Tx, id int64) (u *ipam.Usage, err error) {
	if u, err = settingsOf(ctx, tx, id); err != nil {
		return nil, err
	}
	if u.Allocations, err = heldAddresses(ctx, tx, "a.subnet_id = ? AND a.ip IS NOT NULL", id); err != nil {
		return nil, err
	}
	u.Neighbours, err = neighboursOf(ctx, tx, u.Subnet.Prefix)
	return u, err
}

// settingsOf reads what rules the addresses of a subnet, without who holds them.
func settingsOf(ctx context.Context, tx *store.Tx, id int64) (u *ipam.Usage, err error) {
	u = new(ipam.Usage)
	if u.Subnet, err = subnets.get(ctx, tx, id); err != nil {
		return nil, err
	}
	if u.Ranges, err = ranges.list(ctx, tx, "subnet_id = ?", id); err != nil {
		return nil, err
	}
	if u.Routes, err = routes.list(ctx, tx, "source_id = ?", id); err != nil {
		return nil, err
	}
	u.Reserved, err = reservedIPs.list(ctx, tx, "subnet_id = ?", id)
	return u, err
}
