package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/cmd/maas/internal/daemon"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// remote holds the flags of commands that use a running daemon.
type remote struct {
	Data    string `help:"Data directory of the daemon on this host (default ${default_data})." placeholder:"DIR"`
	Profile string `help:"Site, by its name in maas login; local is the daemon on this host. The default is the last site logged in to, else this host." placeholder:"NAME"`
	Output  string `short:"o" enum:"table,json,yaml" default:"table" help:"Output format: table, json or yaml."`
}

// localProfile names the daemon on this host among the sites.
const localProfile = "local"

// client chooses the daemon: the site that a flag names, else the last site logged in to, else this
// host.
func (c remote) client() (client.Client, error) {
	local := client.Client{Socket: daemon.SocketPath(cmp.Or(c.Data, config.DefaultData))}
	if c.Profile == localProfile || c.Profile == "" && c.Data != "" {
		return local, nil
	}
	path, err := client.LoginsPath()
	if err != nil {
		if c.Profile == "" { // the environment of a daemon may have no HOME
			return local, nil
		}
		return local, err
	}
	logins, err := client.LoadLogins(path)
	if err != nil {
		return local, err
	}
	name := cmp.Or(c.Profile, logins.Current)
	if name == "" {
		return local, nil
	}
	site, ok := logins.Sites[name]
	if !ok {
		return local, fmt.Errorf("there is no log-in %q%s; log in with: maas login --profile %s URL", name, didYouMean(name, siteNames(logins)), name)
	}
	return site.Client(), nil
}

// get reads from the API.
func (c remote) get(ctx context.Context, path string, out any) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	return cl.Get(ctx, path, out)
}

// post sends a form to the API.
func (c remote) post(ctx context.Context, path string, form url.Values, out any) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	return cl.Post(ctx, path, form, out)
}

// call sends any other request to the API.
func (c remote) call(ctx context.Context, method, path string, body io.Reader, contentType string, out any) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	return cl.Do(ctx, method, path, body, contentType, out)
}

// print writes value as JSON or YAML, or as the table that fill makes.
func (c remote) print(w io.Writer, value any, header string, fill func(row func(cells ...string))) error {
	if c.Output != "table" {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		return c.printRaw(w, text)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if header != "" {
		fmt.Fprintln(tw, header)
	}
	fill(func(cells ...string) {
		cells = slices.Clone(cells)
		for i := range cells {
			cells[i] = cmp.Or(printable(cells[i]), "-")
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	})
	return tw.Flush()
}

// printNext prints one of several values, as JSON or YAML.
func (c remote) printNext(w io.Writer, value any) error {
	if c.Output == "yaml" {
		fmt.Fprintln(w, "---")
	}
	return c.print(w, value, "", nil)
}

// printRaw writes JSON as it is, indented, or as YAML with its fields in the same order.
func (c remote) printRaw(w io.Writer, text []byte) error {
	if c.Output == "yaml" {
		out, err := maasapi.YAML(text)
		if err != nil {
			return err
		}
		_, err = w.Write(out)
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(json.RawMessage(text))
}

// defaultVars returns the variables of help texts and defaults.
func defaultVars() map[string]string {
	return map[string]string{"default_data": config.DefaultData, "version": "maas " + Version, "import_kinds": importKinds(), "export_kinds": exportKinds()}
}

// siteNames returns the names of the sites, sorted.
func siteNames(l client.Logins) []string { return slices.Sorted(maps.Keys(l.Sites)) }
