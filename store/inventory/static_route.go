package inventory

import (
	"context"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
)

var routes = table[ipam.StaticRoute]{
	kind: KindRoute, name: "static_route", cols: []string{"source_id", "destination_id", "gateway", "metric"},
	id: func(r *ipam.StaticRoute) *int64 { return &r.ID }, version: func(r *ipam.StaticRoute) *int64 { return &r.Version },
	label: func(r *ipam.StaticRoute) string { return r.String() },
	fields: func(r *ipam.StaticRoute) []any {
		return []any{&r.SourceID, &r.DestinationID, asText{&r.Gateway}, &r.Metric}
	},
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
