package maasapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// keyHeader carries a key that the client chose for a request, so that it can safely send the
// request again.
const keyHeader = "Idempotency-Key"

// maxKey is the largest key in bytes, and maxKept the largest answer that is kept.
const (
	maxKey  = 255
	maxKept = form.MaxBody
)

// once executes a POST that carries a key once. Within a day, the same request with the same key
// gets the kept answer; another request with that key gets 422, and a request whose first copy is
// still in progress 409. Failures of the region are not kept, so that a retry can succeed, and
// neither are answers over a mebibyte. Requests that are answered with secrets take no keys: their
// answers would be stored. Requests without a user take none either: strangers could push out the
// answers of others, and use their keys.
func (a *API) once(x route, next http.Handler) http.Handler {
	if x.method != http.MethodPost || x.public && !x.secret {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get(keyHeader)
		if key == "" {
			next.ServeHTTP(w, r)
			return
		}
		if len(key) > maxKey || x.secret {
			fields(w, keyHeader, fmt.Sprintf("has 1 to %d bytes, and is not for requests that are answered with keys", maxKey))
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		// a keyed digest, because the body may contain passwords
		sum := a.answers.Digest(fmt.Appendf(nil, "%s\n%s\n%s", r.URL.RequestURI(), r.Header.Get("Content-Type"), body))
		answer, begun, err := a.answers.Begin(r.Context(), inventory.Answer{User: userOf(r), Key: key, Request: sum})
		switch {
		case err != nil:
			a.fail(w, r, err)
		case begun:
			a.keep(w, r, next, answer)
		case answer.Request != sum:
			http.Error(w, "this key was used for another request; use a new one", http.StatusUnprocessableEntity)
		case answer.Status == 0:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "the request with this key is still being done", http.StatusConflict)
		default:
			w.Header().Set("Idempotent-Replayed", "true")
			if answer.Type != "" {
				w.Header().Set("Content-Type", answer.Type)
			}
			w.WriteHeader(answer.Status)
			_, _ = w.Write(answer.Body) // an error means that the client has gone
		}
	})
}

// keep serves the request and stores the answer. It does so even if the client disconnects first:
// that is when it will retry.
func (a *API) keep(w http.ResponseWriter, r *http.Request, next http.Handler, answer inventory.Answer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 10*time.Second)
	defer cancel()
	c := &copied{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		answer.Status, answer.Type, answer.Body = c.status, w.Header().Get("Content-Type"), c.body.Bytes()
		if c.status >= http.StatusInternalServerError || c.body.Len() > maxKept || !c.done {
			answer.Status = 0
		}
		if err := a.answers.End(ctx, answer); err != nil {
			a.log.Error("answer to a request with a key not kept", "err", err)
		}
	}()
	next.ServeHTTP(c, r)
	c.done = true
}

// copied is a response that is sent and copied.
type copied struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
	done   bool
}

// WriteHeader implements http.ResponseWriter.
func (c *copied) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *copied) Write(p []byte) (int, error) {
	if c.body.Len() <= maxKept {
		c.body.Write(p)
	}
	return c.ResponseWriter.Write(p)
}
