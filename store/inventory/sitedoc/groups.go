package sitedoc

import (
	"context"
	"errors"
	"fmt"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// group begins what is done about objects that have a name and a description and nothing else.
func group[T any](a *applier, name string, docs *[]Group, fields func(*T) (id int64, name, description *string)) kind[Group, T] {
	return kind[Group, T]{
		applier: a, name: name, docs: docs,
		id: func(x T) int64 {
			id, _, _ := fields(&x)
			return id
		},
		doc: func(x T) (Group, error) {
			_, name, description := fields(&x)
			return Group{*name, *description}, nil
		},
		key: func(d Group) string { return d.Name },
		fill: func(d Group, x *T) error {
			_, name, description := fields(x)
			*name, *description = d.Name, d.Description
			return named(d.Name)
		},
	}
}

func (a *applier) zones(docs *[]Group) step {
	k := group(a, "zone", docs, func(z *inventory.AvailabilityZone) (int64, *string, *string) { return z.ID, &z.Name, &z.Description })
	k.objects, k.remove = a.inv.Zones, a.removeZone
	k.stays = func(z inventory.AvailabilityZone) bool { return z.Name == inventory.DefaultZone }
	return k
}

// removeZone refuses while machines are in the zone: deleting it would move them elsewhere.
func (a *applier) removeZone(ctx context.Context, z inventory.AvailabilityZone) error {
	machines, err := a.inv.Machines.List(ctx)
	for _, m := range machines {
		if m.ZoneID == z.ID {
			return &inventory.InUseError{Kind: kinds.Zone, Name: z.Name, By: []string{"machine " + m.FQDN}, Remedy: "move it to another zone first"}
		}
	}
	return errors.Join(err, a.inv.Zones.Delete(ctx, z.ID))
}

func (a *applier) pools(docs *[]Group) step {
	k := group(a, "pool", docs, func(p *inventory.ResourcePool) (int64, *string, *string) { return p.ID, &p.Name, &p.Description })
	k.objects = a.inv.Pools
	k.stays = func(p inventory.ResourcePool) bool { return p.Name == inventory.DefaultPool }
	return k
}

func (a *applier) spaces(docs *[]Group) step {
	k := group(a, "space", docs, func(s *ipam.Space) (int64, *string, *string) { return s.ID, &s.Name, &s.Description })
	k.objects = a.inv.Spaces
	return k
}

func named(name string) error {
	if name == "" {
		return errors.New("name is missing")
	}
	return nil
}

// byName finds an object by its name.
func byName[T any](what, name string, all []T, of func(T) string) (found T, err error) {
	for _, x := range all {
		if of(x) == name {
			return x, nil
		}
	}
	return found, fmt.Errorf("there is no %s %q", what, name)
}
