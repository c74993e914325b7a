package console

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory"
)

const (
	// KeyName is the name of the API keys of sessions.
	KeyName = "page"
	// SessionTime is the time after which a user has to log in again: a working day.
	SessionTime = 12 * time.Hour

	cookieName = "maas_session"
)

// session is the user of a request.
type session struct {
	user inventory.User
	key  string // of the API; "" = none is needed
}

// sessionKey is the key of the session in a request's context.
type sessionKey struct{}

// sessionOf returns the session of a request; the zero one has no rights.
func sessionOf(r *http.Request) session {
	s, _ := r.Context().Value(sessionKey{}).(session)
	return s
}

// administrator is the user where the API trusts its clients.
var administrator = inventory.User{Name: inventory.DefaultUser, Role: inventory.RoleAdmin}

// withSession adds the session of a request's cookie to the request. An error is the database's.
func (c *Console) withSession(r *http.Request) (*http.Request, error) {
	var s session
	if c.cfg.Trusted {
		s.user = administrator
	} else {
		cookie, err := r.Cookie(cookieName)
		if err != nil {
			return r, nil
		}
		parts := strings.Split(cookie.Value, ":")
		if len(parts) != 3 {
			return r, nil
		}
		user, ok, err := c.cfg.Keys.Check(r.Context(), parts[0], parts[1], parts[2])
		if err != nil || !ok {
			return r, err
		}
		s = session{user, cookie.Value}
	}
	return r.WithContext(context.WithValue(r.Context(), sessionKey{}, s)), nil
}

// requireUser serves requests that have a session, and sends others to the log-in.
func (c *Console) requireUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sessionOf(r).user.Name != "" {
			next.ServeHTTP(w, r)
			return
		}
		if r.Method != http.MethodGet || r.Header.Get("Accept") == "text/event-stream" {
			c.fail(w, r, &refusal{Status: http.StatusUnauthorized, Text: "You are not logged in, or no longer."})
			return
		}
		http.Redirect(w, r, c.base+"/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
	})
}

// newSeed returns random octets.
func newSeed() []byte {
	seed := make([]byte, 32)
	_, _ = rand.Read(seed) // never fails
	return seed
}

// formToken returns the token that each form of a session carries. It follows from the key, so that
// no state is kept, and reveals nothing about it.
func (c *Console) formToken(r *http.Request) string {
	secret := c.seed
	if key := sessionOf(r).key; key != "" {
		secret = []byte(key)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("form"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// guard checks what holds for all requests, and limits what browsers do with the answers.
func (c *Console) guard(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secureHeaders(w, r)
		r, err := c.withSession(r)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		if c.cfg.Trusted && !fromHere(r) {
			c.fail(w, r, &refusal{Status: http.StatusMisdirectedRequest, Text: "This page is for this host alone: open it by 127.0.0.1 or localhost."})
			return
		}
		if err := origin.Check(r); err != nil {
			c.fail(w, r, &refusal{Status: http.StatusForbidden, Text: "The form was sent by a page of another site."})
			return
		}
		if !safe(r.Method) {
			if err := c.checkForm(w, r); err != nil {
				c.fail(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// safe reports whether a method changes nothing (RFC 9110 section 9.2.1).
func safe(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// checkForm reads the form of a write, which has to carry the token of its session. A log-in has no
// session yet: the check of its origin is all that it needs.
func (c *Console) checkForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return &refusal{Status: http.StatusBadRequest, Text: "The form cannot be read, or is larger than 1 MB."}
	}
	if sessionOf(r).user.Name == "" || hmac.Equal([]byte(r.PostFormValue("csrf")), []byte(c.formToken(r))) {
		return nil
	}
	return &refusal{Status: http.StatusForbidden, Text: "The form is of another session. Open the page again and repeat."}
}

// secureHeaders permits the files of the page and nothing else. Answers show the site to one user,
// so that no cache keeps them.
func secureHeaders(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// fromHere reports whether a request names this host by a loopback address, localhost or a Unix
// socket, whose clients choose any name. Another name may be one that a foreign site's owner made
// lead here, to reach this page from a browser on this host.
func fromHere(r *http.Request) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

// loginView is the data of the log-in.
type loginView struct{ Name, Next, Problem string }

// loginPage shows the log-in.
func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) error {
	if sessionOf(r).user.Name != "" {
		http.Redirect(w, r, c.base+"/", http.StatusSeeOther)
		return nil
	}
	return c.show(w, r, "login", frame{Title: "Log in", Data: loginView{Next: c.nextOf(r)}})
}

// nextOf returns the page to show after a log-in: one of this site, never of another one.
func (c *Console) nextOf(r *http.Request) string {
	next := r.FormValue("next")
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, c.base+"/") || strings.HasPrefix(next, "//") || strings.Contains(next, `\`) {
		return c.base + "/"
	}
	return next
}

// login exchanges a name and a password for a key, by the API, which bounds the attempts.
func (c *Console) login(w http.ResponseWriter, r *http.Request) error {
	form := url.Values{
		"username": {r.PostFormValue("username")}, "password": {r.PostFormValue("password")}, "consumer": {KeyName},
		"expires": {now().Add(SessionTime).UTC().Format(time.RFC3339)},
	}
	var key struct {
		Token string `json:"token"`
	}
	err := c.askAs(r, "", call{method: "POST", path: "/accounts/authenticate/", form: form}, &key)
	if no := (*refusal)(nil); errors.As(err, &no) && no.Status < http.StatusInternalServerError {
		view := loginView{Name: form.Get("username"), Next: c.nextOf(r), Problem: no.Error()}
		return c.show(w, r, "login", frame{Title: "Log in", Status: no.Status, Data: view})
	}
	if err != nil {
		return err
	}
	http.SetCookie(w, c.cookie(r, key.Token, int(SessionTime.Seconds())))
	http.Redirect(w, r, c.nextOf(r), http.StatusSeeOther)
	return nil
}

// cookie returns the cookie of a session. Lax lets links of other pages open this one, and sends
// the cookie with no form of theirs.
func (c *Console) cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, Path: c.base + "/", MaxAge: age, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode}
}

// logout ends the session.
func (c *Console) logout(w http.ResponseWriter, r *http.Request) error {
	if parts := strings.Split(sessionOf(r).key, ":"); len(parts) == 3 {
		if err := c.deleteKey(r, parts[1]); err != nil {
			return err
		}
	}
	return c.loggedOut(w, r)
}

// logoutEverywhere ends all sessions of the user. Other keys of theirs are kept: programs use them.
func (c *Console) logoutEverywhere(w http.ResponseWriter, r *http.Request) error {
	if c.cfg.Trusted {
		return c.loggedOut(w, r)
	}
	var keys []struct {
		Name  string `json:"name"`
		Token string `json:"token_key"`
	}
	if err := c.ask(r, call{method: "GET", path: "account/?op=list_authorisation_tokens"}, &keys); err != nil {
		return err
	}
	own, last := sessionOf(r).key, ""
	for _, k := range keys {
		switch {
		case k.Name != KeyName:
		case strings.Contains(own, ":"+k.Token+":"):
			last = k.Token // after the others, which it deletes
		default:
			if err := c.deleteKey(r, k.Token); err != nil {
				return err
			}
		}
	}
	if last != "" {
		if err := c.deleteKey(r, last); err != nil {
			return err
		}
	}
	return c.loggedOut(w, r)
}

// deleteKey makes a key of the user void.
func (c *Console) deleteKey(r *http.Request, token string) error {
	return c.ask(r, call{method: "POST", path: "account/?op=delete_authorisation_token", form: url.Values{"token_key": {token}}}, nil)
}

// loggedOut forgets the cookie.
func (c *Console) loggedOut(w http.ResponseWriter, r *http.Request) error {
	http.SetCookie(w, c.cookie(r, "", -1))
	http.Redirect(w, r, c.base+"/login", http.StatusSeeOther)
	return nil
}
