package redfish

import (
	"context"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

const opOpen = "open a session"

// login opens a session where the service has any, and prepares basic authentication elsewhere:
// emulators, storage controllers and old BMCs know nothing else. Whether the service takes the
// password is then seen at the first resource.
func (c *client) login(ctx context.Context) error {
	root, err := c.get(ctx, opOpen, c.root())
	if power.ClassOf(err) == power.Auth {
		// Some services protect even the root, against DSP0266 section 13.3.1. Nothing in it is
		// needed.
		root, err = &answer{}, nil
	}
	if err != nil {
		return err
	}
	c.service = root.object
	collection := c.collection(root.object)
	if collection == "" {
		return nil
	}
	// Basic credentials at the log-in make some services refuse it, so this request has none.
	req, err := c.request(ctx, http.MethodPost, collection, map[string]string{"UserName": c.user, "Password": c.password})
	if err != nil {
		return power.Errorf(power.Settings, opOpen, "%w", err)
	}
	a, err := c.send(ctx, opOpen, req)
	if err != nil {
		return err
	}
	if a.code < 200 || a.code >= 300 {
		return refusedLogin(a)
	}
	c.sessions = c.sessionURIs(collection, a)
	if c.token = a.token; c.token == "" {
		// A session that cannot be used still takes up one of the few. It is closed with basic
		// authentication.
		return c.closeUseless(ctx)
	}
	return nil
}

// collection returns the URI of the sessions; empty = the service names none.
func (c *client) collection(root object) string {
	if root == nil {
		return rootPath + "/SessionService/Sessions"
	}
	if uri := c.path(link(root.child("Links").value("Sessions"))); uri != "" {
		return strings.TrimSuffix(uri, "/")
	}
	if uri := c.path(link(root.value("SessionService"))); uri != "" {
		return strings.TrimSuffix(uri, "/") + "/Sessions" // where DSP0266 has them
	}
	return ""
}

// refusedLogin returns the error of a log-in that shall be tried again later, and nil where basic
// authentication may do. A wrong password is refused there once more, and reported by that.
func refusedLogin(a *answer) error {
	switch a.code {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return power.Errorf(power.Connection, opOpen, "%w", bmchttp.Status(opOpen, a.code, a.detail()))
	}
	if a.code < 400 {
		return a.failure(opOpen)
	}
	return nil
}

// sessionURIs are the URIs that may name the new session. It should be in the header Location, but
// services leave it out, or write a path that is relative to anything.
func (c *client) sessionURIs(collection string, a *answer) []string {
	uris := []string{} // not nil: there is a session
	add := func(uri string) {
		if uri != "" && uri != collection {
			uris = append(uris, uri)
		}
	}
	location, id := a.location, a.object.text("@odata.id")
	if strings.HasPrefix(location, "/") || strings.Contains(location, "://") {
		add(c.path(location))
	}
	if strings.HasPrefix(id, "/") || strings.Contains(id, "://") {
		add(c.path(id))
	}
	// Whatever a relative path is relative to, it ends with the session's ID.
	for _, name := range []string{location, id, a.object.text("Id")} {
		if last := path.Base(strings.TrimRight(name, "/")); last != "." && last != "/" {
			add(collection + "/" + last)
		}
	}
	return unique(uris)
}

func unique(in []string) []string {
	out, seen := in[:0], map[string]bool{}
	for _, s := range in {
		if key := strings.TrimRight(s, "/"); !seen[key] {
			seen[key] = true
			out = append(out, s)
		}
	}
	return out
}

// closeUseless closes a session without a token, and goes on without sessions.
func (c *client) closeUseless(ctx context.Context) error {
	uris := c.sessions
	c.sessions = nil // so that basic authentication is sent
	for _, uri := range uris {
		if a, err := c.do(ctx, opClose, http.MethodDelete, uri, "", nil); err != nil {
			return err
		} else if a.code < 300 {
			break
		}
	}
	return nil
}

const opClose = "close the session"

// logout closes the session. BMCs have few, and keep forgotten ones for half an hour.
func (c *client) logout(ctx context.Context) error {
	if c.token == "" {
		return nil
	}
	failed := error(power.Errorf(power.ActionFailed, opClose, "the service did not say where the new session is; it stays open until it expires"))
	if len(c.sessions) == 0 {
		power.TranscriptFrom(ctx).Record(power.Exchange{Time: time.Now(), Layer: "http", Request: opClose, Err: failed.Error()})
	}
	for _, uri := range c.sessions {
		a, err := c.do(ctx, opClose, http.MethodDelete, uri, "", nil)
		if err != nil {
			return err
		}
		// Only "not found" may mean that another of the URIs is right.
		if failed = a.failure(opClose); failed == nil || a.code != http.StatusNotFound && a.code != http.StatusMethodNotAllowed {
			break
		}
	}
	c.token = ""
	return failed
}
