package console

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// call is one request to the API.
type call struct {
	method string
	// path is below the API of MAAS, as "machines/abc123/", or, with a leading slash, below Base.
	// It may have a query.
	path  string
	form  url.Values // of a write; nil = none
	match string     // version of the object that the user saw; "" = any
}

// refusal is an answer of the API, or of the page, that is no success.
type refusal struct {
	Status int
	Fields []fieldError // what is wrong with fields of the form
	Text   string       // in the words of the API; "" = see Fields
}

// fieldError names a field of a form, and its fault.
type fieldError struct{ Field, Why string }

// Error implements error.
func (e *refusal) Error() string {
	var parts []string
	for _, f := range e.Fields {
		parts = append(parts, f.Field+": "+f.Why)
	}
	if e.Text != "" {
		parts = append(parts, e.Text)
	}
	return strings.Join(parts, "; ")
}

// recorder keeps an answer of the API.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

// ask makes a request to the API in the name of the user of r, in this process, and decodes the
// answer into out unless that is nil. If the API refuses, the error is a *refusal.
func (c *Console) ask(r *http.Request, x call, out any) error {
	return c.askAs(r, sessionOf(r).key, x, out)
}

// askAs is ask with a key; "" = none.
func (c *Console) askAs(r *http.Request, key string, x call, out any) error {
	req, err := c.request(r, key, x)
	if err != nil {
		return err
	}
	w := &recorder{header: http.Header{}}
	c.cfg.API.ServeHTTP(w, req)
	if w.status >= http.StatusBadRequest {
		return refusalOf(w)
	}
	if out == nil || w.body.Len() == 0 {
		return nil
	}
	if err := json.Unmarshal(w.body.Bytes(), out); err != nil {
		return fmt.Errorf("console: answer to %s %s: %w", x.method, x.path, err)
	}
	return nil
}

// request returns the request of a call. It has the address of the client of r, whose attempts to
// log in the API counts.
func (c *Console) request(r *http.Request, key string, x call) (*http.Request, error) {
	body := strings.NewReader(x.form.Encode())
	req, err := http.NewRequestWithContext(r.Context(), x.method, c.apiURL(x.path), body)
	if err != nil {
		return nil, &refusal{Status: http.StatusBadRequest, Text: "The address cannot be read."}
	}
	req.Host, req.RemoteAddr, req.TLS = r.Host, r.RemoteAddr, r.TLS
	if x.form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if x.match != "" {
		req.Header.Set("If-Match", `"`+x.match+`"`)
	}
	if parts := strings.Split(key, ":"); len(parts) == 3 {
		// OAuth 1.0a, PLAINTEXT (RFC 5849 section 3.4.4), as any client of the API signs.
		req.Header.Set("Authorization", fmt.Sprintf(
			`OAuth oauth_version="1.0", oauth_signature_method="PLAINTEXT", oauth_consumer_key="%s", oauth_token="%s", oauth_signature="%s", oauth_nonce="%s", oauth_timestamp="%d"`,
			url.QueryEscape(parts[0]), url.QueryEscape(parts[1]), url.QueryEscape("&"+parts[2]), rand.Text(), time.Now().Unix()))
	}
	return req, nil
}

// apiURL returns the path of a call.
func (c *Console) apiURL(p string) string {
	if strings.HasPrefix(p, "/accounts/") {
		return strings.TrimSuffix(c.maas, "/api/2.0/") + p
	}
	if strings.HasPrefix(p, "/") {
		return c.base + p
	}
	return c.maas + p
}

// refusalOf reads an answer that is no success: a JSON object of fields, or text.
func refusalOf(w *recorder) *refusal {
	no := &refusal{Status: w.status}
	var fields map[string][]string
	if json.Unmarshal(w.body.Bytes(), &fields) != nil {
		no.Text = strings.TrimSpace(w.body.String())
		return no
	}
	for name, whys := range fields {
		for _, why := range whys {
			if name == "__all__" {
				no.Text = why
				continue
			}
			no.Fields = append(no.Fields, fieldError{name, why})
		}
	}
	slices.SortFunc(no.Fields, func(a, b fieldError) int { return strings.Compare(a.Field, b.Field) })
	return no
}
