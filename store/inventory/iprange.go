package inventory

import (
	"context"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

var ranges = table[ipam.Range]{
	kind: KindRange, name: "ip_range", cols: []string{"subnet_id", "type", "first_addr", "last_addr", "owner", "comment"},
	id: func(r *ipam.Range) *int64 { return &r.ID }, version: func(r *ipam.Range) *int64 { return &r.Version },
	label: func(r *ipam.Range) string { return r.String() },
	fields: func(r *ipam.Range) []any {
		return []any{&r.SubnetID, asInt[ipam.RangeType]{&r.Type}, asText{&r.Start}, asText{&r.End}, &r.Owner, &r.Comment}
	},
}

var routes = table[ipam.StaticRoute]{
	kind: KindRoute, name: "static_route", cols: []string{"source_id", "destination_id", "gateway", "metric"},
	id: func(r *ipam.StaticRoute) *int64 { return &r.ID }, version: func(r *ipam.StaticRoute) *int64 { return &r.Version },
	label: func(r *ipam.StaticRoute) string { return r.String() },
	fields: func(r *ipam.StaticRoute) []any {
		return []any{&r.SourceID, &r.DestinationID, asText{&r.Gateway}, &r.Metric}
	},
}

var reservedIPs = table[ipam.ReservedIP]{
	kind: KindReservedIP, name: "reserved_ip", cols: []string{"subnet_id", "ip", "mac", "comment"},
	id: func(r *ipam.ReservedIP) *int64 { return &r.ID }, version: func(r *ipam.ReservedIP) *int64 { return &r.Version },
	label: func(r *ipam.ReservedIP) string { return r.String() },
	fields: func(r *ipam.ReservedIP) []any {
		return []any{&r.SubnetID, asText{&r.Addr}, asMAC{&r.MAC}, &r.Comment}
	},
}

// CreateRange adds a range. SubnetID 0 stands for the subnet its start is in.
func (inv *Inventory) CreateRange(ctx context.Context, r ipam.Range) (ipam.Range, error) {
	r.ID = 0
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if r.SubnetID == 0 {
			s, err := subnetFor(ctx, tx, r.Start)
			if err != nil {
				return err
			}
			r.SubnetID = s.ID
		}
		if err := checkRange(ctx, tx, r); err != nil {
			return err
		}
		if err := ranges.insert(ctx, tx, &r); err != nil {
			return err
		}
		return inv.touchSubnet(ctx, tx, r.SubnetID)
	})
	return r, err
}

// UpdateRange changes a range. A dynamic one may be resized although
// addresses inside it are held.
func (inv *Inventory) UpdateRange(ctx context.Context, r ipam.Range) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := ranges.current(ctx, tx, &r)
		if err != nil {
			return err
		}
		r.SubnetID = old.SubnetID
		if err := checkRange(ctx, tx, r); err != nil {
			return err
		}
		if err := ranges.update(ctx, tx, &r); err != nil {
			return err
		}
		return inv.touchSubnet(ctx, tx, r.SubnetID)
	})
}

func checkRange(ctx context.Context, tx *store.Tx, r ipam.Range) error {
	u, err := usageOf(ctx, tx, r.SubnetID)
	if err != nil {
		return err
	}
	return u.CheckRange(r)
}

// DeleteRange deletes a range. The leases of a dynamic one run out.
func (inv *Inventory) DeleteRange(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := ranges.get(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := ranges.delete(ctx, tx, id); err != nil {
			return err
		}
		return inv.touchSubnet(ctx, tx, r.SubnetID)
	})
}

// Ranges lists the ranges of all subnets.
func (inv *Inventory) Ranges(ctx context.Context) ([]ipam.Range, error) {
	return listIn(ctx, inv, ranges, "")
}

// Range returns a range.
func (inv *Inventory) Range(ctx context.Context, id int64) (ipam.Range, error) {
	return getIn(ctx, inv, ranges, id)
}

// CreateRoute adds a static route.
func (inv *Inventory) CreateRoute(ctx context.Context, r ipam.StaticRoute) (ipam.StaticRoute, error) {
	r.ID = 0
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := checkRoute(ctx, tx, r); err != nil {
			return err
		}
		if err := routes.insert(ctx, tx, &r); err != nil {
			return taken(err, KindRoute, "gateway "+r.Gateway.String()+" between these subnets")
		}
		return inv.touchSubnet(ctx, tx, r.SourceID)
	})
	return r, err
}

// UpdateRoute changes a static route.
func (inv *Inventory) UpdateRoute(ctx context.Context, r ipam.StaticRoute) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		old, err := routes.current(ctx, tx, &r)
		if err != nil {
			return err
		}
		if err := checkRoute(ctx, tx, r); err != nil {
			return err
		}
		if err := routes.update(ctx, tx, &r); err != nil {
			return taken(err, KindRoute, "gateway "+r.Gateway.String()+" between these subnets")
		}
		if err := inv.touchSubnet(ctx, tx, old.SourceID); err != nil {
			return err
		}
		return inv.touchSubnet(ctx, tx, r.SourceID)
	})
}

func checkRoute(ctx context.Context, tx *store.Tx, r ipam.StaticRoute) error {
	source, err := subnets.get(ctx, tx, r.SourceID)
	if err != nil {
		return err
	}
	destination, err := subnets.get(ctx, tx, r.DestinationID)
	if err != nil {
		return err
	}
	return r.Validate(source, destination)
}

// DeleteRoute deletes a static route.
func (inv *Inventory) DeleteRoute(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := routes.get(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := routes.delete(ctx, tx, id); err != nil {
			return err
		}
		return inv.touchSubnet(ctx, tx, r.SourceID)
	})
}

// Routes lists the static routes.
func (inv *Inventory) Routes(ctx context.Context) ([]ipam.StaticRoute, error) {
	return listIn(ctx, inv, routes, "")
}

// Route returns a static route.
func (inv *Inventory) Route(ctx context.Context, id int64) (ipam.StaticRoute, error) {
	return getIn(ctx, inv, routes, id)
}

// CreateReservedIP keeps an address for a link address. SubnetID 0 stands for
// the subnet the address is in.
func (inv *Inventory) CreateReservedIP(ctx context.Context, r ipam.ReservedIP) (ipam.ReservedIP, error) {
	r.ID = 0
	err := inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		if r.SubnetID == 0 {
			s, err := subnetFor(ctx, tx, r.Addr)
			if err != nil {
				return err
			}
			r.SubnetID = s.ID
		}
		u, err := usageOf(ctx, tx, r.SubnetID)
		if err != nil {
			return err
		}
		own, err := interfaceIDs(ctx, tx, r.MAC)
		if err != nil {
			return err
		}
		if err := u.CheckReservedIP(r, func(a ipam.Allocation) bool { return own[a.InterfaceID] }); err != nil {
			return err
		}
		if err := reservedIPs.insert(ctx, tx, &r); err != nil {
			return taken(err, KindReservedIP, "address "+r.Addr.String()+" or MAC "+r.MAC.String())
		}
		return inv.touchSubnet(ctx, tx, r.SubnetID)
	})
	return r, err
}

// SetReservedIPComment changes the only thing of a reserved IP that can be.
func (inv *Inventory) SetReservedIPComment(ctx context.Context, id int64, comment string) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := reservedIPs.get(ctx, tx, id)
		if err != nil {
			return err
		}
		r.Comment = comment
		return reservedIPs.update(ctx, tx, &r)
	})
}

// DeleteReservedIP gives up a reserved IP.
func (inv *Inventory) DeleteReservedIP(ctx context.Context, id int64) error {
	return inv.update(ctx, func(ctx context.Context, tx *store.Tx) error {
		r, err := reservedIPs.get(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := reservedIPs.delete(ctx, tx, id); err != nil {
			return err
		}
		return inv.touchSubnet(ctx, tx, r.SubnetID)
	})
}

// ReservedIPs lists the reserved IPs.
func (inv *Inventory) ReservedIPs(ctx context.Context) ([]ipam.ReservedIP, error) {
	return listIn(ctx, inv, reservedIPs, "")
}

// ReservedIP returns a reserved IP.
func (inv *Inventory) ReservedIP(ctx context.Context, id int64) (ipam.ReservedIP, error) {
	return getIn(ctx, inv, reservedIPs, id)
}
