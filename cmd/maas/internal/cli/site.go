package cli

import (
	"bytes"
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/gomaas/maas/pxe"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// profileCmd is the group `maas boot-profile`.
type profileCmd struct {
	List   profileListCmd   `cmd:"" help:"List the profiles of the site, tags, subnets and machines."`
	Show   profileShowCmd   `cmd:"" help:"Show one profile as JSON."`
	Set    profileSetCmd    `cmd:"" help:"Set a profile from a JSON file. Racks use it at once."`
	Delete profileDeleteCmd `cmd:"" help:"Remove a profile."`
}

// profileTarget holds the flags that name the owner of a profile.
type profileTarget struct {
	Machine *string `help:"Profile of a machine, by name or system ID." placeholder:"NAME" xor:"target"`
	Tag     *string `help:"Profile of the machines with a tag, or in subnets with the tag." placeholder:"NAME" xor:"target"`
	Subnet  *string `help:"Profile of the machines in a subnet. Without any of these flags: the default profile." placeholder:"SUBNET" xor:"target"`
}

// path returns the API path of the profile.
func (t profileTarget) path() string {
	query := url.Values{}
	for name, value := range map[string]*string{"machine": t.Machine, "tag": t.Tag, "subnet": t.Subnet} {
		if value != nil {
			query.Set(name, *value)
		}
	}
	return "/api/v1/boot-profile?" + query.Encode()
}

// profileListCmd is `maas boot-profile list`.
type profileListCmd struct{ remote }

// Run runs the command.
func (c profileListCmd) Run(ctx context.Context, io stdio) error {
	var all []maasapi.BootProfile
	if err := c.get(ctx, "/api/v1/boot-profiles", &all); err != nil {
		return err
	}
	return c.print(io.out, all, "FOR\tPROFILE\tKIND\tKERNEL\tINITRD\tCMDLINE", func(row func(...string)) {
		for _, p := range all {
			whom := "everybody else"
			switch {
			case p.Machine != "":
				whom = "machine " + p.Machine
			case p.Tag != "":
				whom = "tag " + p.Tag
			case p.Subnet != "":
				whom = "subnet " + p.Subnet
			}
			row(whom, p.Profile.Name, string(cmp.Or(p.Profile.Kind, pxe.Linux)), cmp.Or(p.Profile.Kernel, p.Profile.URL), strings.Join(p.Profile.Initrd, ", "), p.Profile.Cmdline)
		}
	})
}

// profileShowCmd is `maas boot-profile show`.
type profileShowCmd struct {
	remote
	profileTarget
}

// Run runs the command.
func (c profileShowCmd) Run(ctx context.Context, io stdio) error {
	var p pxe.Profile
	if err := c.get(ctx, c.path(), &p); err != nil {
		return err
	}
	c.Output = "json" // a profile has no table
	return c.print(io.out, p, "", nil)
}

// profileSetCmd is `maas boot-profile set`.
type profileSetCmd struct {
	remote
	profileTarget
	File string `arg:"" help:"JSON file with kernel, initrd and cmdline, named as the daemon serves them, or with kind, such as menu, and its fields; - reads standard input."`
}

// Run runs the command.
func (c profileSetCmd) Run(ctx context.Context) error {
	data, err := readFile(c.File)
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPut, c.path(), bytes.NewReader(data), "application/json", nil)
}

// profileDeleteCmd is `maas boot-profile delete`.
type profileDeleteCmd struct {
	remote
	profileTarget
}

// Run runs the command.
func (c profileDeleteCmd) Run(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, c.path(), nil, "", nil)
}
