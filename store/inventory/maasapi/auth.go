package maasapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// settingKeys is where the hashes of API keys are kept.
const settingKeys = "api_keys"

// A key is what is kept of an API key.
type key struct {
	User   string `json:"user"`
	Token  string `json:"token"`
	Secret string `json:"secret"` // SHA-256 of the secret in hexadecimal; keys are random, so nothing slower is needed
}

// keys remembers the nonces of the last minutes, so that a request that was overheard cannot be sent again.
type keys struct {
	mu    sync.Mutex // guards following
	seen  map[string]time.Time
	swept time.Time
}

// CreateKey makes an API key for a user and returns it in the form consumer:token:secret. It cannot be read again.
func (a *API) CreateKey(ctx context.Context, user string) (string, error) {
	consumer, token, secret := rand.Text(), rand.Text(), rand.Text()
	err := a.inv.Atomically(ctx, func(ctx context.Context) error {
		all, err := a.loadKeys(ctx)
		if err != nil {
			return err
		}
		all[consumer] = key{User: user, Token: token, Secret: hash(secret)}
		text, err := json.Marshal(all)
		if err != nil {
			return err
		}
		return a.inv.SetSetting(ctx, settingKeys, string(text))
	})
	return consumer + ":" + token + ":" + secret, err
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func (a *API) loadKeys(ctx context.Context) (map[string]key, error) {
	all := map[string]key{}
	text, err := a.inv.Setting(ctx, settingKeys)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal([]byte(text), &all)
}

func (a *API) postKey(r *http.Request) (any, error) {
	if err := r.ParseForm(); err != nil {
		return nil, formError(err)
	}
	user := r.PostForm.Get("username")
	if user == "" {
		return nil, &badRequest{"username", "a user is needed"}
	}
	text, err := a.CreateKey(r.Context(), user)
	return map[string]string{"key": text}, err
}

type userKey struct{}

// userOf is who made the request.
func userOf(r *http.Request) string {
	if user, ok := r.Context().Value(userKey{}).(string); ok {
		return user
	}
	return "admin" // over the local socket
}

// authenticated lets requests with a valid key through.
func (a *API) authenticated(next http.Handler) http.Handler {
	return limitBody(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == base+"version/" {
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
	}))
}

// maxSkew is how far a request's clock may be off.
const maxSkew = 5 * time.Minute

// check returns whose key signed the request, or why it was refused.
func (a *API) check(r *http.Request) (user, why string) {
	p := oauthParams(r.Header.Get("Authorization"))
	if p == nil {
		return "", "send an API key with OAuth 1.0a PLAINTEXT; the administrator makes one with: maas apikey --username NAME"
	}
	all, err := a.loadKeys(r.Context())
	if err != nil {
		a.log.Error("cannot read API keys", "err", err)
		return "", "keys cannot be checked now"
	}
	k, known := all[p["oauth_consumer_key"]]
	// PLAINTEXT signatures are consumer secret & token secret (RFC 5849 section 3.4.4); MAAS consumers have none.
	secret := strings.TrimPrefix(p["oauth_signature"], "&")
	right := subtle.ConstantTimeCompare([]byte(hash(secret)), []byte(k.Secret)) == 1 &&
		subtle.ConstantTimeCompare([]byte(p["oauth_token"]), []byte(k.Token)) == 1
	if !known || !right || p["oauth_signature_method"] != "PLAINTEXT" {
		return "", "the API key is not valid"
	}
	seconds, err := strconv.ParseInt(p["oauth_timestamp"], 10, 64)
	if skew := time.Since(time.Unix(seconds, 0)); err != nil || skew.Abs() > maxSkew {
		return "", "the clocks of client and region differ by more than five minutes"
	}
	if !a.keys.fresh(p["oauth_consumer_key"] + " " + p["oauth_timestamp"] + " " + p["oauth_nonce"]) {
		return "", "this request was sent before"
	}
	return k.User, ""
}

// fresh reports whether a nonce is new, and remembers it for as long as its timestamp is accepted.
func (k *keys) fresh(nonce string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if now.Sub(k.swept) > maxSkew {
		maps.DeleteFunc(k.seen, func(_ string, at time.Time) bool { return now.Sub(at) > 2*maxSkew })
		k.swept = now
	}
	if _, seen := k.seen[nonce]; seen {
		return false
	}
	if k.seen == nil {
		k.seen = map[string]time.Time{}
	}
	k.seen[nonce] = now
	return true
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
