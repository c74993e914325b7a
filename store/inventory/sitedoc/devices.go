package sitedoc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
)

func (a *applier) devices(docs *[]Device) step {
	return kind[Device, inventory.Device]{
		applier: a, name: "device", docs: docs, objects: a.inv.Devices, id: func(d inventory.Device) int64 { return d.ID },
		doc: a.deviceDoc, fill: a.fillDevice,
		key: func(d Device) string { return a.machineKey(Machine{Hostname: d.Hostname, Domain: d.Domain}) },
		after: func(d Device, id int64) error {
			n := nodeInterfaces{a, id, d.Hostname, func() ([]inventory.Interface, error) {
				now, err := a.inv.Devices.Get(a.ctx, id)
				return now.Interfaces, err
			}}
			return n.fit(d.Interfaces)
		},
	}
}

func (a *applier) deviceDoc(x inventory.Device) (Device, error) {
	domain, err1 := a.inv.Domains.Get(a.ctx, x.DomainID)
	zone, err2 := a.inv.Zones.Get(a.ctx, x.ZoneID)
	if err := errors.Join(err1, err2); err != nil {
		return Device{}, err
	}
	out := Device{Hostname: x.Hostname, Domain: domain.Name, Description: x.Description, Zone: zone.Name, Owner: x.Owner}
	if x.ParentID != 0 {
		m, err := a.inv.Machines.Get(a.ctx, x.ParentID)
		if err != nil {
			return out, err
		}
		out.Parent = m.FQDN
	}
	for _, i := range x.Interfaces {
		d, err := a.interfaceDoc(i, x.Interfaces)
		if err != nil {
			return out, err
		}
		out.Interfaces = append(out.Interfaces, d)
	}
	return out, nil
}

func (a *applier) fillDevice(d Device, x *inventory.Device) error {
	domain, err := a.domainByName(d.Domain)
	if err != nil {
		return err
	}
	zones, err := a.inv.Zones.List(a.ctx)
	if err != nil {
		return err
	}
	zone, err := byName("zone", cmp.Or(d.Zone, zones[0].Name), zones, func(z inventory.AvailabilityZone) string { return z.Name })
	if err != nil {
		return err
	}
	x.Hostname, x.Description, x.Owner = strings.ToLower(d.Hostname), d.Description, d.Owner
	x.DomainID, x.ZoneID, x.ParentID = domain.ID, zone.ID, 0
	if d.Parent != "" {
		m, err := a.inv.Machines.Find(a.ctx, d.Parent)
		if err != nil {
			return err
		}
		x.ParentID = m.ID
	}
	return nil
}

func (a *applier) addresses(docs *[]Address) step {
	inv := a.inv
	give := func(ctx context.Context, x inventory.Orphan) (inventory.Orphan, error) {
		made, err := inv.ReserveAddress(ctx, inventory.Reservation{Owner: x.Owner, Addr: x.Addr, Hostname: x.Hostname, Comment: x.Comment})
		return inventory.Orphan{Allocation: made, Hostname: x.Hostname}, err
	}
	release := func(ctx context.Context, x inventory.Orphan) error {
		return inv.ReleaseAddress(ctx, x.Addr, x.Owner, true)
	}
	return kind[Address, inventory.Orphan]{
		applier: a, name: "address", docs: docs, list: inv.UserAddresses, id: func(x inventory.Orphan) int64 { return x.ID },
		doc: func(x inventory.Orphan) (Address, error) {
			return Address{x.Addr.String(), x.Owner, x.Hostname, x.Comment}, nil
		},
		key: func(d Address) string { return d.IP },
		fill: func(d Address, x *inventory.Orphan) (err error) {
			x.Owner, x.Hostname, x.Comment = cmp.Or(d.Owner, inventory.DefaultUser), d.Hostname, d.Comment
			x.Addr, err = addrOf("ip", d.IP)
			return err
		},
		create: give, remove: release,
		update: func(ctx context.Context, x inventory.Orphan) error {
			if err := release(ctx, x); err != nil {
				return err
			}
			_, err := give(ctx, x)
			return err
		},
	}
}

func (a *applier) snippets(docs *[]Snippet) step {
	return kind[Snippet, inventory.Snippet]{
		applier: a, name: "snippet", docs: docs, objects: a.inv.Snippets, id: func(s inventory.Snippet) int64 { return s.ID },
		doc: a.snippetDoc, key: func(d Snippet) string { return d.Name }, fill: a.fillSnippet,
	}
}

func (a *applier) snippetDoc(s inventory.Snippet) (out Snippet, err error) {
	out = Snippet{Name: s.Name, Description: s.Description, Value: s.Value, Disabled: !s.Enabled}
	switch {
	case s.NodeID != 0:
		m, merr := a.inv.Machines.Get(a.ctx, s.NodeID)
		if out.Machine = m.FQDN; merr != nil {
			d, derr := a.inv.Devices.Get(a.ctx, s.NodeID)
			out.Machine, out.Device, err = "", d.FQDN, derr
		}
	case s.SubnetID != 0:
		on, serr := a.inv.Subnets.Get(a.ctx, s.SubnetID)
		out.Subnet, err = on.Prefix.String(), serr
	case s.RangeID != 0:
		r, rerr := a.inv.Ranges.Get(a.ctx, s.RangeID)
		out.Range, err = r.Start.String()+"-"+r.End.String(), rerr
	}
	return out, err
}

func (a *applier) fillSnippet(d Snippet, s *inventory.Snippet) error {
	s.Name, s.Description, s.Value, s.Enabled = d.Name, d.Description, d.Value, !d.Disabled
	s.NodeID, s.SubnetID, s.RangeID = 0, 0, 0
	if d.Machine != "" {
		m, err := a.inv.Machines.Find(a.ctx, d.Machine)
		if err != nil {
			return err
		}
		s.NodeID = m.ID
	}
	if d.Device != "" {
		x, err := a.inv.Devices.Find(a.ctx, d.Device)
		if err != nil {
			return err
		}
		s.NodeID = x.ID
	}
	if d.Subnet != "" {
		on, err := a.subnetByCIDR(d.Subnet)
		if err != nil {
			return err
		}
		s.SubnetID = on.ID
	}
	if d.Range == "" {
		return nil
	}
	all, err := a.inv.Ranges.List(a.ctx)
	if err != nil {
		return err
	}
	r, err := byName("range", d.Range, all, func(r ipam.Range) string { return fmt.Sprintf("%s-%s", r.Start, r.End) })
	s.RangeID = r.ID
	return err
}
