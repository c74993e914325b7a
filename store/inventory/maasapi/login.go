package maasapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/oauth"
)

// authenticatePath exchanges a user and a password for a key, below the path where MAAS is mounted.
const authenticatePath = "/accounts/authenticate/"

// A network, which is an IPv4 address or an IPv6 network of 64 bits, may try loginBurst passwords
// of one user at once and then one each loginEvery; of all users, networkBurst and networkEvery. No
// limit is of a user alone: with that, any host could keep a user out from everywhere. What a
// network may guess of many users is more, since people share addresses behind a router; guesses
// from many networks wait for each other, because two passwords are hashed at a time.
const (
	loginBurst   = 10
	loginEvery   = 6 * time.Second
	networkBurst = 30
	networkEvery = 2 * time.Second
)

// maxLoginKeys bounds the keys of one name that a user gets by logging in. The oldest is removed,
// because clients log in again without deleting their old keys.
const maxLoginKeys = 10

// tooMany reports that a client has tried to log in too often.
type tooMany struct{ wait time.Duration }

func (e *tooMany) Error() string {
	return fmt.Sprintf("too many attempts to log in; try again in %s", e.wait.Round(time.Second))
}

// unauthorized reports that a client did not prove which user it acts for.
type unauthorized struct{ why string }

func (e *unauthorized) Error() string { return e.why }

// authenticate creates a key for a client that sends a user's password. The field consumer is the
// key's name, and expires the time at which the key ends; without it, the key does not end.
func (a *API) authenticate(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	name := f.Get("username")
	if name == "" || f.Raw("password") == "" {
		return nil, form.Invalid("username", "and password are needed")
	}
	consumer := f.Get("consumer")
	expires, err := expiry(f)
	if err != nil {
		return nil, err
	}
	f.Used("csrfmiddlewaretoken") // of browsers' forms, for cookies, which this API does not use
	if err := f.Rest(); err != nil {
		return nil, err
	}
	now := time.Now()
	network := oauth.Network(r.RemoteAddr)
	wait := a.logins.Take(now, network+" "+name)
	if wait == 0 {
		wait = a.networks.Take(now, network)
	}
	if wait > 0 {
		return nil, &tooMany{wait}
	}
	u, ok, err := a.passwords.CheckPassword(r.Context(), name, f.Raw("password"))
	if err != nil {
		return nil, err
	}
	if !ok {
		a.log.Warn("log-in refused", "user", name, "client", r.RemoteAddr)
		return nil, &unauthorized{"user and password do not match"}
	}
	k, text, err := a.loginKey(r, u, consumer, expires)
	if err != nil {
		return nil, err
	}
	return tokenOf(k, text), nil
}

// loginKey creates a key and removes the oldest keys of the same name.
func (a *API) loginKey(r *http.Request, u inventory.User, name string, expires time.Time) (k inventory.APIKey, text string, err error) {
	if name == "" {
		name = "log-in"
	}
	r = Audited(r.WithContext(context.WithValue(r.Context(), userKey{}, u)))
	err = a.tx.Atomically(r.Context(), func(ctx context.Context) error {
		all, err := a.inv.APIKeys.List(ctx, u.ID)
		if err != nil {
			return err
		}
		same := 0
		for i := len(all) - 1; i >= 0; i-- {
			if all[i].Name != name {
				continue
			}
			if same++; same < maxLoginKeys {
				continue
			}
			if err := a.inv.APIKeys.Delete(ctx, u.ID, all[i].Token); err != nil {
				return err
			}
		}
		k, text, err = a.inv.APIKeys.Create(ctx, u.ID, name, expires)
		return err
	})
	return k, text, err
}
