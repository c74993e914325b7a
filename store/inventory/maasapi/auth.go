package maasapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// CreateKey makes an API key for a user and returns it in the form consumer:token:secret. It cannot be read again.
func (a *API) CreateKey(ctx context.Context, user string) (string, error) {
	u, err := a.inv.UserByName(ctx, user)
	if err != nil {
		return "", err
	}
	_, text, err := a.inv.CreateAPIKey(ctx, u.ID, "")
	return text, err
}

func (a *API) postKey(r *http.Request) (any, error) {
	f, err := form.Read(r)
	if err != nil {
		return nil, err
	}
	user := f.Get("username")
	if user == "" {
		return nil, form.Invalid("username", "a user is needed")
	}
	text, err := a.CreateKey(r.Context(), user)
	if err != nil {
		return nil, err
	}
	return map[string]string{"key": text}, nil
}

// localUser is who speaks over the socket that only the administrator can open.
var localUser = inventory.User{Name: inventory.DefaultUser, Role: inventory.RoleAdmin}

type userKey struct{}

// accountOf is who made the request.
func accountOf(r *http.Request) inventory.User {
	if user, ok := r.Context().Value(userKey{}).(inventory.User); ok {
		return user
	}
	return localUser
}

// userOf is the name of who made the request.
func userOf(r *http.Request) string { return accountOf(r).Name }

// requireKey lets requests with a valid key through, and requests to paths that need none.
func (a *API) requireKey(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.public[r.URL.Path] {
			next.ServeHTTP(w, r)
			return
		}
		user, why := a.check(r)
		if why != "" {
			w.Header().Set("WWW-Authenticate", `OAuth realm="MAAS API"`)
			http.Error(w, why, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
	})
}

// maxSkew is how far a request's clock may be off, to either side.
const maxSkew = 5 * time.Minute

// check returns whose key signed the request, or why it was refused.
func (a *API) check(r *http.Request) (user inventory.User, why string) {
	p := oauthParams(r.Header.Get("Authorization"))
	if p == nil {
		return user, "send an API key with OAuth 1.0a PLAINTEXT; the administrator makes one with: maas apikey --username NAME"
	}
	if method := p["oauth_signature_method"]; method != "PLAINTEXT" {
		return user, fmt.Sprintf("the signature method is %q; only PLAINTEXT is known", method)
	}
	// PLAINTEXT signatures are consumer secret & token secret (RFC 5849 section 3.4.4); MAAS consumers have none.
	secret := strings.TrimPrefix(p["oauth_signature"], "&")
	if form.Unfit(p["oauth_consumer_key"]) || form.Unfit(p["oauth_token"]) {
		return user, "the API key is not valid"
	}
	user, ok, err := a.inv.CheckAPIKey(r.Context(), p["oauth_consumer_key"], p["oauth_token"], secret)
	if err != nil {
		a.log.Error("cannot read API keys", "err", err)
		return user, "keys cannot be checked now"
	}
	if !ok {
		return user, "the API key is not valid"
	}
	now := time.Now()
	seconds, err := strconv.ParseInt(p["oauth_timestamp"], 10, 64)
	if err != nil {
		return user, fmt.Sprintf("oauth_timestamp %q is not a number of seconds since 1970", p["oauth_timestamp"])
	}
	if skew := now.Sub(time.Unix(seconds, 0)); skew.Abs() > maxSkew {
		return user, fmt.Sprintf("the request is signed at %s and here it is %s; the clocks of client and region may differ by %s",
			time.Unix(seconds, 0).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), maxSkew)
	}
	if !a.nonces.fresh(now, seconds, p["oauth_consumer_key"]+" "+p["oauth_nonce"]) {
		return user, "this request was sent before, or so many came that what is this old is refused; sign each request anew"
	}
	return user, ""
}

var oauthParam = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)

// oauthParams reads an Authorization header; nil when it is not OAuth.
func oauthParams(header string) map[string]string {
	rest, ok := strings.CutPrefix(header, "OAuth ")
	if !ok {
		return nil
	}
	p := map[string]string{}
	for _, m := range oauthParam.FindAllStringSubmatch(rest, 32) {
		if value, err := url.QueryUnescape(m[2]); err == nil {
			p[m[1]] = value
		}
	}
	return p
}
