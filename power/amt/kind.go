package amt

import (
	"cmp"
	"context"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/bmchttp"
)

// Name is the power type's name.
const Name = "amt"

// The parameters, by the names that MAAS users know.
const (
	paramAddress = "power_address"
	paramUser    = "power_user"
	paramPass    = "power_pass"
	paramPort    = "port"

	portPlain = "16992"
	portTLS   = "16993"
)

// Kind declares the power type "amt".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "Intel AMT",
		Params: append([]power.Param{
			{Name: paramAddress, Label: "Address, or URL when the port is another one", Required: true},
			{Name: paramUser, Label: "User", Default: "admin"},
			{Name: paramPass, Label: "Password", Required: true, Secret: true},
			{Name: paramPort, Label: "Port: 16993 with TLS, 16992 without", Default: portTLS, Choices: []string{portPlain, portTLS}},
		}, bmchttp.Params()...),
		Open: open,
		// Both ports lead to one machine.
		Identity: func(p power.Params) string { return address.Identity(p[paramAddress], portTLS) },
	}
}

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	at, err := address.ParseHTTP(paramAddress, p[paramAddress])
	if err != nil {
		return nil, err
	}
	if p[paramPort] == portPlain && at.Port == "" {
		at.Scheme = "http"
	}
	at.Port = cmp.Or(at.Port, p[paramPort])
	client, err := bmchttp.New(ctx, p)
	if err != nil {
		return nil, err
	}
	bmchttp.UseDigest(client, p[paramUser], p[paramPass])
	return &driver{http: client, url: at.URL() + "/wsman"}, nil
}
