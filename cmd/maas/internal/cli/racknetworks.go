package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/region"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// rackPath returns the path of a rack in the API.
func rackPath(name string) string {
	return client.API + "rackcontrollers/" + url.PathEscape(name) + "/"
}

// rackProposalsCmd is `maas rack proposals`.
type rackProposalsCmd struct {
	remote
	Name string `arg:"" optional:"" help:"Name of the rack (default: all)."`
	All  bool   `help:"Ignored ones, too."`
}

// Run runs the command.
func (c rackProposalsCmd) Run(ctx context.Context, io stdio) error {
	var racks []maasapi.Controller
	if err := c.get(ctx, client.API+"rackcontrollers/", &racks); err != nil {
		return err
	}
	racks = slices.DeleteFunc(racks, func(r maasapi.Controller) bool { return c.Name != "" && r.Hostname != c.Name })
	if c.Name != "" && len(racks) == 0 {
		return fmt.Errorf("no rack is called %s; see maas rack list", c.Name)
	}
	return c.print(io.out, racks, "RACK\tINTERFACE\tNETWORK\tADDRESS\tSTATE", func(row func(...string)) {
		for _, r := range racks {
			for _, p := range r.Proposals {
				state := "open"
				if p.Ignored {
					state = "ignored"
				}
				if c.All || !p.Ignored {
					row(r.Hostname, p.Interface, p.Network, p.IPAddress, state)
				}
			}
		}
	})
}

// rackDecideCmd is `maas rack accept` and `maas rack ignore`.
type rackDecideCmd struct {
	remote
	Name    string         `arg:"" help:"Name of the rack."`
	Network []netip.Prefix `arg:"" optional:"" help:"Networks (default: all that it proposes)."`
}

// Run runs the command.
func (c rackDecideCmd) Run(ctx context.Context, k *kong.Context) error {
	return c.post(ctx, rackPath(c.Name)+"?op="+k.Selected().Name, url.Values{"network": prefixTexts(c.Network)}, nil)
}

// rackAssignCmd is `maas rack assign`.
type rackAssignCmd struct {
	remote
	Name   string         `arg:"" help:"Name of the rack."`
	Give   []netip.Prefix `name:"network" help:"Network to serve; may be repeated." placeholder:"CIDR"`
	BMC    []netip.Prefix `name:"bmc" help:"Network of BMCs to switch; may be repeated." placeholder:"CIDR"`
	Remove []netip.Prefix `help:"Network of either kind to take back; may be repeated." placeholder:"CIDR"`
}

// Run runs the command.
func (c rackAssignCmd) Run(ctx context.Context, io stdio) error {
	if len(c.Give)+len(c.BMC)+len(c.Remove) == 0 {
		return fmt.Errorf("say what to give rack %s: --network CIDR, --bmc CIDR, or --remove CIDR", c.Name)
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	var r maasapi.Controller
	if err := cl.Get(ctx, rackPath(c.Name), &r); err != nil {
		return err
	}
	form := url.Values{
		"networks":     {strings.Join(changed(r.AssignedNetworks, c.Give, c.Remove), " ")},
		"bmc_networks": {strings.Join(changed(r.BMCNetworks, c.BMC, c.Remove), " ")},
	}
	return cl.Send(ctx, http.MethodPut, rackPath(c.Name), form, nil)
}

// changed returns networks with some given and some taken back.
func changed(have []string, give, remove []netip.Prefix) []string {
	out := slices.Clone(have)
	for _, n := range prefixTexts(give) {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	gone := prefixTexts(remove)
	return slices.DeleteFunc(out, func(n string) bool { return slices.Contains(gone, n) })
}

// rackExposedCmd is `maas rack exposed`.
type rackExposedCmd struct {
	remote
	Name string `arg:"" help:"Name of the rack."`
}

// Run runs the command.
func (c rackExposedCmd) Run(ctx context.Context, io stdio) error {
	var e region.Exposed
	if err := c.get(ctx, region.RacksPath+"/"+url.PathEscape(c.Name)+"/exposed", &e); err != nil {
		return err
	}
	return c.printExposed(io, c.Name, e)
}

// printExposed lists what has to be replaced after the theft of a rack.
func (c remote) printExposed(io stdio, rack string, e region.Exposed) error {
	return c.print(io.out, e, "SECRET\tOF\tREPLACE IT", func(row func(...string)) {
		for _, b := range e.BMCs {
			row("password of a BMC", strings.TrimSpace(b.Machine+" "+b.Kind+" "+b.User+" "+b.Address), "at the BMC, then: maas machine update "+b.Machine)
		}
		for _, z := range e.Zones {
			row("signing key", z, "maas rack rotate "+rack)
		}
		for _, k := range e.Keys {
			row("TSIG key", k, "maas rack rotate "+rack)
		}
	})
}

// rackRotateCmd is `maas rack rotate`.
type rackRotateCmd struct {
	remote
	Name string `arg:"" help:"Name of the rack."`
}

// Run runs the command.
func (c rackRotateCmd) Run(ctx context.Context, io stdio) error {
	var out region.Rotated
	if err := c.post(ctx, region.RacksPath+"/"+url.PathEscape(c.Name)+"/rotate", nil, &out); err != nil {
		return err
	}
	return c.print(io.out, out, "KEY\tOF\tNEW", func(row func(...string)) {
		for _, z := range out.Zones {
			row("signing key", z.Name, "DS "+z.DS)
		}
		for _, k := range out.Keys {
			row("TSIG key", k.Name, k.Algorithm+" "+k.Secret)
		}
	})
}
