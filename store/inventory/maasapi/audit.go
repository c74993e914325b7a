package maasapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory"
)

// Audited returns a request whose changes to the inventory are recorded as its user's in the audit
// log. The handlers of this package use it themselves; handlers beside them, on the same inventory,
// call it first. Reads are returned as they are.
func Audited(r *http.Request) *http.Request {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return r
	}
	u := userOf(r)
	var inner *http.Request
	inner = r.WithContext(inventory.As(r.Context(), inventory.Actor{User: u, Doing: func() string { return doing(inner) }}))
	return inner
}

// doing describes a request by its path and the names of its fields. Their values may be secrets
// and stay out of the log.
func doing(r *http.Request) string {
	text := r.Method + " " + r.URL.Path
	if _, path, ok := strings.Cut(r.URL.Path, apiPath); ok { // the log reads the same wherever the API is mounted
		text = r.Method + " " + path
	}
	if op := r.URL.Query().Get("op"); op != "" {
		text += "?op=" + op
	}
	var names []string
	for name := range r.PostForm {
		names = append(names, name)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > 0 {
		text += " (" + strings.Join(names, ", ") + ")"
	}
	return printable(text)
}

// maxDoing is the largest description of a request in bytes.
const maxDoing = 1000

// printable makes a path fit for one line of the log: clients choose it, and could forge lines with
// line breaks.
func printable(text string) string {
	text = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text), "?")
	if len(text) > maxDoing {
		text = strings.ToValidUTF8(text[:maxDoing], "") + "..."
	}
	return text
}

// auditPower logs an attempt to switch a machine. Switching changes nothing in the inventory, so no
// change would record it.
func (a *API) auditPower(r *http.Request, m inventory.Machine, action power.Action, via Via, result power.Result, failed error) error {
	if action == power.ActionQuery || action == power.ActionMedia {
		return nil
	}
	text := "power " + string(action) + " " + m.FQDN
	if via != "" {
		text = "boot " + m.FQDN + " via " + string(via)
	}
	if result.Media != "" {
		text += " " + result.Media
	}
	if failed != nil {
		text += " failed"
	}
	return a.inv.Audit.Add(r.Context(), inventory.Event{NodeID: m.ID, Kind: "power", User: userOf(r), Description: text})
}
