package maasapi

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// Account is a user.
type Account struct {
	Username    string `json:"username"`
	Email       string `json:"email"`
	IsSuperuser bool   `json:"is_superuser"`
	IsLocal     bool   `json:"is_local"`
	// Role is "admin", "operator" or "read-only"; MAAS has only IsSuperuser.
	Role        inventory.Role `json:"role"`
	ResourceURI string         `json:"resource_uri"`
}

// showUser shows a user.
func (a *API) showUser(u inventory.User) Account {
	return Account{
		Username: u.Name, Email: u.Email, IsSuperuser: u.Role == inventory.RoleAdmin, IsLocal: true, Role: u.Role,
		ResourceURI: a.base + "users/" + u.Name + "/",
	}
}

// users serves users, by name.
func (a *API) users() crud[inventory.User] {
	return crud[inventory.User]{
		shown: Account{}, tx: a.tx, all: every(a.inv.Users.List),
		find: func(r *http.Request) (inventory.User, error) {
			return a.inv.Users.Find(r.Context(), r.PathValue("id"))
		},
		show: each(func(u inventory.User) any { return a.showUser(u) }),
		ready: func(r *http.Request, f *form.Form) {
			if f.Has("password") {
				hash, err := a.inv.HashPassword(r.Context(), f.Raw("password"))
				f.Err = err
				f.Values.Set("password", hash)
			}
		},
		read: readUser, create: a.inv.Users.Create, update: a.inv.Users.Update,
		remove: removing(a.inv.Users.Delete, func(u inventory.User) int64 { return u.ID }),
	}
}

// readUser reads a user. The password in the form is a hash already: hashing takes long and is done
// before the transaction.
func readUser(_ *http.Request, f *form.Form, to *inventory.User) {
	f.Text("username", &to.Name)
	f.Text("email", &to.Email)
	f.Text("password", &to.Password)
	f.Flag("keep_keys", &to.KeepKeys)
	super := to.Role == inventory.RoleAdmin
	f.Flag("is_superuser", &super)
	switch {
	case f.Has("role"):
		to.Role = inventory.Role(f.Get("role"))
	case super:
		to.Role = inventory.RoleAdmin
	case to.Role == inventory.RoleAdmin:
		to.Role = inventory.RoleOperator
	}
}

// listUsers returns all users, or with op=whoami the user of the request.
func (a *API) listUsers(r *http.Request) (any, error) {
	if r.URL.Query().Get("op") == "whoami" {
		return a.showUser(accountOf(r)), nil
	}
	return a.users().list(r)
}

// tokenJSON is an API key of the user.
type tokenJSON struct {
	Name string `json:"name"`
	// Token is consumer:token and, in the answer that creates the key, consumer:token:secret.
	Token       string `json:"token"`
	ConsumerKey string `json:"consumer_key"`
	TokenKey    string `json:"token_key"`
	// TokenSecret is set only in the answer that creates the key.
	TokenSecret string `json:"token_secret,omitempty"`
	// MAAS has none of these. LastUsed is a minute behind at most.
	Created  time.Time  `json:"created"`
	Expires  *time.Time `json:"expires"`
	LastUsed *time.Time `json:"last_used"`
}

// orNone returns nil for the zero time.
func orNone(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// tokenOf shows a key. text is the whole key if it was just created, else empty.
func tokenOf(k inventory.APIKey, text string) tokenJSON {
	t := tokenJSON{
		Name: k.Name, Token: k.Consumer + ":" + k.Token, ConsumerKey: k.Consumer, TokenKey: k.Token,
		Created: k.Created, Expires: orNone(k.Expires), LastUsed: orNone(k.Used),
	}
	if text != "" {
		t.TokenSecret, t.Token = text[len(t.Token)+1:], text
	}
	return t
}

// self returns the stored user who made a request.
func (a *API) self(r *http.Request) (inventory.User, error) {
	return a.inv.Users.Find(r.Context(), userOf(r))
}

// listTokens serves op=list_authorisation_tokens. Secrets cannot be shown: only their hashes are
// kept.
func (a *API) listTokens(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "list_authorisation_tokens" {
		return nil, &unsupported{"account op=" + op}
	}
	u, err := a.self(r)
	if err != nil {
		return nil, err
	}
	keys, err := a.inv.APIKeys.List(r.Context(), u.ID)
	out := []tokenJSON{}
	for _, k := range keys {
		out = append(out, tokenOf(k, ""))
	}
	return out, err
}

// actOnAccount serves the operations on the user's own keys.
func (a *API) actOnAccount(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	u, err := a.self(r)
	if err != nil {
		return nil, err
	}
	name, tokenKey, token := f.Get("name"), f.Get("token_key"), f.Get("token")
	expires, err := expiry(f)
	if err != nil {
		return nil, err
	}
	if err := f.Rest(); err != nil {
		return nil, err
	}
	switch op := r.URL.Query().Get("op"); op {
	case "create_authorisation_token":
		k, text, err := a.inv.APIKeys.Create(r.Context(), u.ID, name, expires)
		if err != nil {
			return nil, err
		}
		return tokenOf(k, text), nil
	case "delete_authorisation_token":
		return nil, a.inv.APIKeys.Delete(r.Context(), u.ID, tokenKey)
	case "delete_all_authorisation_tokens":
		_, err := a.inv.APIKeys.DeleteAll(r.Context(), u.ID)
		return nil, err
	case "update_token_name":
		if err := a.inv.APIKeys.Rename(r.Context(), u.ID, tokenPart(token), name); err != nil {
			return nil, err
		}
		return "Accepted", nil
	default:
		return nil, &unsupported{"account op=" + op}
	}
}

// expiry reads the time at which a new key ends; zero = never.
func expiry(f *form.Form) (at time.Time, err error) {
	if text := f.Get("expires"); text != "" {
		if at, err = time.Parse(time.RFC3339, text); err != nil {
			return at, form.Invalid("expires", fmt.Sprintf("%q is not a time such as 2030-12-31T00:00:00Z", text))
		}
	}
	return at, nil
}

// actOnUser serves the operations on any user, for administrators.
func (a *API) actOnUser(r *http.Request) (any, error) {
	if op := r.URL.Query().Get("op"); op != "delete_all_authorisation_tokens" {
		return nil, &unsupported{"users op=" + op}
	}
	f, err := form.Read(r)
	if err == nil {
		err = f.Rest()
	}
	if err != nil {
		return nil, err
	}
	u, err := a.inv.Users.Find(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	_, err = a.inv.APIKeys.DeleteAll(r.Context(), u.ID)
	return nil, err
}

// sshKeyJSON is a public key of the user.
type sshKeyJSON struct {
	ID          int64  `json:"id"`
	Key         string `json:"key"`
	Keysource   string `json:"keysource"`
	ResourceURI string `json:"resource_uri"`
}

// sshKeys serves the user's own SSH keys. Another user's key is not found, whatever its number.
func (a *API) sshKeys() crud[inventory.SSHKey] {
	all := func(r *http.Request) ([]inventory.SSHKey, error) {
		u, err := a.self(r)
		if err != nil {
			return nil, err
		}
		return a.inv.SSHKeysOf(r.Context(), u.ID)
	}
	return crud[inventory.SSHKey]{
		shown: sshKeyJSON{}, tx: a.tx, all: all,
		find: func(r *http.Request) (inventory.SSHKey, error) {
			id, err := pathID(r)
			if err != nil {
				return inventory.SSHKey{}, err
			}
			keys, err := all(r)
			for _, k := range keys {
				if k.ID == id {
					return k, err
				}
			}
			return inventory.SSHKey{}, notFound("SSH key", r.PathValue("id"))
		},
		show: each(func(k inventory.SSHKey) any {
			return sshKeyJSON{ID: k.ID, Key: k.Key, ResourceURI: fmt.Sprintf("%saccount/prefs/sshkeys/%d/", a.base, k.ID)}
		}),
		fresh: func(r *http.Request) (inventory.SSHKey, error) {
			u, err := a.self(r)
			return inventory.SSHKey{UserID: u.ID}, err
		},
		read:   func(_ *http.Request, f *form.Form, to *inventory.SSHKey) { f.Text("key", &to.Key) },
		create: a.inv.SSHKeys.Create,
		remove: removing(a.inv.SSHKeys.Delete, func(k inventory.SSHKey) int64 { return k.ID }),
	}
}

// tokenPart returns the token of a key that is given whole, without its secret, or as the token
// alone.
func tokenPart(text string) string {
	if parts := strings.Split(text, ":"); len(parts) > 1 {
		return parts[1]
	}
	return text
}
