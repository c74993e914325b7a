// Package oauth checks requests that are signed with OAuth 1.0a PLAINTEXT (RFC 5849), as clients of
// MAAS sign them, and limits attempts to log in.
//
//	v := oauth.Verifier[User]{Check: keys.Check}
//	user, err := v.Verify(r)
//
// PLAINTEXT sends the secret itself, so the signature does not protect the request; TLS does. The
// timestamp and the nonce only keep a request that was recorded from being sent again.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// MaxSkew bounds the difference between the clocks of a client and the region, in both directions.
const MaxSkew = 5 * time.Minute

// Verifier finds the user who signed a request. It is safe for concurrent use.
type Verifier[User any] struct {
	// Check returns the user of an API key, false if the key is not valid. It is called
	// concurrently.
	Check func(ctx context.Context, consumer, token, secret string) (user User, ok bool, err error)

	nonces nonces
}

// ErrUnchecked wraps errors of Verifier.Check. Other errors describe what is wrong with the
// request.
var ErrUnchecked = errors.New("keys cannot be checked now")

// Verify returns the user whose key signed the request. The error says why a request is refused,
// for its sender.
func (v *Verifier[User]) Verify(r *http.Request) (user User, err error) {
	p := params(r.Header.Get("Authorization"))
	if p == nil {
		return user, errors.New("send an API key with OAuth 1.0a PLAINTEXT; the administrator makes one with: maas apikey --username NAME")
	}
	if method := p["oauth_signature_method"]; method != "PLAINTEXT" {
		return user, fmt.Errorf("the signature method is %q; only PLAINTEXT is known", method)
	}
	invalid := errors.New("the API key is not valid")
	if form.Unfit(p["oauth_consumer_key"]) || form.Unfit(p["oauth_token"]) {
		return user, invalid
	}
	// PLAINTEXT signatures are consumer secret & token secret (RFC 5849 section 3.4.4); consumers
	// of MAAS have no secret.
	secret := strings.TrimPrefix(p["oauth_signature"], "&")
	user, ok, err := v.Check(r.Context(), p["oauth_consumer_key"], p["oauth_token"], secret)
	if err != nil {
		return user, fmt.Errorf("%w: %w", ErrUnchecked, err)
	}
	if !ok {
		return user, invalid
	}
	// The key is checked first, so that strangers cannot fill the memory of nonces.
	return user, v.fresh(p, time.Now())
}

// fresh refuses requests that are too old, and those that were seen before.
func (v *Verifier[User]) fresh(p map[string]string, now time.Time) error {
	seconds, err := strconv.ParseInt(p["oauth_timestamp"], 10, 64)
	if err != nil {
		return fmt.Errorf("oauth_timestamp %q is not a number of seconds since 1970", p["oauth_timestamp"])
	}
	if skew := now.Sub(time.Unix(seconds, 0)); skew.Abs() > MaxSkew {
		return fmt.Errorf("the request is signed at %s and here it is %s; the clocks of client and region may differ by %s",
			time.Unix(seconds, 0).UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339), MaxSkew)
	}
	if !v.nonces.fresh(now, seconds, p["oauth_consumer_key"]+" "+p["oauth_nonce"]) {
		return errors.New("this request was sent before, or so many came that what is this old is refused; sign each request anew")
	}
	return nil
}

var param = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)

// params parses an Authorization header; nil if it is not OAuth.
func params(header string) map[string]string {
	rest, ok := strings.CutPrefix(header, "OAuth ")
	if !ok {
		return nil
	}
	p := map[string]string{}
	for _, m := range param.FindAllStringSubmatch(rest, 32) { // OAuth has eight parameters
		if value, err := url.QueryUnescape(m[2]); err == nil {
			p[m[1]] = value
		}
	}
	return p
}
