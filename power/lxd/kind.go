package lxd

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// Name is the power type's name.
const Name = "lxd"

// The parameters, by the names that MAAS users know.
const (
	paramAddress  = "power_address"
	paramInstance = "instance_name"
	paramProject  = "project"
	paramPassword = "password"
	paramCert     = "certificate"
	paramKey      = "key"
)

const defaultPort = "8443"

// Kind declares the power type "lxd".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "LXD or Incus",
		Params: append([]power.Param{
			{Name: paramAddress, Label: "Address or URL of the server, or the path of its UNIX socket", Required: true},
			{Name: paramInstance, Label: "Name of the instance", Required: true, Scope: power.ScopeNode},
			{Name: paramProject, Label: "Project of the instance", Default: "default"},
			{Name: paramPassword, Label: "Trust token or trust password, with which the certificate is added", Secret: true},
			{Name: paramCert, Label: "Client certificate, in PEM", Multiline: true},
			{Name: paramKey, Label: "Key of the client certificate, in PEM", Secret: true, Multiline: true},
		}, bmchttp.Params()...),
		Open: open,
		Identity: func(p power.Params) string {
			if local(p[paramAddress]) {
				return p[paramAddress]
			}
			return address.Identity(p[paramAddress], defaultPort)
		},
	}
}

// local reports whether an address is the path of a socket.
func local(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "/") }

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	d := &driver{path: "/1.0/instances/" + url.PathEscape(p[paramInstance]) + "/state", project: "?project=" + url.QueryEscape(p[paramProject])}
	d.service = bmchttp.Service{Base: "http://lxd", Name: "LXD or Incus", Param: paramAddress, Detail: detail}
	if local(p[paramAddress]) {
		d.service.HTTP = bmchttp.NewUnix(ctx, strings.TrimSpace(p[paramAddress]))
	} else if err := d.connect(ctx, p); err != nil {
		return nil, err
	}
	if err := d.trust(ctx, p); err != nil {
		d.service.HTTP.CloseIdleConnections()
		return nil, err
	}
	return d, nil
}

// connect makes the client for a server on the network.
func (d *driver) connect(ctx context.Context, p power.Params) error {
	at, err := address.ParseHTTP(paramAddress, p[paramAddress])
	if err != nil {
		return err
	}
	at.Port = cmp.Or(at.Port, defaultPort)
	config, err := bmchttp.TLSConfig(p)
	if err != nil {
		return err
	}
	if p[paramCert] == "" || p[paramKey] == "" {
		return power.Errorf(power.Settings, "settings", "power type %s needs %s and %s, unless %s is the path of a socket", Name, paramCert, paramKey, paramAddress)
	}
	if err := bmchttp.ClientCertificate(config, p, paramCert, paramKey); err != nil {
		return err
	}
	d.service.Base, d.service.HTTP = at.URL(), bmchttp.NewClient(ctx, &http.Transport{TLSClientConfig: config})
	return nil
}

// trust looks whether the server trusts the certificate, and has it added if it does not and there
// is a token.
func (d *driver) trust(ctx context.Context, p power.Params) error {
	const op = "log in"
	var server struct {
		Auth string `json:"auth"`
	}
	if err := d.do(ctx, op, http.MethodGet, "/1.0", nil, &server); err != nil {
		return err
	}
	switch {
	case server.Auth == "trusted":
		return nil
	case server.Auth == "":
		return power.Errorf(power.Settings, op, "no answer of LXD or Incus; see the host and the port of %s", paramAddress)
	case p[paramPassword] == "":
		return power.Errorf(power.Auth, op, "the server does not trust the certificate; add it there, or give a trust token as %s", paramPassword)
	}
	// LXD before 5.0 knows the password only, Incus the token only; each passes over the other.
	return d.do(ctx, op, http.MethodPost, "/1.0/certificates", map[string]string{
		"type": "client", "name": "maas", "password": p[paramPassword], "trust_token": p[paramPassword],
	}, nil)
}

// detail returns the reason in an answer.
func detail(body []byte) string {
	var answer struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(body, &answer) // another answer has no reason
	return answer.Error
}
