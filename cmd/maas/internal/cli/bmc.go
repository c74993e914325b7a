package cli

import (
	"context"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/bmc"
	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
)

// bmcCmd is the group `maas bmc`.
type bmcCmd struct {
	Serve bmcServeCmd `cmd:"" help:"Serve machines of any power type as BMCs: Redfish, IPMI, webhooks, and power drivers of MAAS."`
}

// bmcServeCmd is `maas bmc serve`.
type bmcServeCmd struct {
	remote
	File string `arg:"" help:"File with addresses, accounts and machines."`
	Dir  string `help:"Directory for the certificate that is made if the file names none (default ${default_data}/bmc)." placeholder:"DIR"`
}

// Run runs the command.
func (c bmcServeCmd) Run(ctx context.Context, io stdio) error {
	cfg, err := bmc.Load(c.File)
	if err != nil {
		return err
	}
	o := bmc.Options{Dir: c.Dir, Version: Version, Log: slog.New(slog.NewTextHandler(io.err, nil))}
	if o.Dir == "" {
		o.Dir = filepath.Join(config.DefaultData, "bmc")
	}
	if cfg.Site.Tag != "" || len(cfg.Site.Machines) > 0 {
		if o.SiteMachines, err = c.siteMachines(ctx, cfg.Site); err != nil {
			return err
		}
		if o.SitePower, err = c.sitePower(ctx); err != nil {
			return err
		}
	}
	o.Ready = func(at bmc.Addresses) {
		o.Log.Info("BMCs served", "address", at.HTTPS, "directory", cfg.Drivers, "count", len(cfg.Machines)+len(o.SiteMachines))
	}
	return bmc.Run(ctx, cfg, o)
}

// siteMachines returns the names of the machines that a file chooses.
func (c remote) siteMachines(ctx context.Context, site bmc.Site) ([]string, error) {
	names := slices.Clone(site.Machines)
	if site.Tag == "" {
		return names, nil
	}
	tagged, err := c.tagged(ctx, site.Tag, false)
	for _, m := range tagged {
		if !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names, err
}

// A listedMachine is a machine as lists of the API have it.
type listedMachine struct {
	Name  string                `json:"fqdn"`
	Zone  struct{ Name string } `json:"zone"`
	Power string                `json:"power_state"`
	Type  string                `json:"power_type"`
	Tags  []string              `json:"tag_names"`

	Interfaces []struct {
		VLAN *listedVLAN `json:"vlan"`
	} `json:"interface_set"`

	address string // of its BMC or PDU, where a caller asks for it
}

// tagged returns the machines with a tag, or all for an empty one. Addresses are read of machines
// behind outlets, whose PDU they name, or of all.
func (c remote) tagged(ctx context.Context, tag string, addresses bool) (machines []listedMachine, err error) {
	query := ""
	if tag != "" {
		query = "?" + url.Values{"tags": {tag}}.Encode()
	}
	if err := c.get(ctx, client.API+"machines/"+query, &machines); err != nil {
		return nil, err
	}
	for i := range machines {
		if machines[i].Type == "" || !addresses && !slices.Contains(feeds, machines[i].Type) {
			continue
		}
		params := power.Params{}
		if err := c.get(ctx, client.API+"machines/"+url.PathEscape(machines[i].Name)+"/?op=power_parameters", &params); err != nil {
			return nil, err
		}
		machines[i].address = params["power_address"]
	}
	return machines, nil
}

// sitePower switches machines through the API.
type sitePower struct {
	remote
	types map[string]string // power type by machine, as of the start
}

// sitePower returns the power of the site.
func (c remote) sitePower(ctx context.Context) (sitePower, error) {
	var machines []listedMachine
	err := c.get(ctx, client.API+"machines/", &machines)
	types := map[string]string{}
	for _, m := range machines {
		types[m.Name] = m.Type
		short, _, _ := strings.Cut(m.Name, ".") // a file may name machines by either
		types[short] = m.Type
	}
	return sitePower{c, types}, err
}

// HasMedia implements bmcserve.MediaPower.
func (s sitePower) HasMedia(machine string) bool { return kinds.All()[s.types[machine]].Media }

// Do implements bmcserve.Power. A machine for which no client has chosen a boot device boots as the
// region has it.
func (s sitePower) Do(ctx context.Context, machine string, action power.Action, opts power.Options) (power.Result, error) {
	answer, err := s.power(ctx, machine, action, opts, "")
	if err != nil && answer.Class != "" { // clients distinguish what a machine cannot do from what failed
		err = &power.Error{Class: answer.Class, Op: string(action), Err: err}
	}
	return answer.Result, err
}
