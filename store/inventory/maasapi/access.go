package maasapi

import (
	"net/http"

	"github.com/gomaas/maas/store/inventory"
)

// forbidden is something that the user's role, or an owner, does not allow.
type forbidden struct{ why string }

func (e *forbidden) Error() string { return e.why }

// own tells what forbids the user to change what is an owner's; nothing does when it is nobody's.
func own(r *http.Request, what, owner string) error {
	u := accountOf(r)
	if u.Role == inventory.RoleAdmin || owner == "" || owner == u.Name {
		return nil
	}
	return &forbidden{what + " belongs to " + owner + "; they or an administrator may do this"}
}
