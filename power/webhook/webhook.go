package webhook

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// Name is the power type's name.
const Name = "webhook"

// The parameters, by the names that MAAS users know.
const (
	paramOn       = "power_on_uri"
	paramOff      = "power_off_uri"
	paramQuery    = "power_query_uri"
	paramOnRegex  = "power_on_regex"
	paramOffRegex = "power_off_regex"
	paramUser     = "power_user"
	paramPass     = "power_pass"
	paramToken    = "power_token"
	paramSystem   = "system_id"
)

// Kind declares the power type "webhook".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "Webhook",
		Params: append([]power.Param{
			{Name: paramOn, Label: "URI that switches on", Required: true, Scope: power.ScopeNode},
			{Name: paramOff, Label: "URI that switches off", Required: true, Scope: power.ScopeNode},
			{Name: paramQuery, Label: "URI that tells the state", Required: true, Scope: power.ScopeNode},
			{Name: paramOnRegex, Label: "Regular expression of the state on", Default: `status.*\:.*running`},
			{Name: paramOffRegex, Label: "Regular expression of the state off", Default: `status.*\:.*stopped`},
			{Name: paramUser, Label: "User"},
			{Name: paramPass, Label: "Password", Secret: true},
			{Name: paramToken, Label: "Token, in the place of user and password", Secret: true},
			{Name: paramSystem, Label: "Name of the machine in the header System_Id", Scope: power.ScopeNode},
		}, bmchttp.Params()...),
		Open: open,
		Identity: func(p power.Params) string {
			u, err := url.Parse(p[paramOn])
			if err != nil {
				return p[paramOn]
			}
			return u.Host + " " + u.Path
		},
	}
}

type driver struct {
	p       power.Params
	http    *http.Client
	on, off *regexp.Regexp
}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	const op = "settings"
	p = maps.Clone(p)
	var err error
	for _, name := range []string{paramOn, paramOff, paramQuery} {
		if p[name], err = address.CompleteURL(name, p[name]); err != nil {
			return nil, err
		}
	}
	d := &driver{p: p}
	// Compiled here, so that a mistake is a matter of the settings, not of a request.
	if d.on, err = regexp.Compile(p[paramOnRegex]); err != nil {
		return nil, power.Errorf(power.Settings, op, "%s: %w", paramOnRegex, err)
	}
	if d.off, err = regexp.Compile(p[paramOffRegex]); err != nil {
		return nil, power.Errorf(power.Settings, op, "%s: %w", paramOffRegex, err)
	}
	if d.http, err = bmchttp.New(ctx, p); err != nil {
		return nil, err
	}
	return d, nil
}

// PowerState implements power.Driver.
func (d *driver) PowerState(ctx context.Context) (power.State, error) {
	body, err := d.ask(ctx, "read the power state", http.MethodGet, d.p[paramQuery])
	switch {
	case err != nil:
		return power.Unknown, err
	// On goes first: a body in which both are found is on.
	case d.on.Match(body):
		return power.On, nil
	case d.off.Match(body):
		return power.Off, nil
	}
	return power.Unknown, nil
}

// SetPower implements power.Driver.
func (d *driver) SetPower(ctx context.Context, target power.State) error {
	uri := d.p[paramOff]
	if target == power.On {
		uri = d.p[paramOn]
	}
	// What the service answers says nothing; the state that is read afterwards counts.
	_, err := d.ask(ctx, "set power "+string(target), http.MethodPost, uri)
	return err
}

// Close implements power.Closer.
func (d *driver) Close(context.Context) error {
	d.http.CloseIdleConnections()
	return nil
}

// ask makes one request, and a second one with a slash at the end if the first finds nothing.
func (d *driver) ask(ctx context.Context, op, method, uri string) ([]byte, error) {
	code, body, err := d.do(ctx, op, method, uri)
	if err == nil && code == http.StatusNotFound && !strings.HasSuffix(uri, "/") && !strings.Contains(uri, "?") {
		code, body, err = d.do(ctx, op, method, uri+"/")
	}
	if err != nil {
		return nil, err
	}
	return body, bmchttp.Status(op, code, "")
}

func (d *driver) do(ctx context.Context, op, method, uri string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, uri, nil)
	if err != nil {
		return 0, nil, power.Errorf(power.Settings, op, "%v", err)
	}
	switch {
	case d.p[paramToken] != "":
		req.Header.Set("Authorization", "Bearer "+d.p[paramToken])
	case d.p[paramUser] != "":
		req.SetBasicAuth(d.p[paramUser], d.p[paramPass])
	}
	if d.p[paramSystem] != "" {
		req.Header["System_Id"] = []string{d.p[paramSystem]} // as MAAS spells it
	}
	req.Header.Set("User-Agent", "gomaas")
	req.Header.Set("Accept", "application/json, text/*")
	return bmchttp.Ask(d.http, op, req)
}
