package proxy

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gomaas/maas/proxy/internal/objects"
	"github.com/gomaas/maas/proxy/internal/rfc9111"
)

// An exchange is one request that may be answered from the cache.
type exchange struct {
	cache      *Cache
	w          http.ResponseWriter
	r          *http.Request // with an absolute URL
	origin     http.RoundTripper
	failed     func(error) // answers that the origin failed
	key        string
	directives rfc9111.Directives

	cancel     context.CancelCauseFunc // ends the request to the origin
	release    func()                  // frees what that held; may be called again
	detach     func() bool             // lets it outlive the client, unless that is gone
	background bool                    // no client waits for the answer
	span       *span                   // the part to ask for, nil for the whole
}

// keyOf is the URL under which responses are kept: scheme and host in lower case, without default
// port and fragment.
func keyOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return u.Scheme + "://" + host + u.RequestURI()
}

func keyOfString(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return keyOf(u)
}

// ask sends the request to the origin, or one that asks whether the stored response is still good.
// The request ends with the client, until detach is called.
func (x *exchange) ask(old *stored) (resp *http.Response, requested time.Time, err error) {
	if x.release != nil {
		x.release()
	}
	// The request must be able to outlive its client, whose followers need the answer.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(x.r.Context()))
	withClient := context.AfterFunc(x.r.Context(), func() { cancel(context.Canceled) })
	withCache := context.AfterFunc(x.cache.ctx, func() { cancel(context.Canceled) })
	x.cancel, x.detach = cancel, withClient
	x.release = func() { withClient(); withCache(); cancel(nil) }

	trace := &interim{}
	// HTTP/1.0 has no informational responses (RFC 9110, 15.2).
	if x.r.ProtoAtLeast(1, 1) && !x.background {
		trace.w = x.w
	}
	out := x.outgoing(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: trace.pass}), old)
	requested = time.Now()
	resp, err = x.origin.RoundTrip(out)
	trace.end()
	return resp, requested, err
}

// gone reports whether the client went away.
func (x *exchange) gone() bool { return x.r.Context().Err() != nil }

// outgoing is the request for the origin. The client's range is dropped, since it is cut from what
// comes.
func (x *exchange) outgoing(ctx context.Context, old *stored) *http.Request {
	out := x.r.Clone(ctx)
	// A GET has no body, and the client's connection says nothing about the origin's.
	out.RequestURI, out.Body, out.Close = "", nil, false
	rfc9111.RemoveHopByHop(out.Header)
	delete(out.Header, "Range")
	delete(out.Header, "If-Range")
	if old != nil {
		rfc9111.AddValidators(out.Header, old.content.Header)
	}
	// Last, since a part has conditions of its own, which replace the others.
	if x.span != nil {
		x.span.set(out.Header)
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // else the transport names itself
	}
	return out
}

// describe returns the description of a response that the store keeps.
func (x *exchange) describe(resp *http.Response, requested time.Time) *objects.Meta {
	h := resp.Header
	rfc9111.RemoveHopByHop(h)
	m := &objects.Meta{URL: x.key, Status: resp.StatusCode, Header: h, Requested: requested, Received: time.Now(), Targeted: isRouted(x.r)}
	if _, ok := h["Date"]; !ok {
		h["Date"] = []string{m.Received.UTC().Format(http.TimeFormat)} // RFC 9110, 6.6.1
	}
	for _, name := range rfc9111.VaryNames(h) {
		m.Vary = append(m.Vary, objects.Field{Name: name, Value: rfc9111.VaryValue(x.r.Header, name)})
	}
	return m
}

// interim passes informational responses to the client, as long as it waits for the final one.
type interim struct {
	w  http.ResponseWriter
	mu sync.Mutex
}

func (i *interim) pass(code int, fields textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	// 100 is between neighbors: the server has sent its own.
	if i.w == nil || code == http.StatusContinue {
		return nil
	}
	h := i.w.Header()
	for name, lines := range fields {
		h[name] = lines
	}
	i.w.WriteHeader(code)
	clear(h)
	return nil
}

func (i *interim) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.w = nil
}
