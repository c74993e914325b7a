package proxmox

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// Name is the power type's name.
const Name = "proxmox"

// The parameters, by the names that MAAS users know.
const (
	paramAddress = "power_address"
	paramUser    = "power_user"
	paramPass    = "power_pass"
	paramToken   = "power_token_name"
	paramSecret  = "power_token_secret"
	paramVM      = "power_vm_name"
)

const defaultPort = "8006"

// Kind declares the power type "proxmox".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, BootOrder: true, Media: true, Title: "Proxmox VE",
		Params: append([]power.Param{
			{Name: paramAddress, Label: "Address or URL of a host of the cluster", Required: true},
			{Name: paramUser, Label: "User with its realm, such as maas@pve", Required: true},
			{Name: paramPass, Label: "Password of the user, unless a token is given", Secret: true},
			{Name: paramToken, Label: "Name of the user's API token"},
			{Name: paramSecret, Label: "Secret of the API token", Secret: true},
			{Name: paramVM, Label: "Number or name of the virtual machine", Required: true, Scope: power.ScopeNode},
		}, bmchttp.Params()...),
		Open:     open,
		Identity: func(p power.Params) string { return address.Identity(p[paramAddress], defaultPort) },
	}
}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	at, err := address.ParseHTTP(paramAddress, p[paramAddress])
	if err != nil {
		return nil, err
	}
	at.Port = cmp.Or(at.Port, defaultPort)
	switch {
	case !strings.Contains(p[paramUser], "@"):
		return nil, power.Errorf(power.Settings, "settings", "%s %q has no realm; write such as maas@pve", paramUser, p[paramUser])
	case (p[paramToken] == "") != (p[paramSecret] == ""):
		return nil, power.Errorf(power.Settings, "settings", "%s and %s belong together", paramToken, paramSecret)
	case p[paramToken] == "" && p[paramPass] == "":
		return nil, power.Errorf(power.Settings, "settings", "power type %s needs %s, or %s and %s", Name, paramPass, paramToken, paramSecret)
	}
	client, err := bmchttp.New(ctx, p)
	if err != nil {
		return nil, err
	}
	d := &driver{service: bmchttp.Service{HTTP: client, Base: at.URL() + "/api2/json", Name: "Proxmox VE", Param: paramAddress}}
	if err = d.login(ctx, p); err == nil {
		err = d.find(ctx, p[paramVM])
	}
	if err != nil {
		client.CloseIdleConnections()
		return nil, err
	}
	return d, nil
}

// login makes the service sign requests: with the token, or with a ticket that the password buys.
func (d *driver) login(ctx context.Context, p power.Params) error {
	if p[paramToken] != "" {
		// MAAS takes the name with and without the user before it.
		name := p[paramToken]
		if !strings.Contains(name, "!") {
			name = p[paramUser] + "!" + name
		}
		d.service.Sign = func(r *http.Request) { r.Header.Set("Authorization", "PVEAPIToken="+name+"="+p[paramSecret]) }
		return nil
	}
	var ticket struct {
		Ticket string `json:"ticket"`
		CSRF   string `json:"CSRFPreventionToken"`
	}
	if err := d.do(ctx, "log in", http.MethodPost, "/access/ticket", map[string]string{"username": p[paramUser], "password": p[paramPass]}, &ticket); err != nil {
		return err
	}
	d.service.Sign = func(r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "PVEAuthCookie", Value: ticket.Ticket})
		r.Header.Set("CSRFPreventionToken", ticket.CSRF)
	}
	return nil
}
