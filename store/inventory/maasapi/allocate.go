package maasapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

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
		a.placeForm(r, f, &m)
		a.usePower(f)
		if err := f.Rest(); err != nil {
			return err
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
		"storage", "cpu_count", "mem", "pod", "not_pod", "pod_type", "not_pod_type",
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
	var met map[string]any
	err := a.tx.Atomically(r.Context(), func(ctx context.Context) error {
		met = map[string]any{}
		r := r.WithContext(ctx)
		c := a.constraints(r, f)
		if f.Err != nil {
			return f.Err
		}
		fits, err := a.further(r, f)
		if err != nil {
			return err
		}
		name, systemID, note := f.Get("name"), f.Get("system_id"), noteOf(f)
		dry, _ := form.ParseBool(f.Get("dry_run"))
		f.Used("verbose", "mem") // mem=0 is let through above
		if err := f.Rest(); err != nil {
			return err
		}
		machines, err := a.inv.Machines.List(ctx)
		if err != nil {
			return err
		}
		machines = slices.DeleteFunc(machines, func(m inventory.Machine) bool {
			named := name == "" || strings.EqualFold(name, m.Hostname) || strings.EqualFold(name, m.FQDN)
			return !named || systemID != "" && systemID != m.SystemID || !fits.allows(m)
		})
		picked, err := plan.Spread(machines, 1, c)
		if err != nil {
			return &noMachine{}
		}
		m = picked[0]
		if ids, _ := matchInterfaces(m, fits.interfaces); len(ids) > 0 {
			met["interfaces"] = ids
		}
		if dry {
			return nil
		}
		m.Owner, m.Status = userOf(r), inventory.StatusAllocated
		if m, err = a.inv.Machines.Update(ctx, m); err != nil {
			return err
		}
		return a.addNote(r, m.ID, "allocate", note)
	})
	if err != nil {
		return nil, err
	}
	shown, err := a.shown(r, m)
	return allocatedJSON{Machine: shown, Constraints: met}, err
}

// allocatedJSON is the answer to op=allocate.
type allocatedJSON struct {
	Machine
	// Constraints has, below "interfaces", the numbers of the interfaces that met each label of the
	// field interfaces.
	Constraints map[string]any `json:"constraints_by_type"`
}

// fitting holds the constraints that plan.Spread does not have.
type fitting struct {
	networkSets
	subnets, notSubnets []map[int64]bool // each value is a set: one of it must be met, or none
	vlans, notVLANs     []map[int64]bool
	tags, notTags       []string
	notPools            []int64
	interfaces          []labeled
}

// further reads tags, networks, and pools to avoid.
func (a *API) further(r *http.Request, f *form.Form) (fit fitting, err error) {
	ctx := r.Context()
	fit.networkSets = networkSets{a.inv, map[int64]int64{}}
	all, err := a.inv.Subnets.List(ctx)
	if err != nil {
		return fit, err
	}
	for _, s := range all {
		fit.vlanOf[s.ID] = s.VLANID
	}
	for _, c := range []struct {
		field, key string // the key of a value without one
		sets       *[]map[int64]bool
		find       func(context.Context, string) (map[int64]bool, error)
	}{
		{"subnets", "", &fit.subnets, fit.networkSets.subnets}, {"not_subnets", "", &fit.notSubnets, fit.networkSets.subnets},
		{"fabrics", "fabric:", &fit.vlans, fit.networkSets.vlans}, {"not_fabrics", "fabric:", &fit.notVLANs, fit.networkSets.vlans},
		{"fabric_classes", "class:", &fit.vlans, fit.networkSets.vlans}, {"not_fabric_classes", "class:", &fit.notVLANs, fit.networkSets.vlans},
	} {
		for _, spec := range specifiers(f, c.field) {
			if c.key != "" && !strings.Contains(spec, ":") {
				spec = c.key + spec
			}
			ids, err := c.find(ctx, spec)
			if err != nil {
				return fit, form.Invalid(c.field, plain(err))
			}
			*c.sets = append(*c.sets, ids)
		}
	}
	for _, text := range f.List("not_in_pool") {
		id, err := a.poolRef(r)(text)
		if err != nil {
			return fit, form.Invalid("not_in_pool", plain(err))
		}
		fit.notPools = append(fit.notPools, id)
	}
	for _, field := range []string{"tags", "not_tags"} {
		for _, name := range f.List(field) {
			if _, err := a.inv.Tags.Find(ctx, name); err != nil {
				return fit, form.Invalid(field, plain(err))
			}
		}
	}
	fit.tags, fit.notTags = f.List("tags"), f.List("not_tags")
	fit.interfaces, err = fit.interfaceConstraints(ctx, f)
	return fit, err
}

// allows reports whether a machine meets the constraints.
func (fit fitting) allows(m inventory.Machine) bool {
	onSubnet := func(ids map[int64]bool) bool {
		return slices.ContainsFunc(m.Interfaces, func(i inventory.Interface) bool { return onSubnets(i, ids) })
	}
	onVLAN := func(ids map[int64]bool) bool {
		return slices.ContainsFunc(m.Interfaces, func(i inventory.Interface) bool { return fit.onVLANs(i, ids) })
	}
	tagged := func(name string) bool { return slices.Contains(m.Tags, name) }
	_, met := matchInterfaces(m, fit.interfaces)
	return met && all(fit.subnets, onSubnet) && !slices.ContainsFunc(fit.notSubnets, onSubnet) &&
		all(fit.vlans, onVLAN) && !slices.ContainsFunc(fit.notVLANs, onVLAN) &&
		all(fit.tags, tagged) && !slices.ContainsFunc(fit.notTags, tagged) && !slices.Contains(fit.notPools, m.PoolID)
}

// all reports whether a condition holds for each element of a list.
func all[T any](list []T, holds func(T) bool) bool {
	return !slices.ContainsFunc(list, func(x T) bool { return !holds(x) })
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
	m.Owner, m.Status, m.Configured = "", inventory.StatusReady, time.Time{}
	return a.inv.Machines.Update(ctx, m)
}

// releaseMany releases the machines of the form, all or none, and answers with their names.
func (a *API) releaseMany(r *http.Request, f *form.Form) (any, error) {
	released := []string{}
	err := a.tx.Atomically(r.Context(), func(ctx context.Context) error {
		released = released[:0]
		note := noteOf(f)
		f.Used("machines")
		if err := f.Rest(); err != nil {
			return err
		}
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
			if err := a.addNote(r.WithContext(ctx), m.ID, "release", note); err != nil {
				return err
			}
			released = append(released, m.SystemID)
		}
		return nil
	})
	return released, err
}

// noteOf returns the texts that clients give along with an operation: Juju names itself by
// agent_name.
func noteOf(f *form.Form) string {
	note := f.Get("comment")
	if agent := f.Get("agent_name"); agent != "" {
		note = strings.TrimSpace("agent " + agent + " " + note)
	}
	return note
}

// addNote logs the text of a client about its operation on a machine.
func (a *API) addNote(r *http.Request, machine int64, op, note string) error {
	if note == "" {
		return nil
	}
	e := inventory.Event{NodeID: machine, Kind: "comment", User: userOf(r), Description: printable(op + ": " + note)}
	return a.inv.Events.Add(r.Context(), e)
}
