package sitedoc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
)

// tagged is a tag with what has it.
type tagged struct {
	inventory.Tag
	machines []inventory.Machine
	devices  []inventory.Device
	subnets  []ipam.Subnet
}

func (a *applier) tags(docs *[]Tag) step {
	inv := a.inv
	return kind[Tag, tagged]{
		applier: a, name: "tag", docs: docs, list: a.listTags, id: func(t tagged) int64 { return t.ID },
		doc: func(t tagged) (Tag, error) {
			out := Tag{Name: t.Name, Comment: t.Comment, KernelOpts: t.KernelOpts}
			for _, m := range t.machines {
				out.Machines = append(out.Machines, m.FQDN)
			}
			for _, d := range t.devices {
				out.Devices = append(out.Devices, d.FQDN)
			}
			for _, s := range t.subnets {
				out.Subnets = append(out.Subnets, s.Prefix.String())
			}
			return out, nil
		},
		key: func(d Tag) string { return d.Name }, fill: a.fillTag,
		create: func(ctx context.Context, t tagged) (made tagged, err error) {
			made = t
			if made.Tag, err = inv.Tags.Create(ctx, t.Tag); err != nil {
				return made, err
			}
			return made, a.fitTag(ctx, made)
		},
		update: func(ctx context.Context, t tagged) error {
			if _, err := inv.Tags.Update(ctx, t.Tag); err != nil {
				return err
			}
			return a.fitTag(ctx, t)
		},
		remove: func(ctx context.Context, t tagged) error { return inv.Tags.Delete(ctx, t.ID) },
	}
}

func (a *applier) listTags(ctx context.Context) ([]tagged, error) {
	all, err1 := a.inv.Tags.List(ctx)
	subnets, err2 := a.inv.Subnets.List(ctx)
	of, err3 := a.inv.Tags.OfSubnets(ctx)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	out := make([]tagged, 0, len(all))
	for _, t := range all {
		x := tagged{Tag: t}
		var err error
		if x.machines, err = a.inv.Tags.Machines(ctx, t.Name); err != nil {
			return nil, err
		}
		if x.devices, err = a.inv.Tags.Devices(ctx, t.Name); err != nil {
			return nil, err
		}
		for _, s := range subnets {
			if slices.Contains(of[s.ID], t.Name) {
				x.subnets = append(x.subnets, s)
			}
		}
		out = append(out, x)
	}
	return out, nil
}

func (a *applier) fillTag(d Tag, t *tagged) (err error) {
	t.Name, t.Comment, t.KernelOpts = d.Name, d.Comment, d.KernelOpts
	if d.Machines != nil {
		t.machines, err = found(d.Machines, func(name string) (inventory.Machine, error) { return a.inv.Machines.Find(a.ctx, name) },
			func(m inventory.Machine) [2]int64 { return [2]int64{m.DomainID, m.ID} })
	}
	if d.Devices != nil && err == nil {
		t.devices, err = found(d.Devices, func(name string) (inventory.Device, error) { return a.inv.Devices.Find(a.ctx, name) },
			func(d inventory.Device) [2]int64 { return [2]int64{d.DomainID, d.ID} })
	}
	if d.Subnets != nil && err == nil {
		t.subnets, err = found(d.Subnets, a.subnetByCIDR, func(s ipam.Subnet) [2]int64 { return [2]int64{s.ID} })
	}
	return err
}

// found returns the objects with these names, each once, in the order of their key, in which they
// are listed.
func found[T any](names []string, find func(string) (T, error), key func(T) [2]int64) ([]T, error) {
	out := make([]T, 0, len(names))
	for _, name := range names {
		x, err := find(name)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(x, y T) int {
		a, b := key(x), key(y)
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	return slices.CompactFunc(out, func(x, y T) bool { return key(x) == key(y) }), nil
}

// fitTag gives the tag to those that are to have it, and takes it from the others.
func (a *applier) fitTag(ctx context.Context, want tagged) error {
	all, err := a.listTags(ctx)
	if err != nil {
		return err
	}
	have := all[slices.IndexFunc(all, func(t tagged) bool { return t.ID == want.ID })]
	machine, subnet := func(m inventory.Machine) int64 { return m.ID }, func(s ipam.Subnet) int64 { return s.ID }
	device := func(d inventory.Device) int64 { return d.ID }
	add := append(ids(want.machines, machine), ids(want.devices, device)...)
	remove := append(missing(have.machines, want.machines, machine), missing(have.devices, want.devices, device)...)
	if _, _, err := a.inv.Tags.MarkNodes(ctx, want.ID, add, remove); err != nil {
		return err
	}
	_, _, err = a.inv.Tags.MarkSubnets(ctx, want.ID, ids(want.subnets, subnet), missing(have.subnets, want.subnets, subnet))
	return err
}

func ids[T any](all []T, id func(T) int64) []int64 {
	out := make([]int64, 0, len(all))
	for _, x := range all {
		out = append(out, id(x))
	}
	return out
}

// missing are the IDs of all that are not in of.
func missing[T any](all, of []T, id func(T) int64) []int64 {
	there := ids(of, id)
	return slices.DeleteFunc(ids(all, id), func(x int64) bool { return slices.Contains(there, x) })
}

func (a *applier) profiles(docs *[]BootProfile) step {
	inv := a.inv
	set := func(ctx context.Context, p inventory.BootProfile) error {
		return inv.Profiles.Set(ctx, p.For, &p.Profile)
	}
	return kind[BootProfile, inventory.BootProfile]{
		applier: a, name: "boot profile", docs: docs, list: inv.Profiles.List, id: func(inventory.BootProfile) int64 { return 0 },
		doc: func(p inventory.BootProfile) (BootProfile, error) {
			out := BootProfile{Profile: profileDoc(p.Profile)}
			switch {
			case p.For.MachineID != 0:
				out.Machine = p.Name
			case p.For.TagID != 0:
				out.Tag = p.Name
			case p.For.SubnetID != 0:
				out.Subnet = p.Name
			}
			return out, nil
		},
		key: a.profileName, fill: a.fillProfile,
		create: func(ctx context.Context, p inventory.BootProfile) (inventory.BootProfile, error) {
			return p, set(ctx, p)
		},
		update: set,
		remove: func(ctx context.Context, p inventory.BootProfile) error { return inv.Profiles.Set(ctx, p.For, nil) },
	}
}

// profileName names the target of a profile.
func (a *applier) profileName(d BootProfile) string {
	switch {
	case d.Machine != "":
		host, domain, _ := strings.Cut(d.Machine, ".")
		return "of machine " + a.machineKey(Machine{Hostname: host, Domain: domain})
	case d.Tag != "":
		return "of tag " + d.Tag
	case d.Subnet != "":
		return "of subnet " + canonical(d.Subnet)
	}
	return "of the site"
}

func (a *applier) fillProfile(d BootProfile, p *inventory.BootProfile) error {
	p.Profile, p.For = d.Profile.Profile, inventory.BootTarget{}
	for _, f := range []struct {
		name, text string
		to         *time.Duration
	}{{"delay", d.Profile.Delay, &p.Profile.Delay}, {"timeout", d.Profile.Timeout, &p.Profile.Timeout}} {
		if f.text == "" {
			continue
		}
		var err error
		if *f.to, err = time.ParseDuration(f.text); err != nil {
			return fmt.Errorf("%s: %q is not a time like 10s", f.name, f.text)
		}
	}
	if d.Machine != "" {
		m, err := a.inv.Machines.Find(a.ctx, d.Machine)
		if err != nil {
			return err
		}
		p.For.MachineID, p.Name = m.ID, m.FQDN
	}
	if d.Tag != "" {
		t, err := a.inv.Tags.Find(a.ctx, d.Tag)
		if err != nil {
			return err
		}
		p.For.TagID, p.Name = t.ID, t.Name
	}
	if d.Subnet != "" {
		s, err := a.subnetByCIDR(d.Subnet)
		if err != nil {
			return err
		}
		p.For.SubnetID, p.Name = s.ID, s.Prefix.String()
	}
	return nil
}

func profileDoc(p pxe.Profile) Profile {
	out := Profile{Profile: p}
	if out.Profile.Delay = 0; p.Delay != 0 {
		out.Delay = p.Delay.String()
	}
	if out.Profile.Timeout = 0; p.Timeout != 0 {
		out.Timeout = p.Timeout.String()
	}
	return out
}
