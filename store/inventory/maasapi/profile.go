package maasapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// BootProfile is a profile and the machines that boot it: one machine, machines with a tag or in a
// subnet with it, or machines in a subnet. If none of these is set, it is the profile of the site.
type BootProfile struct {
	Machine string      `json:"machine,omitempty"` // fully qualified
	Tag     string      `json:"tag,omitempty"`
	Subnet  string      `json:"subnet,omitempty"` // CIDR
	Profile pxe.Profile `json:"profile"`
}

// profileTarget returns the target that ?machine=, ?tag= or ?subnet= names. Without them it is the
// site.
func (a *API) profileTarget(r *http.Request) (of inventory.BootTarget, err error) {
	ctx, query := r.Context(), r.URL.Query()
	for name, values := range query { // a misspelled parameter must not change the profile of the whole site
		if name != "machine" && name != "tag" && name != "subnet" || len(values) != 1 || values[0] == "" {
			return of, form.Invalid(name, "only machine, tag and subnet say whom the profile is for, each once and with a name")
		}
	}
	for _, p := range []struct {
		param string
		find  func(name string) error
	}{
		{"machine", func(name string) error {
			m, err := a.inv.Machines.Find(ctx, name)
			of.MachineID = m.ID
			return err
		}},
		{"tag", func(name string) error {
			t, err := a.inv.Tags.Find(ctx, name)
			of.TagID = t.ID
			return err
		}},
		{"subnet", func(name string) error {
			s, err := a.inv.Subnets.Find(ctx, name)
			of.SubnetID = s.ID
			return err
		}},
	} {
		if name := query.Get(p.param); name == "" {
			continue
		} else if err := p.find(name); err != nil {
			return of, err
		}
	}
	return of, nil
}

// describeTarget names the target of a request, for errors.
func describeTarget(query url.Values) string {
	for _, param := range []string{"machine", "tag", "subnet"} {
		if name := query.Get(param); name != "" {
			return param + " " + name
		}
	}
	return "the site"
}

// getProfile returns the profile of a target. A target without one is 404, although its machines
// boot another profile.
func (a *API) getProfile(r *http.Request) (any, error) {
	of, err := a.profileTarget(r)
	if err != nil {
		return nil, err
	}
	p, err := a.profiles.Get(r.Context(), of)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, fmt.Errorf("%s has no boot profile: %w", describeTarget(r.URL.Query()), fs.ErrNotExist)
	}
	return p, nil
}

// putProfile sets the profile of a target. Unknown fields are refused: a misspelled kernel would
// leave machines without one.
func (a *API) putProfile(r *http.Request) (any, error) {
	var p pxe.Profile
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return nil, form.Invalid("profile", err.Error())
	}
	return p, a.setProfile(r, &p)
}

// deleteProfile removes the profile of a target.
func (a *API) deleteProfile(r *http.Request) (any, error) { return nil, a.setProfile(r, nil) }

// setProfile resolves the target and sets its profile in one transaction.
func (a *API) setProfile(r *http.Request, p *pxe.Profile) error {
	return a.tx.Atomically(r.Context(), func(ctx context.Context) error {
		of, err := a.profileTarget(r.WithContext(ctx))
		if err != nil {
			return err
		}
		return a.profiles.Set(ctx, of, p)
	})
}

// listProfiles returns all profiles of the site.
func (a *API) listProfiles(r *http.Request) (any, error) {
	all, err := a.profiles.List(r.Context())
	out := make([]BootProfile, 0, len(all))
	for _, p := range all {
		shown := BootProfile{Profile: p.Profile}
		switch {
		case p.For.MachineID != 0:
			shown.Machine = p.Name
		case p.For.TagID != 0:
			shown.Tag = p.Name
		case p.For.SubnetID != 0:
			shown.Subnet = p.Name
		}
		out = append(out, shown)
	}
	return out, err
}
