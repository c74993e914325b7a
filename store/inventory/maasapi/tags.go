package maasapi

import (
	"context"
	"errors"
	"io/fs"
	"net/http"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// tagJSON is a tag.
type tagJSON struct {
	Name string `json:"name"`
	// Definition is always empty: it selects machines by their hardware, which the inventory does
	// not know.
	Definition  string `json:"definition"`
	Comment     string `json:"comment"`
	KernelOpts  string `json:"kernel_opts"`
	ResourceURI string `json:"resource_uri"`
}

// tags serves tags. A definition is refused: MAAS selects machines by it, and a tag that silently
// selects none would be wrong.
func (a *API) tags() crud[inventory.Tag] {
	return crud[inventory.Tag]{
		shown: tagJSON{}, tx: a.tx, all: every(a.inv.Tags.List), find: a.tagOfPath,
		show: each(func(t inventory.Tag) any {
			return tagJSON{Name: t.Name, Comment: t.Comment, KernelOpts: t.KernelOpts, ResourceURI: a.base + "tags/" + t.Name + "/"}
		}),
		read: func(_ *http.Request, f *form.Form, to *inventory.Tag) {
			f.Text("name", &to.Name)
			f.Text("comment", &to.Comment)
			f.Text("kernel_opts", &to.KernelOpts)
			if f.Err == nil && f.Get("definition") != "" {
				f.Err = &unsupported{"a tag with a definition; give it to machines with op=update_nodes"}
			}
		},
		create: a.inv.Tags.Create, update: a.inv.Tags.Update,
		remove: removing(a.inv.Tags.Delete, func(t inventory.Tag) int64 { return t.ID }),
	}
}

// tagOfPath returns the tag of the path, by name.
func (a *API) tagOfPath(r *http.Request) (inventory.Tag, error) {
	return a.inv.Tags.Find(r.Context(), r.PathValue("id"))
}

// getTag returns a tag, or with op=machines, devices or nodes the objects that have it.
func (a *API) getTag(r *http.Request) (any, error) {
	op := r.URL.Query().Get("op")
	if op == "" {
		return a.tags().get(r)
	}
	t, err := a.tagOfPath(r)
	if err != nil {
		return nil, err
	}
	var machines, devices []any
	if op == "machines" || op == "nodes" {
		if machines, err = a.taggedMachines(r, t.Name); err != nil {
			return nil, err
		}
	}
	if op == "devices" || op == "nodes" {
		if devices, err = a.taggedDevices(r, t.Name); err != nil {
			return nil, err
		}
	}
	switch op {
	case "machines", "devices", "nodes":
		return append(append([]any{}, machines...), devices...), nil
	case "rack_controllers", "region_controllers":
		return []any{}, nil // controllers cannot be tagged
	}
	return nil, &unsupported{"tag op=" + op}
}

// taggedMachines shows the machines with a tag.
func (a *API) taggedMachines(r *http.Request, tag string) ([]any, error) {
	all, err := a.inv.Tags.Machines(r.Context(), tag)
	if err != nil {
		return nil, err
	}
	return a.showMachines(r, all)
}

// taggedDevices shows the devices with a tag.
func (a *API) taggedDevices(r *http.Request, tag string) ([]any, error) {
	all, err := a.inv.Tags.Devices(r.Context(), tag)
	if err != nil {
		return nil, err
	}
	return a.showDevices(r, all)
}

// actOnTag serves op=update_nodes: add and remove name machines by system ID or name, devices by
// system ID, and subnets, which MAAS does not tag.
func (a *API) actOnTag(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "update_nodes" {
		return nil, &unsupported{"tag op=" + op}
	}
	return a.change(r, func(r *http.Request, f *form.Form) (any, error) {
		t, err := a.tagOfPath(r)
		if err != nil {
			return nil, err
		}
		var nodes, subnets [2][]int64
		for i, field := range []string{"add", "remove"} {
			for _, name := range f.List(field) {
				id, err := a.taggable(r.Context(), name)
				if err == nil {
					nodes[i] = append(nodes[i], id)
					continue
				}
				s, none := a.inv.Subnets.Find(r.Context(), name)
				if none != nil {
					return nil, form.Invalid(field, err.Error())
				}
				subnets[i] = append(subnets[i], s.ID)
			}
		}
		added, removed, err := a.inv.Tags.MarkNodes(r.Context(), t.ID, nodes[0], nodes[1])
		if err != nil {
			return nil, err
		}
		more, less, err := a.inv.Tags.MarkSubnets(r.Context(), t.ID, subnets[0], subnets[1])
		return map[string]int64{"added": added + more, "removed": removed + less}, err
	})
}

// taggable returns the ID of a machine or device.
func (a *API) taggable(ctx context.Context, name string) (int64, error) {
	m, err := a.inv.Machines.Find(ctx, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return m.ID, err
	}
	if d, derr := a.inv.DeviceBySystemID(ctx, name); derr == nil {
		return d.ID, nil
	}
	return 0, err
}
