package inventory

import (
	"cmp"
	"context"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory/kinds"
)

var routes = table[ipam.StaticRoute]{
	kind: kinds.Route, name: "static_route", cols: []string{"source_id", "destination_id", "gateway", "metric"},
	id: func(r *ipam.StaticRoute) *int64 { return &r.ID }, version: func(r *ipam.StaticRoute) *int64 { return &r.Version },
	label: func(r *ipam.StaticRoute) string { return r.String() },
	fields: func(r *ipam.StaticRoute) []any {
		return []any{&r.SourceID, &r.DestinationID, asText{&r.Gateway}, &r.Metric}
	},
}

var routeRules = rules[ipam.StaticRoute]{
	check: func(ctx context.Context, tx *store.Tx, r, _ *ipam.StaticRoute) error {
		source, err := subnets.get(ctx, tx, r.SourceID)
		if err != nil {
			return err
		}
		destination, err := subnets.get(ctx, tx, r.DestinationID)
		if err != nil {
			return err
		}
		return r.Validate(source, destination)
	},
	unique: func(r *ipam.StaticRoute) string { return "gateway " + r.Gateway.String() + " between these subnets" },
	// Clients of the source get another route: both the new and the former source change.
	after: func(ctx context.Context, tx *store.Tx, r, old *ipam.StaticRoute) error {
		if r != nil && old != nil && r.SourceID != old.SourceID {
			if err := touchSubnet(ctx, tx, old.SourceID); err != nil {
				return err
			}
		}
		return touchSubnet(ctx, tx, cmp.Or(r, old).SourceID)
	},
}
