package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/client"
)

// target is a resource at a daemon. If a node owns the objects, target holds the objects of one
// node.
type target struct {
	*resource
	client client.Client
	node   string // system ID in paths; empty if no node owns the objects
}

// target finds the node that owns a resource's objects, and returns the remaining arguments.
func (c remote) target(ctx context.Context, r *resource, args []string) (target, []string, error) {
	cl, err := c.client()
	if err != nil {
		return target{}, nil, err
	}
	t := target{resource: r, client: cl}
	if !r.owned() {
		return t, args, nil
	}
	if len(args) == 0 || strings.Contains(args[0], "=") {
		return t, nil, fmt.Errorf("name the machine or device first: maas %s %s", r.name, "VERB MACHINE ...")
	}
	for _, kind := range []string{"machine", "device"} {
		var found match
		node := target{resource: resourceNamed(kind), client: cl}
		if found, err = node.find(ctx, args[0]); err == nil {
			t.node = found.id
			return t, args[1:], nil
		}
		if unknown := (*unknownError)(nil); !errors.As(err, &unknown) {
			return t, nil, err
		}
	}
	return t, nil, fmt.Errorf("there is no machine or device %q; see maas machine list and maas device list", args[0])
}

// path puts the node into a path of the resource.
func (t target) path(of string) string {
	return client.API + strings.ReplaceAll(of, "{node}", url.PathEscape(t.node))
}

func (t target) itemPath(id string) string {
	return t.path(cmp.Or(t.item, t.collection)) + url.PathEscape(id) + "/"
}

// list reads all objects that match a query, each as the API sent it.
func (t target) list(ctx context.Context, query url.Values) ([]json.RawMessage, error) {
	path := t.path(t.collection)
	if t.name == "ipaddress" && query.Get("owner") == "" {
		query = url.Values{"all": {"true"}, "ip": query["ip"]}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var all []json.RawMessage
	if err := t.client.Get(ctx, path, &all); err != nil {
		return nil, err
	}
	if t.within == "" {
		return all, nil
	}
	var out []json.RawMessage
	for _, raw := range all {
		var outer map[string]json.RawMessage
		var inner []json.RawMessage
		if err := json.Unmarshal(raw, &outer); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(outer[t.within], &inner); err != nil {
			return nil, err
		}
		out = append(out, inner...)
	}
	return out, nil
}

// match is an object that find found.
type match struct {
	id, name string
	names    []string // all its names, the best first
	raw      json.RawMessage
}

// unknownError reports a name that no object has.
type unknownError struct{ text string }

func (e *unknownError) Error() string { return e.text }

// find finds one object by any of its names.
func (t target) find(ctx context.Context, text string) (match, error) {
	if t.direct {
		var raw json.RawMessage
		err := t.client.Get(ctx, t.itemPath(text), &raw)
		if err == nil {
			return t.matched(raw)
		}
		if bad := (*client.Error)(nil); !errors.Is(err, fs.ErrNotExist) && (!errors.As(err, &bad) || bad.Status >= 500 || bad.Status == 401 || bad.Status == 403) {
			return match{}, err
		}
	}
	all, err := t.list(ctx, nil)
	if err != nil {
		return match{}, err
	}
	var found []match
	var names []string
	best := -1 // a better name counts more
	for _, raw := range all {
		m, err := t.matched(raw)
		if err != nil {
			return match{}, err
		}
		names = append(names, m.names[:min(len(m.names), 2)]...)
		rank := slices.IndexFunc(m.names, func(n string) bool { return strings.EqualFold(n, text) })
		switch {
		case rank < 0:
		case best < 0 || rank < best:
			found, best = []match{m}, rank
		case rank == best:
			found = append(found, m)
		}
	}
	return t.chosen(text, found, names)
}

func findMachine(ctx context.Context, cl client.Client, name string) (match, error) {
	return target{resource: resourceNamed("machine"), client: cl}.find(ctx, name)
}

// matched returns an object as a match, with all its names.
func (t target) matched(raw json.RawMessage) (match, error) {
	var o object
	if err := decode(raw, &o); err != nil {
		return match{}, fmt.Errorf("%s does not answer as a MAAS API: %w", t.client, err)
	}
	m := match{id: summary(o[t.id]), names: t.namesOf(o), raw: raw}
	m.name = m.id
	if len(m.names) > 0 {
		m.name = m.names[0]
	}
	return m, nil
}

// chosen returns the only object found, or an error that lists the candidates.
func (t target) chosen(text string, found []match, names []string) (match, error) {
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		help := didYouMean(text, names)
		if help == "" {
			help = fmt.Sprintf("; see maas %s list", t.name)
		}
		return match{}, &unknownError{fmt.Sprintf("there is no %s %q%s", t.sentence(), text, help)}
	}
	var ids []string
	for _, m := range found {
		ids = append(ids, m.id)
	}
	return match{}, fmt.Errorf("%d objects are called %q; name one by its number: %s", len(found), text, strings.Join(ids, ", "))
}
