package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// machinePowerCmd is `maas machine power`.
type machinePowerCmd struct {
	remote
	Action string `arg:"" enum:"on,off,cycle,soft-off,reset,query,status,light,dark" help:"on, off, cycle, soft-off, reset or query (or status); light and dark switch the identify LED."`
	Name   string `arg:"" optional:"" help:"Name or system ID. With --tag or --zone, none."`
	Tag    string `help:"Switch all machines with a tag, many at a time." placeholder:"TAG"`
	Zone   string `help:"Switch all machines of a zone, many at a time." placeholder:"ZONE"`
	Resume string `help:"File in which the machines that are done are noted, and are left out next time." placeholder:"FILE"`
	limits
	Boot       string `enum:"network,network-http,disk,cd,setup,default" default:"network" help:"What the machine boots from once it is on, where its power control can choose."`
	Transcript string `help:"Write the conversation with the BMC to a file, without secrets, for a bug report." placeholder:"FILE"`
}

// Run runs the command.
func (c machinePowerCmd) Run(ctx context.Context, io stdio) error {
	if c.Action == "status" { // the word of other tools for it
		c.Action = string(power.ActionQuery)
	}
	many := c.Tag != "" || c.Zone != ""
	switch {
	case many && c.Name != "":
		return fmt.Errorf("one machine is named, and many are chosen by --tag or --zone; leave out %s", c.Name)
	case many:
		return c.many(ctx, io)
	case c.Name == "":
		return errors.New("name a machine, or choose many with --tag or --zone")
	}
	result, err := c.power(ctx, c.Name, power.Action(c.Action), power.Options{Boot: power.BootDevice(c.Boot)}, c.Transcript)
	if err != nil {
		return err
	}
	return c.print(io.out, map[string]any{"machine": c.Name, "state": result.State}, "", func(row func(...string)) {
		if result.State == power.Unknown && c.Action != string(power.ActionQuery) {
			row(c.Name, "done")
			return
		}
		row(c.Name, string(result.State))
	})
}

// many switches the machines of a tag and zone. What failed is in the table, and the error counts
// it.
func (c machinePowerCmd) many(ctx context.Context, io stdio) error {
	machines, err := c.tagged(ctx, c.Tag, false)
	if err != nil {
		return err
	}
	machines = slices.DeleteFunc(machines, func(m listedMachine) bool { return c.Zone != "" && m.Zone.Name != c.Zone })
	if len(machines) == 0 {
		return errors.New("no machine has that tag and zone")
	}
	earlier, err := openResume(c.Resume)
	if err != nil {
		return fmt.Errorf("--resume: %w", err)
	}
	action := power.Action(c.Action)
	left := earlier.left(machines, action)
	if skipped := len(machines) - len(left); skipped > 0 {
		fmt.Fprintf(io.err, "%d of %d machines are done already\n", skipped, len(machines))
	}
	f := fleet{limits: c.limits, action: action, done: earlier.note, out: io.err, power: func(ctx context.Context, machine string) (power.State, error) {
		answer, err := c.power(ctx, machine, action, power.Options{Boot: power.BootDevice(c.Boot)}, "")
		return answer.State, err
	}}
	all, err := f.run(ctx, f.waves(left))
	if perr := c.print(io.out, append([]switched{}, all...), "MACHINE\tPOWER\tERROR", func(row func(...string)) {
		for _, o := range all {
			row(o.Machine, string(o.State), o.Error)
		}
	}); perr != nil {
		return perr
	}
	if n := failures(all); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d machines failed; the same command tries them again", n, len(left)))
	}
	return err
}

// machineBootCmd is `maas machine boot`.
type machineBootCmd struct {
	remote
	Name       string `arg:"" help:"Name or system ID."`
	Via        string `enum:"pxe,media,uefi-http" default:"pxe" help:"pxe: the firmware asks DHCP. media: its BMC inserts an ISO image that a rack makes, with the machine's static address; needs no DHCP. uefi-http: its BMC hands the URL of that image to UEFI firmware, which needs an address to read it."`
	Transcript string `help:"Write the conversation with the BMC to a file, without secrets, for a bug report." placeholder:"FILE"`
}

// Run runs the command.
func (c machineBootCmd) Run(ctx context.Context, io stdio) error {
	form := url.Values{"via": {c.Via}}
	answer, err := c.act(ctx, c.Name, "boot", form, c.Transcript)
	if err != nil {
		return err
	}
	return c.print(io.out, map[string]any{"machine": c.Name, "state": answer.State, "via": c.Via}, "", func(row func(...string)) {
		row(c.Name, string(answer.State), "via "+c.Via)
	})
}

// machineMediaCmd is the group `maas machine media`.
type machineMediaCmd struct {
	Show   mediaShowCmd   `cmd:"" help:"Show the image in the drive."`
	Insert mediaInsertCmd `cmd:"" help:"Insert an image that the BMC reads from a URL, in the place of another one."`
	Eject  mediaEjectCmd  `cmd:"" help:"Empty the drive."`
}

// mediaShowCmd is `maas machine media show`.
type mediaShowCmd struct {
	remote
	Name string `arg:"" help:"Name or system ID."`
}

// Run runs the command.
func (c mediaShowCmd) Run(ctx context.Context, io stdio) error {
	return c.media(ctx, io, c.Name, power.ActionMedia, power.Options{})
}

// mediaInsertCmd is `maas machine media insert`.
type mediaInsertCmd struct {
	remote
	Name  string `arg:"" help:"Name or system ID."`
	Image string `arg:"" help:"URL, such as http://192.0.2.1/install.iso; with Proxmox VE, a volume such as local:iso/install.iso."`
	Boot  bool   `help:"Start the machine from the image, once: it is switched on, or restarted if it is on."`
}

// Run runs the command.
func (c mediaInsertCmd) Run(ctx context.Context, io stdio) error {
	if err := c.media(ctx, io, c.Name, power.ActionInsert, power.Options{Media: c.Image}); err != nil || !c.Boot {
		return err
	}
	answer, err := c.power(ctx, c.Name, power.ActionCycle, power.Options{Boot: power.CD}, "")
	if err != nil {
		return err
	}
	for _, step := range answer.Steps {
		if step.Op == "boot once from "+string(power.CD) && step.Err == "" {
			return nil
		}
	}
	return fmt.Errorf("%s was restarted, but its power control cannot choose the CD drive for one boot; see maas machine power on --boot cd", c.Name)
}

// mediaEjectCmd is `maas machine media eject`.
type mediaEjectCmd struct {
	remote
	Name string `arg:"" help:"Name or system ID."`
}

// Run runs the command.
func (c mediaEjectCmd) Run(ctx context.Context, io stdio) error {
	return c.media(ctx, io, c.Name, power.ActionEject, power.Options{})
}

// media acts on the drive of a machine and prints what is in it.
func (c remote) media(ctx context.Context, io stdio, name string, action power.Action, opts power.Options) error {
	answer, err := c.power(ctx, name, action, opts, "")
	if err != nil {
		return err
	}
	return c.print(io.out, map[string]any{"machine": name, "media": answer.Media}, "", func(row func(...string)) {
		row(name, cmp.Or(answer.Media, "empty"))
	})
}

// machineSensorsCmd is `maas machine sensors`.
type machineSensorsCmd struct {
	remote
	Name string `arg:"" help:"Name or system ID."`
}

// Run runs the command.
func (c machineSensorsCmd) Run(ctx context.Context, io stdio) error {
	result, err := c.power(ctx, c.Name, power.ActionSensors, power.Options{}, "")
	if err != nil {
		return err
	}
	return c.print(io.out, result.Sensors, "SENSOR\tVALUE\tUNIT\tHEALTH", func(row func(...string)) {
		for _, s := range result.Sensors {
			row(s.Name, strconv.FormatFloat(s.Value, 'f', -1, 64), s.Unit, s.Health)
		}
	})
}

// power acts on a machine, see act.
func (c remote) power(ctx context.Context, name string, action power.Action, opts power.Options, transcript string) (maasapi.PowerAnswer, error) {
	form := url.Values{"action": {string(action)}}
	if opts.Boot != "" {
		form.Set("boot", string(opts.Boot))
	}
	if opts.BootAlways {
		form.Set("boot_always", "true")
	}
	if opts.Media != "" {
		form.Set("media", opts.Media)
	}
	return c.act(ctx, name, "power", form, transcript)
}

// act posts a form to a resource of a machine that answers with the result of power control. If a
// file is named, act writes the conversation with the BMC to it, also after a failure.
func (c remote) act(ctx context.Context, name, resource string, form url.Values, transcript string) (maasapi.PowerAnswer, error) {
	if transcript != "" {
		form.Set("transcript", "true")
	}
	var answer maasapi.PowerAnswer
	if err := c.post(ctx, "/api/v1/machines/"+url.PathEscape(name)+"/"+resource, form, &answer); err != nil {
		return answer, err
	}
	if transcript != "" {
		if err := os.WriteFile(transcript, []byte(answer.Transcript), 0o600); err != nil {
			return answer, err
		}
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}

// powerTypesCmd is `maas machine power-types`.
type powerTypesCmd struct {
	remote
	Type string `arg:"" optional:"" help:"Power type, such as ipmi, whose parameters are listed."`
}

// Run runs the command.
func (c powerTypesCmd) Run(ctx context.Context, io stdio) error {
	var types []maasapi.PowerType
	if err := c.get(ctx, client.API+"rackcontrollers/?op=describe_power_types", &types); err != nil {
		return err
	}
	if c.Type == "" {
		return c.print(io.out, types, "TYPE\tNAME\tPARAMETERS", func(row func(...string)) {
			for _, t := range types {
				row(t.Name, t.Description, strconv.Itoa(len(t.Fields)))
			}
		})
	}
	var names []string
	for _, t := range types {
		if t.Name == c.Type {
			return c.printFields(io, t)
		}
		names = append(names, t.Name)
	}
	return fmt.Errorf("there is no power type %q; there are %s", c.Type, strings.Join(names, ", "))
}

// printFields prints the parameters of a power type.
func (c powerTypesCmd) printFields(io stdio, t maasapi.PowerType) error {
	return c.print(io.out, t, "PARAMETER\tREQUIRED\tSECRET\tDEFAULT\tCHOICES\tMEANING", func(row func(...string)) {
		yes := map[bool]string{true: "yes"}
		for _, f := range t.Fields {
			var choices []string
			for _, choice := range f.Choices {
				choices = append(choices, choice[0])
			}
			row(f.Name, yes[f.Required], yes[f.Secret], f.Default, strings.Join(choices, ","), f.Label)
		}
	})
}
