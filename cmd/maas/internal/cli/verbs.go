package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/gomaas/maas/cmd/maas/internal/client"
)

// The commands of resources. The parent command names the resource.
type (
	reading struct {
		List listCmd `cmd:"" help:"List all of them."`
		Show showCmd `cmd:"" help:"Show one of them."`
	}
	making struct {
		Create createCmd `cmd:"" help:"Create one."`
	}
	changing struct {
		Update updateCmd `cmd:"" help:"Change one."`
	}
	deleting struct {
		Delete deleteCmd `cmd:"" help:"Delete one or more."`
	}
	allVerbs struct {
		reading
		making
		changing
		deleting
	}
	noUpdate struct {
		reading
		making
		deleting
	}
	interfaceVerbs struct {
		allVerbs
		Link       opCmd `cmd:"" help:"Link an interface to a subnet: mode=auto, static, dhcp or link_up, subnet= and ip_address=."`
		Unlink     opCmd `cmd:"" help:"Remove a link: id=, the number of the link."`
		Disconnect opCmd `cmd:"" help:"Remove all links and the VLAN of an interface."`
		SetGateway opCmd `cmd:"" help:"Make the gateway of the link's subnet the default gateway of the machine."`
	}
	tagVerbs struct {
		allVerbs
		Assign opCmd `cmd:"" help:"Add the tag to machines, devices or subnets with add=NAME, remove it with remove=NAME."`
	}
)

// resourceCommands returns the commands of resources that have no struct of their own among
// commands.
func resourceCommands() []kong.Option {
	special := map[string]any{"interface": &interfaceVerbs{}, "tag": &tagVerbs{}, "zone": &zoneVerbs{}, "ipaddress": &noUpdate{}, "sshkey": &noUpdate{}, "tsigkey": &noUpdate{}}
	var out []kong.Option
	for _, r := range resources() {
		switch r.name {
		case "machine", "subnet", "rack":
			continue
		}
		verbs := special[r.name]
		if verbs == nil {
			verbs = &allVerbs{}
		}
		out = append(out, kong.DynamicCommand(r.name, r.help, "", verbs))
	}
	return out
}

// chosenResource returns the resource of the parent command.
func chosenResource(k *kong.Context) *resource { return resourceNamed(k.Selected().Parent.Name) }

// listCmd is `list` of every resource.
type listCmd struct {
	remote
	Watch  bool     `short:"w" help:"Print the list again after each change, until interrupted."`
	Filter []string `arg:"" optional:"" help:"Filters as NAME=VALUE, as the API takes them. For interfaces, the machine first."`
}

// Run runs the command.
func (c listCmd) Run(ctx context.Context, k *kong.Context, io stdio) error {
	t, args, err := c.target(ctx, chosenResource(k), c.Filter)
	if err != nil {
		return err
	}
	query := url.Values{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q is not NAME=VALUE; one %s is shown by: maas %s show %s", arg, t.sentence(), t.name, arg)
		}
		query.Add(name, value)
	}
	return c.watched(ctx, io, c.Watch, t.client, func(w writer) error { return c.list(ctx, w, t, query) })
}

// writer replaces io.Writer in functions whose stdio is called io.
type writer = io.Writer

// list reads the objects once and prints them.
func (c listCmd) list(ctx context.Context, w writer, t target, query url.Values) error {
	all, err := t.list(ctx, query)
	if err != nil {
		return err
	}
	if c.Output != "table" {
		return c.print(w, append([]json.RawMessage{}, all...), "", nil)
	}
	var heads []string
	for _, col := range t.columns {
		heads = append(heads, col.head)
	}
	objects := make([]object, len(all))
	for i, raw := range all {
		if err := decode(raw, &objects[i]); err != nil {
			return err
		}
	}
	return c.print(w, nil, strings.Join(heads, "\t"), func(row func(...string)) {
		for _, o := range objects {
			var cells []string
			for _, col := range t.columns {
				cells = append(cells, col.of(o))
			}
			row(cells...)
		}
	})
}

// showCmd is `show` of every resource.
type showCmd struct {
	remote
	Watch bool     `short:"w" help:"Print the object again after each change, until interrupted."`
	Name  []string `arg:"" help:"Name or number of the object. For interfaces, the machine first."`
}

// Run runs the command.
func (c showCmd) Run(ctx context.Context, k *kong.Context, io stdio) error {
	t, args, err := c.target(ctx, chosenResource(k), c.Name)
	if err != nil {
		return err
	}
	if len(args) != 1 {
		return fmt.Errorf("name one %s", t.sentence())
	}
	return c.watched(ctx, io, c.Watch, t.client, func(w writer) error {
		found, err := t.find(ctx, args[0])
		if err != nil {
			return err
		}
		return c.showObject(w, t.resource, found.raw)
	})
}

// showObject writes one object, a line for each field.
func (c remote) showObject(w io.Writer, r *resource, raw json.RawMessage) error {
	if c.Output != "table" {
		return c.printRaw(w, raw)
	}
	var o object
	if err := decode(raw, &o); err != nil {
		return err
	}
	return c.print(w, nil, "", func(row func(...string)) {
		for _, col := range r.shown {
			row(col.head, col.of(o))
		}
		if r.shown != nil {
			return
		}
		for _, name := range fieldOrder(raw) {
			if name != "resource_uri" {
				row(strings.ReplaceAll(name, "_", " "), summary(o[name]))
			}
		}
	})
}

// createCmd is `create` of every resource.
type createCmd struct {
	remote
	Set []string `arg:"" optional:"" name:"name=value" help:"Fields as NAME=VALUE; the first may be the name alone. NAME=@FILE reads a value from a file, NAME=@- from standard input."`
}

// Run runs the command.
func (c createCmd) Run(ctx context.Context, k *kong.Context, io stdio) error {
	t, args, err := c.target(ctx, chosenResource(k), c.Set)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return fmt.Errorf("say what it is to be, with NAME=VALUE; %s has %s", t.articled(), strings.Join(t.fields, ", "))
	}
	form, err := t.assignments(args)
	if err != nil {
		return err
	}
	path, err := t.makePath(ctx, form)
	if err != nil {
		return err
	}
	var made json.RawMessage
	if err := t.client.Post(ctx, path, form, &made); err != nil {
		return t.hint(err)
	}
	return c.showObject(io.out, t.resource, made)
}

// makePath returns the path that creates an object.
func (t target) makePath(ctx context.Context, form url.Values) (string, error) {
	switch {
	case t.name == "interface":
		kind := cmp.Or(form.Get("type"), "physical")
		form.Del("type")
		return t.path(t.collection) + "?op=create_" + url.QueryEscape(kind), nil
	case t.make == "":
		return t.path(t.collection), nil
	case !strings.Contains(t.make, "{fabric}"):
		return t.path(t.make), nil
	}
	fabrics := target{resource: resourceNamed("fabric"), client: t.client}
	name := form.Get("fabric")
	form.Del("fabric")
	if name == "" {
		return "", errors.New("name the fabric that it is in with fabric=NAME; see maas fabric list")
	}
	found, err := fabrics.find(ctx, name)
	return t.path(strings.ReplaceAll(t.make, "{fabric}", url.PathEscape(found.id))), err
}

// hint adds the next command to an error.
func (t target) hint(err error) error {
	bad := (*client.Error)(nil)
	if !errors.As(err, &bad) || bad.Status != http.StatusBadRequest {
		return err
	}
	if _, rest, ok := strings.Cut(bad.Text, "there is no "); ok && !strings.Contains(rest, ";") {
		kind, _, _ := strings.Cut(rest, " ")
		if r := resourceNamed(kind); r != nil && !r.owned() {
			return fmt.Errorf("%w; see maas %s list", err, r.name)
		}
	}
	if strings.Contains(bad.Text, "vlan") && t.name != "vlan" {
		return fmt.Errorf("%w; see maas vlan list", err)
	}
	return err
}

// updateCmd is `update` of every resource.
type updateCmd struct {
	remote
	Name []string `arg:"" name:"name" help:"Name or number of the object, and the changes as NAME=VALUE. For interfaces, the machine first."`
}

// Run runs the command.
func (c updateCmd) Run(ctx context.Context, k *kong.Context, io stdio) error {
	return c.change(ctx, io, chosenResource(k), c.Name, http.MethodPut, "")
}

// change sends a form for the object that the first argument names.
func (c remote) change(ctx context.Context, io stdio, r *resource, args []string, method, query string) error {
	t, args, err := c.target(ctx, r, args)
	if err != nil {
		return err
	}
	if len(args) == 0 || len(args) == 1 && query == "" {
		return fmt.Errorf("name one %s, and what to change with NAME=VALUE: %s", t.sentence(), strings.Join(t.fields, ", "))
	}
	found, err := t.find(ctx, args[0])
	if err != nil {
		return err
	}
	form := url.Values{}
	if len(args) > 1 {
		changes := *t.resource
		changes.bare = ""
		if form, err = changes.assignments(args[1:]); err != nil {
			return err
		}
	}
	var now json.RawMessage
	if err := t.client.Send(ctx, method, t.itemPath(found.id)+query, form, &now); err != nil {
		return t.hint(err)
	}
	if len(now) == 0 {
		return nil
	}
	return c.showObject(io.out, t.resource, now)
}

// opCmd is an operation of a resource besides create, update and delete.
type opCmd struct {
	remote
	Name []string `arg:"" name:"name" help:"Name of the object, and values as NAME=VALUE. For interfaces, the machine first."`
}

// Run runs the command.
func (c opCmd) Run(ctx context.Context, k *kong.Context, io stdio) error {
	r := chosenResource(k)
	return c.change(ctx, io, r, c.Name, http.MethodPost, "?op="+r.ops[k.Selected().Name])
}

// deleteCmd is `delete` of every resource.
type deleteCmd struct {
	remote
	destructive
	Name []string `arg:"" help:"Names or numbers of the objects. For interfaces, the machine first."`
}

// Run runs the command. It deletes nothing unless all names exist.
func (c deleteCmd) Run(ctx context.Context, k *kong.Context, io stdio) error {
	t, args, err := c.target(ctx, chosenResource(k), c.Name)
	if err != nil {
		return err
	}
	var all []match
	var names []string
	for _, text := range args {
		found, err := t.find(ctx, text)
		if err != nil {
			return err
		}
		all, names = append(all, found), append(names, found.name)
	}
	if len(all) == 0 {
		return fmt.Errorf("name one %s", t.sentence())
	}
	if err := c.confirm(io, fmt.Sprintf("Delete %s %s?", t.sentence(), strings.Join(names, ", "))); err != nil {
		return err
	}
	for _, m := range all {
		if err := t.delete(ctx, m); err != nil {
			return fmt.Errorf("%s %s: %w", t.sentence(), m.name, err)
		}
		fmt.Fprintf(io.out, "%s %s is deleted\n", t.sentence(), m.name)
	}
	return nil
}

// delete deletes one object.
func (t target) delete(ctx context.Context, m match) error {
	if t.name == "ipaddress" {
		return t.client.Post(ctx, t.path(t.collection)+"?op=release", url.Values{"ip": {m.id}}, nil)
	}
	return t.client.Do(ctx, http.MethodDelete, t.itemPath(m.id), nil, "", nil)
}
