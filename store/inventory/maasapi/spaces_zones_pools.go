package maasapi

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// spaceJSON is a space as the API shows it.
type spaceJSON struct {
	describedJSON
	VLANs   []vlanJSON `json:"vlans"`
	Subnets []Subnet   `json:"subnets"`
}

// spaces serves spaces with their VLANs and subnets.
func (a *API) spaces() crud[ipam.Space] {
	return crud[ipam.Space]{
		shown: spaceJSON{}, tx: a.tx, all: every(a.inv.Spaces.List), find: numbered(a.inv.Spaces.Get),
		show: func(r *http.Request, spaces []ipam.Space) ([]any, error) {
			view, err := a.subnetView(r)
			var out []any
			for _, s := range spaces {
				out = append(out, view.space(s))
			}
			return out, err
		},
		read: func(_ *http.Request, f *form.Form, to *ipam.Space) {
			f.Text("name", &to.Name)
			f.Text("description", &to.Description)
		},
		create: a.inv.Spaces.Create, update: a.inv.Spaces.Update,
		remove: removing(a.inv.Spaces.Delete, func(s ipam.Space) int64 { return s.ID }),
	}
}

// space shows a space. Subnets belong to a space through their VLAN.
func (v subnetView) space(s ipam.Space) spaceJSON {
	out := spaceJSON{describedJSON{s.ID, s.Name, s.Description, fmt.Sprintf("%sspaces/%d/", v.base, s.ID)}, []vlanJSON{}, []Subnet{}}
	for _, vlan := range v.all {
		if vlan.SpaceID != s.ID {
			continue
		}
		out.VLANs = append(out.VLANs, v.vlanView.show(vlan))
		for _, subnet := range v.subnets {
			if subnet.VLANID == vlan.ID {
				out.Subnets = append(out.Subnets, v.show(subnet))
			}
		}
	}
	return out
}

// zones serves availability zones, by name.
func (a *API) zones() crud[inventory.AvailabilityZone] {
	type zone = inventory.AvailabilityZone
	return crud[zone]{
		shown: describedJSON{}, tx: a.tx, all: every(a.inv.Zones.List),
		find: func(r *http.Request) (z zone, err error) {
			id, err := a.zoneRef(r)(r.PathValue("id"))
			if err != nil {
				return z, notFound("zone", r.PathValue("id"))
			}
			return a.inv.Zones.Get(r.Context(), id)
		},
		show: each(func(z zone) any {
			return describedJSON{z.ID, z.Name, z.Description, a.base + "zones/" + url.PathEscape(z.Name) + "/"}
		}),
		read: func(_ *http.Request, f *form.Form, to *zone) {
			f.Text("name", &to.Name)
			f.Text("description", &to.Description)
		},
		create: a.inv.Zones.Create, update: a.inv.Zones.Update,
		remove: removing(a.inv.Zones.Delete, func(z zone) int64 { return z.ID }),
	}
}

// pools serves resource pools. MAAS has one pool below another path than the list: resourcepool/
// and resourcepools/.
func (a *API) pools() crud[inventory.ResourcePool] {
	type pool = inventory.ResourcePool
	return crud[pool]{
		shown: describedJSON{}, tx: a.tx, all: every(a.inv.Pools.List),
		find: func(r *http.Request) (p pool, err error) {
			id, err := a.poolRef(r)(r.PathValue("id"))
			if err != nil {
				return p, notFound("resource pool", r.PathValue("id"))
			}
			return a.inv.Pools.Get(r.Context(), id)
		},
		show: each(func(p pool) any {
			return describedJSON{p.ID, p.Name, p.Description, fmt.Sprintf("%sresourcepool/%d/", a.base, p.ID)}
		}),
		read: func(_ *http.Request, f *form.Form, to *pool) {
			f.Text("name", &to.Name)
			f.Text("description", &to.Description)
		},
		create: a.inv.Pools.Create, update: a.inv.Pools.Update,
		remove: removing(a.inv.Pools.Delete, func(p pool) int64 { return p.ID }),
	}
}
