package maasapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
	"github.com/gomaas/maas/store/inventory/plan"
)

// placeForm reads the zone, pool and domain of a machine.
func (a *API) placeForm(r *http.Request, f *form.Form, m *inventory.Machine) {
	readRef(f, "zone", &m.ZoneID, a.zoneRef(r))
	readRef(f, "pool", &m.PoolID, a.poolRef(r))
	readRef(f, "domain", &m.DomainID, a.domainRef(r))
}

// updateMachine changes the fields of the form. Power parameters that the form does not have stay
// as they are, unless the power type changes: another type has other parameters.
func (a *API) updateMachine(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	var m inventory.Machine
	err = a.tx.Atomically(r.Context(), func(ctx context.Context) error {
		r := r.WithContext(ctx)
		if m, err = a.find(r); err != nil {
			return err
		}
		if err := ifMatch(r, m); err != nil {
			return err
		}
		f.Text("hostname", &m.Hostname)
		f.Text("description", &m.Description)
		f.Text("architecture", &m.Architecture)
		if a.placeForm(r, f, &m); f.Err != nil {
			return f.Err
		}
		if err := a.powerForm(ctx, f, &m); err != nil {
			return err
		}
		m, err = a.inv.Machines.Update(ctx, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.show(r, m)
}

// powerForm reads power type and parameters. The stored parameters come first and the form's over
// them, so that a client that cannot read the password back can still change the address.
func (a *API) powerForm(ctx context.Context, f *form.Form, m *inventory.Machine) error {
	touched := f.Has("power_type") || f.Has("power_parameters")
	for name := range f.Values {
		touched = touched || strings.HasPrefix(name, powerPrefix)
	}
	if !touched {
		return nil
	}
	values := map[string][]string{}
	if kind := cmp.Or(f.Get("power_type"), m.Power.Type); kind == m.Power.Type {
		stored, err := a.inv.PowerParams(ctx, m.ID)
		if err != nil {
			return err
		}
		for name, value := range stored {
			values[powerPrefix+name] = []string{value}
		}
		values["power_type"] = []string{kind}
	}
	for name, value := range f.Values {
		values[name] = value
	}
	p, err := a.powerOf(values)
	if err != nil {
		return err
	}
	p.State = m.Power.State
	m.Power = p
	return nil
}

// constraints reads the fields of op=allocate that the inventory has data for. Other fields that
// narrow the choice are refused: a machine that does not meet them would be a wrong answer.
func (a *API) constraints(r *http.Request, f *form.Form) plan.Constraints {
	c := plan.Constraints{Status: []inventory.Status{inventory.StatusReady}, Free: true}
	refs := func(name string, to *[]int64, find func(string) (int64, error)) {
		for _, text := range f.List(name) {
			id, err := find(text)
			if err != nil {
				f.Wrong(name, "%v", err)
				return
			}
			*to = append(*to, id)
		}
	}
	refs("zone", &c.Zones, a.zoneRef(r))
	refs("not_in_zone", &c.NotZones, a.zoneRef(r))
	refs("pool", &c.Pools, a.poolRef(r))
	if f.Text("arch", &c.Arch); c.Arch != "" && !strings.Contains(c.Arch, "/") {
		c.Arch += "/generic"
	}
	for _, name := range []string{
		"fabrics", "not_fabrics", "fabric_classes", "not_fabric_classes", "storage", "interfaces",
		"cpu_count", "mem", "pod", "not_pod", "pod_type", "not_pod_type",
	} {
		if f.Get(name) != "" && f.Get(name) != "0" {
			f.Err = &unsupported{"allocating by " + name}
		}
	}
	return c
}

// allocate gives the user one machine that meets the constraints, from the zone that has the most
// of them left.
func (a *API) allocate(r *http.Request, f *form.Form) (any, error) {
	var m inventory.Machine
	err := a.tx.Atomically(r.Context(), func(ctx context.Context) error {
		r := r.WithContext(ctx)
		c := a.constraints(r, f)
		if f.Err != nil {
			return f.Err
		}
		fits, err := a.further(r, f)
		if err != nil {
			return err
		}
		machines, err := a.inv.Machines.List(ctx)
		if err != nil {
			return err
		}
		machines = slices.DeleteFunc(machines, func(m inventory.Machine) bool {
			named := f.Get("name") == "" || strings.EqualFold(f.Get("name"), m.Hostname) || strings.EqualFold(f.Get("name"), m.FQDN)
			return !named || f.Get("system_id") != "" && f.Get("system_id") != m.SystemID || !fits(m)
		})
		picked, err := plan.Spread(machines, 1, c)
		if err != nil {
			return &noMachine{}
		}
		m = picked[0]
		if dry, _ := form.ParseBool(f.Get("dry_run")); dry {
			return nil
		}
		m.Owner, m.Status = userOf(r), inventory.StatusAllocated
		m, err = a.inv.Machines.Update(ctx, m)
		return err
	})
	if err != nil {
		return nil, err
	}
	shown, err := a.shown(r, m)
	return allocatedJSON{Machine: shown, Constraints: map[string]any{}}, err
}

// allocatedJSON is the answer to op=allocate.
type allocatedJSON struct {
	Machine
	// Constraints would name the disks and interfaces that met a constraint. Such constraints are
	// not supported, so it is empty.
	Constraints map[string]any `json:"constraints_by_type"`
}

// further reads the constraints that plan.Spread does not have: tags, and subnets and pools to
// avoid.
func (a *API) further(r *http.Request, f *form.Form) (fits func(inventory.Machine) bool, err error) {
	ids := map[string][]int64{}
	for field, find := range map[string]func(string) (int64, error){
		"subnets": a.subnetRef(r), "not_subnets": a.subnetRef(r), "not_in_pool": a.poolRef(r),
	} {
		for _, text := range f.List(field) {
			id, err := find(text)
			if err != nil {
				return nil, form.Invalid(field, err.Error())
			}
			ids[field] = append(ids[field], id)
		}
	}
	for _, field := range []string{"tags", "not_tags"} {
		for _, name := range f.List(field) {
			if _, err := a.inv.Tags.Find(r.Context(), name); err != nil {
				return nil, form.Invalid(field, err.Error())
			}
		}
	}
	tags, notTags := f.List("tags"), f.List("not_tags")
	return func(m inventory.Machine) bool {
		linked := func(id int64) bool { return onSubnet(m, id) }
		tagged := func(name string) bool { return slices.Contains(m.Tags, name) }
		return all(ids["subnets"], linked) && !slices.ContainsFunc(ids["not_subnets"], linked) &&
			all(tags, tagged) && !slices.ContainsFunc(notTags, tagged) && !slices.Contains(ids["not_in_pool"], m.PoolID)
	}, nil
}

// all reports whether a condition holds for each element of a list.
func all[T any](list []T, holds func(T) bool) bool {
	return !slices.ContainsFunc(list, func(x T) bool { return !holds(x) })
}

// onSubnet reports whether the machine has a link to a subnet.
func onSubnet(m inventory.Machine, id int64) bool {
	return slices.ContainsFunc(m.Interfaces, func(i inventory.Interface) bool {
		return slices.ContainsFunc(i.Links, func(l ipam.Allocation) bool { return l.SubnetID == id })
	})
}

// noMachine is the answer of an allocation that nothing fits.
type noMachine struct{}

func (*noMachine) Error() string { return "no machine that is ready and free meets the constraints" }

// release gives a machine back. One that was not allocated stays as it is.
func (a *API) release(ctx context.Context, m inventory.Machine) (inventory.Machine, error) {
	if m.Locked {
		return m, &locked{m.FQDN}
	}
	switch m.Status {
	case inventory.StatusReady, inventory.StatusNew:
		return m, nil
	case inventory.StatusAllocated, inventory.StatusDeployed, inventory.StatusDeploying, inventory.StatusReleasing, inventory.StatusBroken:
	default:
		return m, form.Invalid("status", "machine "+m.FQDN+" is "+string(m.Status)+", and cannot be released now")
	}
	if err := a.inv.ReleaseAuto(ctx, m.ID); err != nil {
		return m, err
	}
	m, err := a.inv.Machines.Get(ctx, m.ID)
	if err != nil {
		return m, err
	}
	m.Owner, m.Status = "", inventory.StatusReady
	return a.inv.Machines.Update(ctx, m)
}

// releaseMany releases the machines of the form, all or none, and answers with their names.
func (a *API) releaseMany(r *http.Request, f *form.Form) (any, error) {
	released := []string{}
	err := a.tx.Atomically(r.Context(), func(ctx context.Context) error {
		released = released[:0]
		for _, name := range f.List("machines") {
			m, err := a.inv.Machines.Find(ctx, name)
			if err != nil {
				return form.Invalid("machines", fmt.Sprintf("there is no machine %q", name))
			}
			if err := own(r, "machine "+m.FQDN, m.Owner); err != nil {
				return err
			}
			if _, err := a.release(ctx, m); err != nil {
				return err
			}
			released = append(released, m.SystemID)
		}
		return nil
	})
	return released, err
}
