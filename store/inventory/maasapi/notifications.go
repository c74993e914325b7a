package maasapi

import (
	"fmt"
	"net/http"

	"github.com/gomaas/maas/store/inventory"
)

// notificationJSON is a notice to the users of the site.
type notificationJSON struct {
	ID          int64          `json:"id"` // of the subnet: there is at most one notice for each
	Ident       string         `json:"ident"`
	User        *userJSON      `json:"user"` // always nil: all users see all notices
	Users       bool           `json:"users"`
	Admins      bool           `json:"admins"`
	Message     string         `json:"message"`
	Context     map[string]any `json:"context"`
	Category    string         `json:"category"`
	Dismissable bool           `json:"dismissable"`
	ResourceURI string         `json:"resource_uri"`
}

// notificationOf shows a notice of exhaustion. It exists as long as its cause, so no client can
// dismiss it.
func (a *API) notificationOf(n inventory.ExhaustionNotice) notificationJSON {
	return notificationJSON{
		ID: n.Subnet.ID, Ident: fmt.Sprintf("ip_exhaustion__subnet_%d", n.Subnet.ID), Users: true, Admins: true, Message: n.String(),
		Context: map[string]any{}, Category: "warning", ResourceURI: fmt.Sprintf("%snotifications/%d/", a.base, n.Subnet.ID),
	}
}

// listNotifications lists the notices that exist now.
func (a *API) listNotifications(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return nil, &unsupported{"notifications op=" + op}
	}
	notices, err := a.inv.ExhaustionNotices(r.Context())
	out := []notificationJSON{}
	for _, n := range notices {
		out = append(out, a.notificationOf(n))
	}
	return out, err
}

// getNotification returns the notice with the number in the path.
func (a *API) getNotification(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "" {
		return nil, &unsupported{"notification op=" + op}
	}
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	notices, err := a.inv.ExhaustionNotices(r.Context())
	for _, n := range notices {
		if n.Subnet.ID == id {
			return a.notificationOf(n), nil
		}
	}
	if err == nil {
		err = notFound("notification", r.PathValue("id"))
	}
	return nil, err
}
