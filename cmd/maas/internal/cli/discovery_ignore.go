package cli

import (
	"context"
	"net/url"

	"github.com/gomaas/maas/store/inventory/maasapi"
)

// discoveryIgnoreCmd is `maas discovery ignore`.
type discoveryIgnoreCmd struct {
	remote
	Addr   string `arg:"" help:"IP address of the discovered device."`
	MAC    string `help:"MAC address, if several devices were seen at the IP address." placeholder:"MAC"`
	Reason string `help:"Reason, which the list of ignored devices shows." placeholder:"TEXT"`
}

// Run runs the command.
func (c discoveryIgnoreCmd) Run(ctx context.Context, io stdio) error {
	d, err := c.chosen(ctx, c.Addr, c.MAC)
	if err != nil {
		return err
	}
	var made maasapi.IgnoredDevice
	form := url.Values{"ip": {d.IP}, "mac": {d.MACAddress}, "reason": {c.Reason}}
	if err := c.post(ctx, discoveryPath+"?op=ignore", form, &made); err != nil {
		return err
	}
	return c.showIgnored(io, []maasapi.IgnoredDevice{made})
}

// discoveryUnignoreCmd is `maas discovery unignore`.
type discoveryUnignoreCmd struct {
	remote
	Rule string `arg:"" help:"Rule of maas discovery ignored: a MAC address, its beginning, an IP address or a prefix."`
}

// Run runs the command.
func (c discoveryUnignoreCmd) Run(ctx context.Context) error {
	return c.post(ctx, discoveryPath+"?op=unignore", url.Values{"rule": {c.Rule}}, nil)
}

// discoveryIgnoredCmd is `maas discovery ignored`.
type discoveryIgnoredCmd struct{ remote }

// Run runs the command.
func (c discoveryIgnoredCmd) Run(ctx context.Context, io stdio) error {
	var all []maasapi.IgnoredDevice
	if err := c.get(ctx, "/api/v1/discovery/ignored", &all); err != nil {
		return err
	}
	return c.showIgnored(io, all)
}

func (c remote) showIgnored(io stdio, all []maasapi.IgnoredDevice) error {
	return c.print(io.out, all, "RULE\tADDRESS\tNAME\tREASON\tBY\tSINCE", func(row func(...string)) {
		for _, d := range all {
			since := ""
			if d.Created != nil {
				since = stamp(*d.Created)
			}
			row(d.Rule, d.IP, d.Hostname, d.Reason, d.Username, since)
		}
	})
}
