package console

import (
	"maps"
	"net/http"
	"slices"

	"github.com/gomaas/maas/power"
)

// enlistView is the data of the form of a new machine.
type enlistView struct {
	Kinds   []power.Kind
	Kind    power.Kind
	Zones   []string
	Pools   []string
	Domains []string
}

// enlistPage shows the form of a new machine. Its fields follow from the parameters of the power
// type, which is chosen first, so that the form needs no JavaScript.
func (c *Console) enlistPage(w http.ResponseWriter, r *http.Request) error {
	var out enlistView
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Kinds)) {
		out.Kinds = append(out.Kinds, c.cfg.Kinds[name])
	}
	out.Kind = c.cfg.Kinds[r.FormValue("type")]
	err := c.site.look(r.Context(), func(v view) error {
		for _, z := range v.Zones {
			out.Zones = append(out.Zones, z.Name)
		}
		for _, p := range v.Pools {
			out.Pools = append(out.Pools, p.Name)
		}
		for _, d := range v.Domains {
			out.Domains = append(out.Domains, d.Name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.show(w, r, "enlist", frame{
		Title: "Add a machine", Here: "Machines", Command: "maas machine create --mac MAC power_type=TYPE power_parameters_NAME=VALUE", Call: "POST machines/", Data: out,
	})
}
