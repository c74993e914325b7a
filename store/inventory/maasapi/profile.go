package maasapi

import (
	"encoding/json"
	"io/fs"
	"net/http"

	"github.com/gomaas/maas/pxe"
)

func (a *API) getProfile(r *http.Request) (any, error) {
	p, err := a.inv.DefaultProfile(r.Context())
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, fs.ErrNotExist
	}
	return p, nil
}

func (a *API) putProfile(r *http.Request) (any, error) {
	var p pxe.Profile
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return nil, &badRequest{"profile", err.Error()}
	}
	if err := p.Validate(); err != nil {
		return nil, &badRequest{"profile", err.Error()}
	}
	return p, a.inv.SetDefaultProfile(r.Context(), &p)
}

func (a *API) deleteProfile(r *http.Request) (any, error) {
	return nil, a.inv.SetDefaultProfile(r.Context(), nil)
}
