package maasapi

import (
	"net/http"

	"github.com/gomaas/maas/store/inventory"
)

// forbidden reports that the user's role, or the owner of an object, does not allow a request.
type forbidden struct{ why string }

func (e *forbidden) Error() string { return e.why }

// own returns why the user may not change an object of an owner, nil if they may. An object without
// an owner belongs to all operators, so that a machine that was just released can be allocated by
// any of them.
func own(r *http.Request, what, owner string) error {
	u := accountOf(r)
	if u.Role == inventory.RoleAdmin || owner == "" || owner == u.Name {
		return nil
	}
	return &forbidden{what + " belongs to " + owner + "; they or an administrator may do this"}
}
