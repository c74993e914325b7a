package maasapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gomaas/maas/internal/bounds"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/oauth"
)

// CreateKey creates an API key for a user and returns it in the form consumer:token:secret. It
// cannot be read again: the inventory keeps a hash of it.
func (a *API) CreateKey(ctx context.Context, user string) (string, error) {
	u, err := a.inv.Users.Find(ctx, user)
	if err != nil {
		return "", err
	}
	_, text, err := a.inv.APIKeys.Create(ctx, u.ID, "", time.Time{})
	return text, err
}

// postKey creates a key for a user, for administrators. MAAS has that as a command only.
func (a *API) postKey(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	user := f.Get("username")
	if user == "" {
		return nil, form.Invalid("username", "a user is needed")
	}
	if err := f.Rest(); err != nil {
		return nil, err
	}
	text, err := a.CreateKey(r.Context(), user)
	if err != nil {
		return nil, err
	}
	return map[string]string{"key": text}, nil
}

// localUser makes the requests of the socket that only the administrator can open.
var localUser = inventory.User{Name: inventory.DefaultUser, Role: inventory.RoleAdmin}

// userKey is the key of the request's user in its context.
type userKey struct{}

// Administrator returns a handler that serves all requests of h as the administrator's: for a
// socket that only the administrator can open. Without it, or a valid key, a request has no user.
func Administrator(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, localUser)))
	})
}

// accountOf returns the user who made a request. The zero User may do nothing: a handler that was
// left out of the chain must not open the site.
func accountOf(r *http.Request) inventory.User {
	user, _ := r.Context().Value(userKey{}).(inventory.User)
	return user
}

// userOf returns the name of the user who made a request.
func userOf(r *http.Request) string { return accountOf(r).Name }

// requireKey lets requests with a valid key through, and requests to paths that need none.
func (a *API) requireKey(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.public[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		user, err := a.keys.Verify(r)
		if errors.Is(err, oauth.ErrUnchecked) {
			a.log.Error("API keys not readable", "err", err)
			err = oauth.ErrUnchecked // the cause would tell a stranger about the database
		}
		if err != nil {
			w.Header().Set("WWW-Authenticate", `OAuth realm="MAAS API"`)
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		if !bounds.AdmitRequest(r.Context()) {
			w.Header().Set("Connection", "close") // too many like it: it must not keep its place
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
	})
}
