package bmchttp

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/gomaas/maas/power"
)

// UseDigest makes a client answer the challenges of digest authentication (RFC 7616), which the
// standard library does not. Bodies of requests must be of the kinds that can be sent again.
func UseDigest(client *http.Client, user, password string) {
	client.Transport = &digest{next: client.Transport, user: user, password: password}
}

// digest keeps the last challenge, so that one request costs one exchange and not two.
type digest struct {
	next           http.RoundTripper
	user, password string

	mu        sync.Mutex // guards the fields below
	challenge map[string]string
	count     int
}

// CloseIdleConnections implements the method that http.Client.CloseIdleConnections looks for.
func (d *digest) CloseIdleConnections() {
	if c, ok := d.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (d *digest) RoundTrip(req *http.Request) (*http.Response, error) {
	signed, err := d.sign(req)
	if err != nil {
		return nil, err
	}
	resp, err := d.next.RoundTrip(signed)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	challenge := challengeOf(resp.Header)
	// The second refusal is of the password, unless the nonce has aged.
	if challenge == nil || signed.Header.Get("Authorization") != "" && !strings.EqualFold(challenge["stale"], "true") {
		return resp, nil
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)) // so that the connection is used again
	resp.Body.Close()
	d.mu.Lock()
	d.challenge, d.count = challenge, 0
	d.mu.Unlock()
	if signed, err = d.sign(req); err != nil {
		return nil, err
	}
	return d.next.RoundTrip(signed)
}

// sign returns a copy of the request with the answer to the last challenge, if there was one.
func (d *digest) sign(req *http.Request) (*http.Request, error) {
	out := req.Clone(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		out.Body = body
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.challenge == nil {
		return out, nil
	}
	d.count++
	answer, err := d.answer(req.Method, req.URL.RequestURI(), fmt.Sprintf("%08x", d.count), rand.Text())
	if err != nil {
		return nil, err
	}
	out.Header.Set("Authorization", answer)
	return out, nil
}

// algorithms are the hashes of RFC 7616 that devices use.
var algorithms = map[string]func() hash.Hash{"": md5.New, "MD5": md5.New, "SHA-256": sha256.New}

// answer is called with the lock held.
func (d *digest) answer(method, uri, count, cnonce string) (string, error) {
	c := d.challenge
	newHash, ok := algorithms[strings.ToUpper(c["algorithm"])]
	if !ok {
		return "", power.Errorf(power.Unsupported, "log in", "the device wants digests with %s", c["algorithm"])
	}
	sum := func(parts ...string) string {
		h := newHash()
		_, _ = io.WriteString(h, strings.Join(parts, ":"))
		return hex.EncodeToString(h.Sum(nil))
	}
	user, request := sum(d.user, c["realm"], d.password), sum(method, uri)
	text := fmt.Sprintf(`Digest username=%q, realm=%q, nonce=%q, uri=%q`, d.user, c["realm"], c["nonce"], uri)
	if c["qop"] == "" { // RFC 2069, which old devices speak
		text += fmt.Sprintf(`, response=%q`, sum(user, c["nonce"], request))
	} else {
		text += fmt.Sprintf(`, response=%q, qop=auth, nc=%s, cnonce=%q`, sum(user, c["nonce"], count, cnonce, "auth", request), count, cnonce)
	}
	if c["opaque"] != "" {
		text += fmt.Sprintf(`, opaque=%q`, c["opaque"])
	}
	if c["algorithm"] != "" {
		text += ", algorithm=" + c["algorithm"]
	}
	return text, nil
}

// challengeOf returns the fields of the first digest challenge; nil = there is none.
func challengeOf(h http.Header) map[string]string {
	for _, text := range h.Values("WWW-Authenticate") {
		scheme, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		if !strings.EqualFold(scheme, "Digest") {
			continue
		}
		fields := map[string]string{}
		for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimLeft(rest, ", ") {
			name, after, ok := strings.Cut(rest, "=")
			if !ok {
				break
			}
			var value string
			if quoted, is := strings.CutPrefix(after, `"`); is {
				value, rest, _ = strings.Cut(quoted, `"`)
			} else {
				value, rest, _ = strings.Cut(after, ",")
			}
			fields[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
		}
		return fields
	}
	return nil
}
