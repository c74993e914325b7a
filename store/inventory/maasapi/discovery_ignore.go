package maasapi

import (
	"net/http"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// IgnoredDevice is a rule that keeps devices from being discovered. A rule that was made for a
// device has the fields below the rule.
type IgnoredDevice struct {
	Rule     string     `json:"rule"` // a MAC address, its beginning, an IP address or a prefix
	IP       string     `json:"ip,omitempty"`
	Hostname string     `json:"hostname,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Username string     `json:"username,omitempty"`
	Created  *time.Time `json:"created,omitempty"`
}

func ignoredOf(d inventory.IgnoredDevice) IgnoredDevice {
	out := IgnoredDevice{Rule: d.Rule, Hostname: d.Hostname, Reason: d.Reason, Username: d.User}
	if d.Addr.IsValid() {
		out.IP = d.Addr.String()
	}
	if !d.Time.IsZero() {
		out.Created = &d.Time
	}
	return out
}

// listIgnored returns the rules that keep devices from being discovered.
func (a *API) listIgnored(r *http.Request) (any, error) {
	all, err := a.discoveries.Ignored(r.Context())
	out := []IgnoredDevice{}
	for _, d := range all {
		out = append(out, ignoredOf(d))
	}
	return out, err
}

// ignoreDiscovery reads ip, mac and reason.
func (a *API) ignoreDiscovery(r *http.Request, f *form.Form) (any, error) {
	addr, mac, err := pairOf(f)
	if err != nil {
		return nil, err
	}
	reason := f.Raw("reason")
	if err := f.Rest(); err != nil {
		return nil, err
	}
	d, err := a.discoveries.Ignore(r.Context(), addr, mac, reason)
	if err != nil {
		return nil, err
	}
	return ignoredOf(d), nil
}

// unignoreDiscovery reads rule.
func (a *API) unignoreDiscovery(r *http.Request, f *form.Form) error {
	rule := f.Raw("rule")
	if err := f.Rest(); err != nil {
		return err
	}
	if rule == "" {
		return form.Invalid("rule", "is missing; see the list of ignored devices")
	}
	return a.discoveries.Unignore(r.Context(), rule)
}
