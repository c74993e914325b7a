package sitedoc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/gomaas/maas/ipam"
)

func (a *applier) ranges(docs *[]Range) step {
	inv := a.inv
	return kind[Range, ipam.Range]{
		applier: a, name: "range", docs: docs, objects: inv.Ranges, id: func(r ipam.Range) int64 { return r.ID },
		doc: func(r ipam.Range) (Range, error) {
			out := Range{Type: r.Type.String(), Start: r.Start.String(), End: r.End.String(), Comment: r.Comment}
			if r.ClassID == 0 {
				return out, nil
			}
			c, err := inv.Classes.Get(a.ctx, r.ClassID)
			out.Class = c.Name
			return out, err
		},
		key: func(d Range) string { return d.Start + "-" + d.End },
		fill: func(d Range, r *ipam.Range) (err error) {
			if r.Type, err = ipam.ParseRangeType(d.Type); err != nil {
				return err
			}
			if r.Start, err = addrOf("start_ip", d.Start); err != nil {
				return err
			}
			r.Comment, r.ClassID = d.Comment, 0
			if d.Class != "" {
				c, err := inv.Classes.Find(a.ctx, d.Class)
				if errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("dhcp_class: there is no class %q; add it to dhcp_classes", d.Class)
				}
				if err != nil {
					return err
				}
				r.ClassID = c.ID
			}
			r.End, err = addrOf("end_ip", d.End)
			return err
		},
	}
}

func (a *applier) routes(docs *[]Route) step {
	inv := a.inv
	return kind[Route, ipam.StaticRoute]{
		applier: a, name: "route", docs: docs, objects: inv.Routes, id: func(r ipam.StaticRoute) int64 { return r.ID },
		doc: func(r ipam.StaticRoute) (Route, error) {
			from, err := inv.Subnets.Get(a.ctx, r.SourceID)
			if err != nil {
				return Route{}, err
			}
			to, err := inv.Subnets.Get(a.ctx, r.DestinationID)
			return Route{from.Prefix.String(), to.Prefix.String(), r.Gateway.String(), r.Metric}, err
		},
		key: func(d Route) string {
			return canonical(d.Source) + " to " + canonical(d.Destination) + " via " + d.Gateway
		},
		fill: func(d Route, r *ipam.StaticRoute) error {
			from, err := a.subnetByCIDR(d.Source)
			if err != nil {
				return err
			}
			to, err := a.subnetByCIDR(d.Destination)
			if err != nil {
				return err
			}
			r.SourceID, r.DestinationID, r.Metric = from.ID, to.ID, d.Metric
			r.Gateway, err = addrOf("gateway_ip", d.Gateway)
			return err
		},
	}
}

func (a *applier) reserved(docs *[]ReservedIP) step {
	inv := a.inv
	return kind[ReservedIP, ipam.ReservedIP]{
		applier: a, name: "reserved IP", docs: docs, objects: inv.ReservedIPs, id: func(r ipam.ReservedIP) int64 { return r.ID },
		doc: func(r ipam.ReservedIP) (ReservedIP, error) {
			return ReservedIP{r.Addr.String(), r.MAC.String(), r.Comment}, nil
		},
		key: func(d ReservedIP) string { return d.IP },
		fill: func(d ReservedIP, r *ipam.ReservedIP) (err error) {
			if r.Addr, err = addrOf("ip", d.IP); err != nil {
				return err
			}
			r.Comment = d.Comment
			r.MAC, err = macOf(d.MAC)
			return err
		},
		update: func(ctx context.Context, r ipam.ReservedIP) error { // the address may be for another MAC now
			if err := inv.ReservedIPs.Delete(ctx, r.ID); err != nil {
				return err
			}
			_, err := inv.ReservedIPs.Create(ctx, r)
			return err
		},
	}
}
