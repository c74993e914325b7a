package maasapi

import (
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory/maasapi/internal/form"
)

// bodyTime bounds the time in which a client sends a body, against clients that keep connections
// busy by sending slowly.
const bodyTime = time.Minute

// securityHeaders keeps browsers from using answers: no page of another site may read them (there
// are no headers of CORS), show them in a frame, guess their type or store them.
func securityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// applyPath takes a whole site as one document, of at most maxDocument bytes: 2 MB have 5,000
// machines.
const (
	applyPath   = "/api/v1/apply"
	maxDocument = 64 << 20
)

// limitBody bounds the size of a request's body and the time that the client has to send it.
func limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, consolePath) {
			bothWays(w, r, next)
			return
		}
		most := int64(form.MaxBody)
		if strings.HasSuffix(r.URL.Path, applyPath) {
			most = maxDocument
		}
		r.Body = &timedBody{http.MaxBytesReader(w, r.Body, most), http.NewResponseController(w), time.Now().Add(bodyTime)}
		next.ServeHTTP(w, r)
	})
}

// bothWays serves a request whose body goes on while it is answered, and has no bounds. A refusal
// does not wait for the rest of the body either: without the deadline, net/http would read it.
func bothWays(w http.ResponseWriter, r *http.Request, next http.Handler) {
	conn := http.NewResponseController(w)
	_ = conn.EnableFullDuplex() // HTTP/2, which needs it not, says that it is not supported
	defer func() { _ = conn.SetReadDeadline(time.Now()) }()
	next.ServeHTTP(w, r)
}

// refuseCrossOrigin refuses writes from pages of other sites.
func refuseCrossOrigin(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(next)
}

// timedBody fails reads after a time. The deadline of the connection is set only during reads:
// otherwise it would end requests that take long to serve, such as switching a machine.
type timedBody struct {
	io.ReadCloser
	conn  *http.ResponseController
	until time.Time
}

// Read implements io.Reader.
func (b *timedBody) Read(p []byte) (int, error) {
	if b.conn.SetReadDeadline(b.until) == nil {
		defer func() { _ = b.conn.SetReadDeadline(time.Time{}) }() // fails only if the connection has ended
	}
	return b.ReadCloser.Read(p)
}

// requireUTF8 refuses requests whose path or query is no text, or whose query cannot be parsed:
// net/url would overlook the pairs that it does not understand.
func requireUTF8(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			fields(w, "", "the query of the request cannot be read: "+err.Error())
			return
		}
		if form.Unfit(r.URL.Path) || form.UnfitIn(reflect.ValueOf(query)) || form.Unfit(r.Header.Get(keyHeader)) {
			fields(w, "", "the address of the request, or its "+keyHeader+", "+form.UnfitMessage)
			return
		}
		next.ServeHTTP(w, r)
	})
}
