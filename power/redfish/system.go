package redfish

import (
	"context"
	"errors"
	"net/url"
	"path"
	"strings"

	"github.com/gomaas/maas/power"
)

// choose returns the URI of the system that is meant: the one named, or the only one. It reads the
// list alone where the name is in the URI, which it is with nearly all makes. Systems that are not
// meant need not answer: an accelerator's own controller fails while its host is off.
func (c *client) choose(ctx context.Context, node string) (string, error) {
	const op = "choose the system"
	uris, err := c.systems(ctx, op)
	if err != nil {
		return "", err
	}
	if node == "" {
		// Chassis of blades have one BMC for many systems; guessing one could switch off another's
		// machine.
		if len(uris) == 1 {
			return uris[0], nil
		}
		return "", power.Errorf(power.Settings, op, "the BMC has %d systems; set %s to one of %q", len(uris), paramNode, names(uris))
	}
	for _, uri := range uris {
		if name(uri) == node || strings.TrimRight(uri, "/") == strings.TrimRight(c.path(node), "/") {
			return uri, nil
		}
	}
	return c.byID(ctx, op, uris, node)
}

// systems lists the URIs of the systems.
func (c *client) systems(ctx context.Context, op string) ([]string, error) {
	uri := c.path(link(c.service.value("Systems")))
	if uri == "" {
		uri = rootPath + "/Systems" // where all makes have it
	}
	return c.members(ctx, op, uri)
}

// byID reads systems until one has the ID, for services whose URIs do not hold it.
func (c *client) byID(ctx context.Context, op string, uris []string, node string) (string, error) {
	ids := names(uris)
	var failed error
	for i, uri := range uris {
		system, err := c.get(ctx, op, uri)
		if err != nil && ended(ctx, err) {
			return "", err
		}
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		id := system.object.text("Id")
		if id == node {
			return uri, nil
		}
		if id != "" {
			ids[i] = id
		}
	}
	if power.ClassOf(failed) == power.Connection {
		// The system that is meant may be the one that did not answer.
		return "", power.Errorf(power.Connection, op, "no system that answers is %q, and others do not: %w", node, failed)
	}
	return "", power.Errorf(power.Settings, op, "the BMC has no system %q; there are %q", node, ids)
}

// name returns the last part of a URI.
func name(uri string) string {
	last := path.Base(strings.TrimRight(uri, "/"))
	if plain, err := url.PathUnescape(last); err == nil {
		return plain
	}
	return last
}

func names(uris []string) []string {
	out := make([]string, len(uris))
	for i, uri := range uris {
		out[i] = name(uri)
	}
	return out
}
