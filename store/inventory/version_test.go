package inventory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/kinds"
)

// versioned is an object that can be updated, as the test below sees it.
type versioned struct {
	kind   string
	update func(ctx context.Context, version int64, text string) error // of a copy that was read at a version
}

// everyVersioned makes one object of each kind that can be updated.
func everyVersioned(t *testing.T, inv *inventory.Inventory) []versioned {
	t.Helper()
	ctx := t.Context()
	f := must[ipam.Fabric](t)(inv.Fabrics.Create(ctx, ipam.Fabric{Name: "f"}))
	sp := must[ipam.Space](t)(inv.Spaces.Create(ctx, ipam.Space{Name: "s"}))
	v := must[ipam.VLAN](t)(inv.VLANs.Create(ctx, ipam.VLAN{VID: 9}))
	s := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.0.0.0/24")}))
	far := must[ipam.Subnet](t)(inv.Subnets.Create(ctx, ipam.Subnet{Prefix: prefix("10.1.0.0/24")}))
	r := must[ipam.Range](t)(inv.Ranges.Create(ctx, ipam.Range{Start: addr("10.0.0.9"), End: addr("10.0.0.9")}))
	rt := must[ipam.StaticRoute](t)(inv.Routes.Create(ctx, ipam.StaticRoute{SourceID: s.ID, DestinationID: far.ID, Gateway: addr("10.0.0.1")}))
	z := must[inventory.AvailabilityZone](t)(inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: "z"}))
	p := must[inventory.ResourcePool](t)(inv.Pools.Create(ctx, inventory.ResourcePool{Name: "p"}))
	d := must[inventory.Domain](t)(inv.Domains.Create(ctx, inventory.Domain{Name: "d"}))
	rec := must[inventory.DNSRecord](t)(inv.Records.Create(ctx, inventory.DNSRecord{DomainID: d.ID, Name: "x", Type: "TXT", Data: "a"}))
	rack := must[inventory.Rack](t)(inv.RegisterRack(ctx, inventory.Rack{Name: "r"}))
	m := must[inventory.Machine](t)(inv.Machines.Create(ctx, inventory.Machine{Interfaces: []inventory.Interface{nic(1)}}))
	dev := must[inventory.Device](t)(inv.Devices.Create(ctx, inventory.Device{Interfaces: []inventory.Interface{nic(2)}}))
	i := m.Interfaces[0].Interface
	number := func(text string) int { n, _ := strconv.Atoi(text); return n }
	return []versioned{
		{kinds.Fabric, func(ctx context.Context, n int64, x string) error {
			f.Version, f.Description = n, x
			return errOf(inv.Fabrics.Update(ctx, f))
		}},
		{kinds.Space, func(ctx context.Context, n int64, x string) error {
			sp.Version, sp.Description = n, x
			return errOf(inv.Spaces.Update(ctx, sp))
		}},
		{kinds.VLAN, func(ctx context.Context, n int64, x string) error {
			v.Version, v.Description = n, x
			return errOf(inv.VLANs.Update(ctx, v))
		}},
		{kinds.Subnet, func(ctx context.Context, n int64, x string) error {
			s.Version, s.Description = n, x
			return errOf(inv.Subnets.Update(ctx, s))
		}},
		{kinds.Range, func(ctx context.Context, n int64, x string) error {
			r.Version, r.Comment = n, x
			return errOf(inv.Ranges.Update(ctx, r))
		}},
		{kinds.Route, func(ctx context.Context, n int64, x string) error {
			rt.Version, rt.Metric = n, number(x)
			return errOf(inv.Routes.Update(ctx, rt))
		}},
		{kinds.Zone, func(ctx context.Context, n int64, x string) error {
			z.Version, z.Description = n, x
			return errOf(inv.Zones.Update(ctx, z))
		}},
		{kinds.Pool, func(ctx context.Context, n int64, x string) error {
			p.Version, p.Description = n, x
			return errOf(inv.Pools.Update(ctx, p))
		}},
		{kinds.Domain, func(ctx context.Context, n int64, x string) error {
			d.Version, d.TTL = n, number(x)
			return errOf(inv.Domains.Update(ctx, d))
		}},
		{kinds.Record, func(ctx context.Context, n int64, x string) error {
			rec.Version, rec.Data = n, x
			return errOf(inv.Records.Update(ctx, rec))
		}},
		{kinds.Rack, func(ctx context.Context, n int64, x string) error {
			rack.Version, rack.ZoneID = n, map[bool]int64{true: z.ID, false: 0}[x == "5"]
			return errOf(inv.Racks.Update(ctx, rack))
		}},
		{kinds.Interface, func(ctx context.Context, n int64, x string) error {
			i.Version, i.Params = n, map[string]string{"x": x}
			return errOf(inv.Interfaces.Update(ctx, i))
		}},
		{kinds.Machine, func(ctx context.Context, n int64, x string) error {
			m := m
			m.Version, m.Description = n, x
			_, err := inv.Machines.Update(ctx, m)
			return err
		}},
		{kinds.Device, func(ctx context.Context, n int64, x string) error {
			dev := dev
			dev.Version, dev.Description = n, x
			_, err := inv.Devices.Update(ctx, dev)
			return err
		}},
	}
}

// A write based on an old version is refused, whatever the object, and
// leaves the database as it is.
func TestStaleWritesAreRefused(t *testing.T) {
	onDatabases(t, func(t *testing.T, db *store.DB, inv *inventory.Inventory) {
		for _, o := range everyVersioned(t, inv) {
			t.Run(o.kind, func(t *testing.T) {
				ok(t, o.update(t.Context(), 1, "5"))
				before := dumpOf(t, db)
				for _, version := range []int64{1, 0, 3} {
					err := o.update(t.Context(), version, "6")
					var stale *inventory.StaleError
					if !errors.As(err, &stale) || stale.Kind != o.kind || stale.Have != 2 || stale.Want != version {
						t.Errorf("version %d: err = %v, want a StaleError at version 2", version, err)
					}
				}
				if got := dumpOf(t, db); got != before {
					t.Errorf("a refused write changed the database:\n%s\nwas\n%s", got, before)
				}
				ok(t, o.update(t.Context(), 2, "7"))
			})
		}
	})
}

// Many read, change and write one object: no change is lost.
func TestNoUpdateIsLost(t *testing.T) {
	onEngines(t, func(t *testing.T, inv *inventory.Inventory) {
		const writers, each = 8, 5
		ctx := t.Context()
		z := must[inventory.AvailabilityZone](t)(inv.Zones.Create(ctx, inventory.AvailabilityZone{Name: "z", Description: "0"}))
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for done := 0; done < each; {
					z, err := inv.Zones.Get(ctx, z.ID)
					if err != nil {
						t.Error(err)
						return
					}
					n, _ := strconv.Atoi(z.Description)
					z.Description = fmt.Sprint(n + 1)
					_, err = inv.Zones.Update(ctx, z)
					var stale *inventory.StaleError
					switch {
					case err == nil:
						done++
					case !errors.As(err, &stale):
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		if z = must[inventory.AvailabilityZone](t)(inv.Zones.Get(ctx, z.ID)); z.Description != fmt.Sprint(writers*each) {
			t.Errorf("counted %s, want %d", z.Description, writers*each)
		}
	})
}

// dumpOf is all data as text.
func dumpOf(t testing.TB, db *store.DB) string {
	t.Helper()
	var b bytes.Buffer
	ok(t, db.Dump(t.Context(), &b))
	return b.String()
}
