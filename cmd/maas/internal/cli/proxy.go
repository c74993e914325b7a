package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory/maasapi"
	"github.com/gomaas/maas/store/inventory/setting"
)

// proxyCmd is the group `maas proxy`.
type proxyCmd struct {
	Top   proxyTopCmd   `cmd:"" help:"Show the activity of the racks' proxies: hit rate, busiest objects and clients."`
	Purge proxyPurgeCmd `cmd:"" help:"Remove a URL, or all URLs with a prefix, from the caches."`
	Show  proxyShowCmd  `cmd:"" help:"Show the settings of the proxy."`
	Set   proxySetCmd   `cmd:"" help:"Change a setting of the proxy. Racks use it at once."`
}

const proxyPath = "/api/v1/proxy"

// proxyPurgeCmd is `maas proxy purge`.
type proxyPurgeCmd struct {
	remote
	URL    string `arg:"" help:"URL to remove, such as http://archive.example/ubuntu/dists/."`
	Prefix bool   `help:"Remove all URLs that start with it."`
}

// Run runs the command.
func (c proxyPurgeCmd) Run(ctx context.Context, io stdio) error {
	key := "url"
	if c.Prefix {
		key = "prefix"
	}
	var racks []maasapi.RackProxy
	if err := c.post(ctx, proxyPath+"/purge", url.Values{key: {c.URL}}, &racks); err != nil {
		return err
	}
	err := c.print(io.out, racks, "RACK\tPURGED", func(row func(...string)) {
		for _, r := range racks {
			row(r.Rack, fmt.Sprint(r.Purged))
		}
	})
	return errors.Join(err, rackErrors(racks))
}

// rackErrors returns the errors of racks that did not answer, or nil.
func rackErrors(racks []maasapi.RackProxy) error {
	var errs []error
	for _, r := range racks {
		if r.Error != "" {
			errs = append(errs, fmt.Errorf("rack %s: %s", r.Rack, r.Error))
		}
	}
	return errors.Join(errs...)
}

// proxyShowCmd is `maas proxy show`.
type proxyShowCmd struct{ remote }

// Run runs the command.
func (c proxyShowCmd) Run(ctx context.Context, io stdio) error {
	values := make(map[string]any, len(setting.ProxyNames))
	for _, name := range setting.ProxyNames {
		var v any
		if err := c.get(ctx, configPath+"?op=get_config&name="+name, &v); err != nil {
			return err
		}
		if text, ok := v.(string); ok {
			v = withoutPassword(text)
		}
		values[name] = v
	}
	return c.print(io.out, values, "SETTING\tVALUE", func(row func(...string)) {
		for _, name := range setting.ProxyNames {
			row(name, fmt.Sprint(values[name]))
		}
	})
}

// withoutPassword removes the passwords from the URLs of a list, each of which may follow HOST=,
// since others may see the screen.
func withoutPassword(text string) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' })
	hidden := false
	for i, word := range words {
		scheme := strings.Index(word, "://")
		if scheme < 0 {
			continue
		}
		start := strings.LastIndexByte(word[:scheme], '=') + 1
		if u, err := url.Parse(word[start:]); err == nil && u.User != nil {
			words[i], hidden = word[:start]+u.Redacted(), true
		}
	}
	if !hidden {
		return text
	}
	return strings.Join(words, " ")
}

// proxySetCmd is `maas proxy set`.
type proxySetCmd struct {
	remote
	Name  string `arg:"" help:"enable_http_proxy, http_proxy, use_peer_proxy, maas_proxy_port, prefer_v4_proxy, no_proxy, proxy_routes, proxy_uplink, proxy_tunnel_ports (such as \"443 8443\"), proxy_ports (such as \"80 443 8000-8999\") proxy_parents (such as .corp.example=http://proxy.corp.example:3128) or allow_proxy_to (networks and addresses of the site that machines may reach)."`
	Value string `arg:"" help:"Value of the setting. An empty value restores the default; @FILE reads a file, @- standard input."`
}

// Run runs the command.
func (c proxySetCmd) Run(ctx context.Context) error {
	value, err := contents(c.Value)
	if err != nil {
		return err
	}
	return c.post(ctx, configPath+"?op=set_config", url.Values{"name": {c.Name}, "value": {value}}, nil)
}

// proxyTopCmd is `maas proxy top`.
type proxyTopCmd struct {
	remote
	Once  bool          `help:"Print once and exit. Rates are then averages since the start of the proxies."`
	Every time.Duration `default:"2s" help:"Refresh interval."`
	Lines int           `default:"10" help:"Number of objects and clients to show."`
}

// Run runs the command.
func (c proxyTopCmd) Run(ctx context.Context, io stdio) error {
	var last []maasapi.RackProxy
	for {
		var now []maasapi.RackProxy
		err := c.get(ctx, proxyPath, &now)
		switch {
		case err != nil:
		case c.Output == "table":
			err = c.show(io.out, last, now)
		default:
			err = c.printNext(io.out, now)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil || c.once(io.out) {
			return err
		}
		last = now
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(c.Every, 100*time.Millisecond)):
		}
	}
}

// once reports whether one picture is asked for. A table that is not for a terminal, such as one in
// a pipe, would never end.
func (c proxyTopCmd) once(out io.Writer) bool {
	return c.Once || c.Output == "table" && !isTerminal(out)
}

// show prints one picture. It clears the screen first, unless only one picture is asked for.
func (c proxyTopCmd) show(out io.Writer, last, now []maasapi.RackProxy) error {
	var b strings.Builder
	if !c.once(out) {
		b.WriteString(clearScreen)
	}
	writeTop(&b, difference(last, now, c.Every), now, c.Lines)
	_, err := io.WriteString(out, b.String())
	return err
}
