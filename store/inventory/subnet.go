package inventory

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/ipam/netspec"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

var subnets = table[ipam.Subnet]{
	kind: kinds.Subnet, name: "subnet",
	cols: []string{"name", "description", "vlan_id", "prefix", "gateway", "dns_servers", "rdns", "unmanaged", "deny_dns", "deny_proxy", "active_discovery", "disabled_boot", "relays", "delegated"},
	id:   func(s *ipam.Subnet) *int64 { return &s.ID }, version: func(s *ipam.Subnet) *int64 { return &s.Version },
	label: func(s *ipam.Subnet) string { return s.String() },
	fields: func(s *ipam.Subnet) []any {
		return []any{&s.Name, &s.Description, &s.VLANID, asText{&s.Prefix}, asText{&s.Gateway}, asJSON{&s.DNSServers}, asInt[ipam.RDNSMode]{&s.RDNS},
			&s.Unmanaged, &s.DenyDNS, &s.DenyProxy, &s.ActiveDiscovery, asJSON{&s.DisabledBootMethods}, asJSON{&s.Relays}, asJSON{&s.Delegated}}
	},
}

func checkSubnet(ctx context.Context, tx *store.Tx, s ipam.Subnet) error {
	// Names, leases, boots and API know an address by itself.
	if s.VRF != "" {
		return invalid(kinds.Subnet, s.String(), "vrf", "is not supported: an address is of one network of the site; give a routing domain that overlaps a site of its own")
	}
	if err := s.Validate(); err != nil {
		return err
	}
	others, err := subnets.list(ctx, tx, "")
	if err != nil {
		return err
	}
	if err := s.CheckRelays(others); err != nil {
		return err
	}
	return s.CheckOverlap(others)
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
		return invalid(kinds.Subnet, s.String(), "cidr", "leaves out "+out[0]+fmt.Sprintf(" (%d objects in all); remove what it leaves out first", len(out)))
	}
	return nil
}

// SubnetFor returns the subnet that an address lies in.
func (inv *Inventory) SubnetFor(ctx context.Context, a netip.Addr) (s ipam.Subnet, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		s, err = subnetFor(ctx, tx, a)
		return err
	})
	return s, err
}

// subnetFor reads the one subnet that an address lies in. Prefixes are unique and do not overlap:
// it asks the index for each prefix that could hold the address, so that its cost does not grow
// with the site.
func subnetFor(ctx context.Context, tx *store.Tx, a netip.Addr) (ipam.Subnet, error) {
	a = a.Unmap().WithZone("")
	var prefixes []any
	for bits := range a.BitLen() + 1 {
		if p, err := a.Prefix(bits); err == nil {
			prefixes = append(prefixes, p.String())
		}
	}
	if len(prefixes) == 0 {
		return ipam.Subnet{}, &NotFoundError{kinds.Subnet, "for " + a.String()}
	}
	return subnets.one(ctx, tx, "for "+a.String(), "prefix IN (?"+strings.Repeat(", ?", len(prefixes)-1)+")", prefixes...)
}

// delegatingSubnet reads the subnet whose routers may be delegated the prefix of an address.
func delegatingSubnet(ctx context.Context, tx *store.Tx, a netip.Addr) (ipam.Subnet, error) {
	all, err := subnets.list(ctx, tx, "delegated <> 'null' AND delegated <> '[]'")
	for _, s := range all {
		if s.Delegates(a) {
			return s, nil
		}
	}
	if err == nil {
		err = &NotFoundError{kinds.Subnet, "that delegates the prefix of " + a.String()}
	}
	return ipam.Subnet{}, err
}

// SubnetDelegating returns the subnet whose routers may be delegated the prefix of an address.
func (inv *Inventory) SubnetDelegating(ctx context.Context, a netip.Addr) (s ipam.Subnet, err error) {
	err = inv.view(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		s, err = delegatingSubnet(ctx, tx, a)
		return err
	})
	return s, err
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

// subnetRules: a subnet without a VLAN is on the VLAN of the rack's interface that has an address
// in it, else on the default one, and without a name is called by its prefix. A new prefix must
// still hold the ranges and the reserved and given addresses; where the name contains the old
// prefix, it gets the new one.
func (inv *Inventory) subnetRules() rules[ipam.Subnet] {
	return rules[ipam.Subnet]{
		check: func(ctx context.Context, tx *store.Tx, s, old *ipam.Subnet) error {
			s.Prefix = s.Prefix.Masked()
			if old != nil {
				return changeSubnet(ctx, tx, s, old)
			}
			if s.VLANID == 0 && s.Prefix.IsValid() {
				var err error
				if s.VLANID, err = inv.vlanOfNetwork(ctx, tx, s.Prefix); err != nil {
					return err
				}
			}
			v, err := vlanOf(ctx, tx, s.VLANID)
			if err != nil {
				return err
			}
			s.VLANID = v.ID
			if s.Name == "" && s.Prefix.IsValid() {
				s.Name = s.Prefix.String()
			}
			return checkSubnet(ctx, tx, *s)
		},
		unique: func(s *ipam.Subnet) string { return "CIDR " + s.Prefix.String() },
		after: func(ctx context.Context, tx *store.Tx, s, old *ipam.Subnet) error {
			// The racks of a VLAN serve its subnets.
			if s == nil || old == nil || s.VLANID != old.VLANID || s.Prefix != old.Prefix {
				if err := inv.settleRacks(ctx, tx); err != nil {
					return err
				}
			}
			if s == nil || old == nil {
				return nil
			}
			return touchSubnet(ctx, tx, s.ID)
		},
		keep: func(ctx context.Context, tx *store.Tx, s *ipam.Subnet) error {
			return emptySubnet(ctx, tx, s.ID, false)
		},
		find: func(ctx context.Context, _ *store.Tx, spec string) (ipam.Subnet, error) {
			return oneBy(ctx, inv, spec, (*netspec.Networks).FindSubnets, subnets)
		},
	}
}

func changeSubnet(ctx context.Context, tx *store.Tx, s, old *ipam.Subnet) error {
	if s.Prefix != old.Prefix && s.Prefix.IsValid() {
		s.Name = strings.ReplaceAll(s.Name, old.Prefix.String(), s.Prefix.String())
	}
	if _, err := vlans.get(ctx, tx, s.VLANID); err != nil {
		return err
	}
	if err := checkSubnet(ctx, tx, *s); err != nil {
		return err
	}
	return checkFits(ctx, tx, *s)
}

// touchSubnet notes that the rules of a subnet's addresses have changed.
func touchSubnet(ctx context.Context, tx *store.Tx, id int64) error {
	_, err := tx.Exec(ctx, "UPDATE subnet SET settings_rev = settings_rev + 1 WHERE id = ?", id)
	return err
}

// ForceDeleteSubnet deletes a subnet although machines, devices or users hold addresses of it,
// which Subnets.Delete refuses. A subnet with a dynamic range stays while DHCP is on.
func (inv *Inventory) ForceDeleteSubnet(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := emptySubnet(ctx, tx, id, true); err != nil {
			return err
		}
		return subnets.delete(ctx, tx, id)
	})
}

// emptySubnet deletes the ranges, routes, reserved addresses and allocations of a subnet one by
// one, so that the change feed has them.
func emptySubnet(ctx context.Context, tx *store.Tx, id int64, force bool) error {
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
	if err := inUse(kinds.Subnet, u.Subnet.String(), "delete the dynamic range, or turn DHCP off on VLAN "+v.String(), by); err != nil {
		return err
	}
	for _, a := range u.Allocations {
		if a.Type != ipam.AllocDiscovered {
			by = append(by, a.String())
		}
	}
	if err := inUse(kinds.Subnet, u.Subnet.String(), "release them, or use force", by); err != nil && !force {
		return err
	}
	return errors.Join(
		ranges.deleteWhere(ctx, tx, "subnet_id = ?", id),
		routes.deleteWhere(ctx, tx, "source_id = ? OR destination_id = ?", id, id),
		reservedIPs.deleteWhere(ctx, tx, "subnet_id = ?", id),
		allocations.deleteWhere(ctx, tx, "subnet_id = ?", id),
	)
}
