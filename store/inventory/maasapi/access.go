package maasapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gomaas/maas/store/inventory"
)

// forbidden is something that the user's role, or an owner, does not allow.
type forbidden struct{ why string }

func (e *forbidden) Error() string { return e.why }

// everybody are the writes that each user may make: those to their own account.
var everybody = []string{
	"POST " + authenticatePath + "{$}", "POST " + base + "account/{$}", "POST " + base + "account/prefs/sshkeys/{$}",
	"DELETE " + base + "account/prefs/sshkeys/{id}/{$}",
}

// operators are the writes that operators may make, with their operations; "" = without one.
var operators = map[string][]string{
	"POST " + base + "machines/{$}":       {"allocate", "release"},
	"POST " + base + "machines/{id}/{$}":  {"power_on", "power_off", "power_cycle", "release", "lock", "unlock"},
	"POST /api/v1/machines/{id}/power":    {""},
	"POST " + base + "ipaddresses/{$}":    {"reserve", "release"},
	"POST " + base + "devices/{$}":        {""},
	"PUT " + base + "devices/{id}/{$}":    {""},
	"DELETE " + base + "devices/{id}/{$}": {""},
	"POST " + base + "discovery/{$}":      {"scan"},
}

// may tells what forbids the user a request to the endpoint of a pattern; nil = nothing.
func may(r *http.Request, pattern string) error {
	u := accountOf(r)
	reads := strings.HasPrefix(pattern, "GET ") || slices.Contains(everybody, pattern)
	if u.Role == inventory.RoleAdmin || reads {
		return nil
	}
	if u.Role == inventory.RoleOperator && slices.Contains(operators[pattern], r.URL.Query().Get("op")) {
		return nil
	}
	return &forbidden{"user " + u.Name + " has the role " + string(u.Role) + ", which does not allow this; an administrator may do it"}
}

// own tells what forbids the user to change what is an owner's; nothing does when it is nobody's.
func own(r *http.Request, what, owner string) error {
	u := accountOf(r)
	if u.Role == inventory.RoleAdmin || owner == "" || owner == u.Name {
		return nil
	}
	return &forbidden{what + " belongs to " + owner + "; they or an administrator may do this"}
}
