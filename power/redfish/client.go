package redfish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// client speaks Redfish to one service. It decodes nothing but what its callers look up, since each
// make of BMC has properties of other types than the schema says.
type client struct {
	http *http.Client
	base string // the service's URL, without the path /redfish/v1

	service object // its root

	user, password string
	token          string   // of the session; empty = basic authentication
	sessions       []string // URIs at which the session may be closed, likeliest first
}

// rootPath is the same for every service (DSP0266).
const rootPath = "/redfish/v1"

// maxBody bounds the part of an answer that is read. Systems with many links are the largest.
const maxBody = 4 << 20

// answer is a response that was read whole.
type answer struct {
	code     int
	etag     string
	location string
	token    string
	object   object // nil = the body is no JSON object
}

// get reads a resource. An answer that is no JSON object is an error.
func (c *client) get(ctx context.Context, op, uri string) (*answer, error) {
	a, err := c.do(ctx, op, http.MethodGet, uri, "", nil)
	if err != nil {
		return nil, err
	}
	if err := a.failure(op); err != nil {
		return nil, err
	}
	if a.object == nil {
		// The BMC was reached, so this is of no class that monitors retry for ever.
		return nil, power.Errorf(power.ActionFailed, op, "%s is not a JSON object", uri)
	}
	return a, nil
}

// do makes one request and reads the answer, whatever its status. The error is of the transport.
func (c *client) do(ctx context.Context, op, method, uri, match string, body any) (*answer, error) {
	req, err := c.request(ctx, method, uri, body)
	if err != nil {
		return nil, power.Errorf(power.Settings, op, "%w", err)
	}
	switch {
	case c.token != "":
		req.Header.Set("X-Auth-Token", c.token)
	case c.sessions == nil && c.user != "" && uri != c.root():
		req.SetBasicAuth(c.user, c.password)
	}
	if match != "" {
		req.Header.Set("If-Match", match)
	}
	return c.send(ctx, op, req)
}

func (c *client) root() string { return rootPath + "/" }

func (c *client) request(ctx context.Context, method, uri string, body any) (*http.Request, error) {
	var text io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		text = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+uri, text)
	if err != nil {
		return nil, err
	}
	// Some services answer with their web page to clients that do not say what they accept.
	req.Header.Set("Accept", "application/json")
	req.Header.Set("OData-Version", "4.0") // a service may refuse other versions (DSP0266)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

func (c *client) send(ctx context.Context, op string, req *http.Request) (*answer, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, bmchttp.Transport(ctx, op, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, bmchttp.Transport(ctx, op, err)
	}
	a := &answer{code: resp.StatusCode, etag: resp.Header.Get("ETag"), location: resp.Header.Get("Location"), token: resp.Header.Get("X-Auth-Token")}
	// A body that is no JSON object leaves the object nil: error pages and empty answers are
	// normal.
	if json.Unmarshal(text, &a.object) != nil {
		a.object = nil
	}
	if a.etag == "" {
		a.etag = a.object.text("@odata.etag")
	}
	return a, nil
}

// failure returns the error of a status that is not a success.
func (a *answer) failure(op string) error {
	if a.code >= 300 && a.code < 400 && a.location != "" {
		// From http to https, usually. Following it would send a change as a GET.
		return power.Errorf(power.Settings, op, "HTTP %d: the service redirects to %s; name that in %s", a.code, a.location, paramAddress)
	}
	return bmchttp.Status(op, a.code, a.detail())
}

// detail is the service's own words about a failure (DSP0266).
func (a *answer) detail() string {
	failed := a.object.child("error")
	for _, info := range failed.list("@Message.ExtendedInfo") {
		if text := asObject(info).text("Message"); text != "" {
			return text
		}
	}
	return failed.text("message")
}

// stale reports whether a change was refused for its If-Match header or the lack of one.
func (a *answer) stale() bool {
	return a.code == http.StatusPreconditionFailed || a.code == http.StatusPreconditionRequired
}

// change sends a POST or PATCH. etag is the version that the caller read, and fresh reads the
// version again.
//
// Makes differ in what they want of If-Match: some require it, some refuse it on actions, and some
// change the ETag with every read. So the version goes first, then the new one, then none, and at
// last any ("*"), which gives up the protection against a change in between.
func (c *client) change(ctx context.Context, op, method, uri, etag string, body any, fresh func() (string, error)) error {
	tried := map[string]bool{}
	var last *answer
	for attempt := range 4 {
		match := etag
		switch attempt {
		case 1:
			var err error
			if match, err = fresh(); err != nil {
				return err
			}
		case 2:
			match = ""
		case 3:
			match = "*"
		}
		if tried[match] {
			continue
		}
		tried[match] = true
		a, err := c.do(ctx, op, method, uri, match, body)
		if err != nil {
			return err
		}
		if last = a; !a.stale() {
			break
		}
	}
	return last.failure(op)
}

// path turns a URI of the service into a path below its base. Services send paths, URLs with a host
// name of their own, and sometimes paths relative to the root of the service.
func (c *client) path(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || uri == "" {
		return ""
	}
	path := u.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		path = rootPath + "/" + path
	}
	if base, err := url.Parse(c.base); err == nil && base.Path != "" {
		// Behind a proxy the links may hold the proxy's prefix, which base has, too.
		path = "/" + strings.TrimPrefix(strings.TrimPrefix(path, base.EscapedPath()), "/")
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery // of the next page of a collection
	}
	return path
}

// members returns the URIs of a collection. Long collections have pages.
func (c *client) members(ctx context.Context, op, uri string) ([]string, error) {
	var out []string
	for page := 0; uri != "" && page < maxPages; page++ {
		a, err := c.get(ctx, op, uri)
		if err != nil {
			return out, err
		}
		for _, m := range a.object.list("Members") {
			if path := c.path(link(m)); path != "" {
				out = append(out, path)
			}
		}
		uri = c.path(link(a.object.value("Members@odata.nextLink")))
	}
	return out, nil
}

// maxPages bounds a collection whose pages lead to each other.
const maxPages = 64

// ended reports whether the failure is one that further requests would share.
func ended(ctx context.Context, err error) bool {
	return ctx.Err() != nil || power.ClassOf(err) == power.Auth || errors.Is(err, bmchttp.ErrPin)
}
