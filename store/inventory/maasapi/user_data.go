package maasapi

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// UserData describes user data and the machines that read it: one machine, or machines with a tag.
// If neither is set, it is for all others. The content may hold secrets, and is only ever written.
type UserData struct {
	Machine string    `json:"machine,omitempty"` // fully qualified
	Tag     string    `json:"tag,omitempty"`
	Size    int       `json:"size"` // in octets
	Changed time.Time `json:"changed"`
}

// listUserData lists all user data of the site.
func (a *API) listUserData(r *http.Request) (any, error) {
	all, err := a.userData.List(r.Context())
	out := make([]UserData, 0, len(all))
	for _, u := range all {
		shown := UserData{Size: u.Size, Changed: u.Changed}
		switch {
		case u.For.MachineID != 0:
			shown.Machine = u.Name
		case u.For.TagID != 0:
			shown.Tag = u.Name
		}
		out = append(out, shown)
	}
	return out, err
}

// putUserData sets the user data of a target to the body of the request.
func (a *API) putUserData(r *http.Request) (any, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, inventory.MaxUserData+1))
	if err != nil {
		return nil, form.Invalid("user_data", "the request ended early")
	}
	if len(data) == 0 {
		return nil, form.Invalid("user_data", "the body is empty; DELETE removes user data")
	}
	return nil, a.setUserData(r, data)
}

// deleteUserData removes the user data of a target.
func (a *API) deleteUserData(r *http.Request) (any, error) { return nil, a.setUserData(r, nil) }

// setUserData resolves the target and sets its user data in one transaction.
func (a *API) setUserData(r *http.Request, data []byte) error {
	return a.tx.Atomically(r.Context(), func(ctx context.Context) error {
		of, err := a.profileTarget(r.WithContext(ctx))
		if err != nil {
			return err
		}
		return a.userData.Set(ctx, of, data)
	})
}
