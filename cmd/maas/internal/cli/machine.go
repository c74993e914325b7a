package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/client"
)

// machineCmd is the group `maas machine`: the verbs of all resources, and the ones for power.
type machineCmd struct {
	reading
	Create machineCreateCmd `cmd:"" help:"Add a machine."`
	changing
	deleting
	Lock       opCmd             `cmd:"" help:"Refuse changes and power actions until the machine is unlocked."`
	Unlock     opCmd             `cmd:"" help:"Allow changes and power actions again."`
	Reinstall  opCmd             `cmd:"" help:"Have a machine whose system is configured boot its profile again, not its disk."`
	Release    opCmd             `cmd:"" help:"Give an allocated machine back: it has no owner any more, and its automatic addresses are free."`
	Power      machinePowerCmd   `cmd:"" help:"Switch a machine's power, or query its state."`
	Boot       machineBootCmd    `cmd:"" help:"Start a machine, or start it again, so that it boots its profile: by its network, its virtual CD drive or a URL."`
	Console    machineConsoleCmd `cmd:"" help:"Attach to the serial console of a machine, over IPMI or SSH."`
	Media      machineMediaCmd   `cmd:"" help:"Insert an image into the virtual CD drive of a machine, or eject it."`
	Sensors    machineSensorsCmd `cmd:"" help:"Read the sensors of a machine's BMC."`
	PowerTypes powerTypesCmd     `cmd:"" help:"List the power types, or the parameters of one."`
}

// machineCreateCmd is `maas machine create`; its flags are the fields that most machines need.
type machineCreateCmd struct {
	remote
	MAC           []string `required:"" help:"MAC address. The first one is the boot interface." placeholder:"MAC"`
	Name          string   `help:"Host name (default: a random name)."`
	Architecture  string   `help:"Architecture, such as amd64/generic."`
	PowerType     string   `help:"Power type, such as ipmi or redfish; maas machine power-types lists all."`
	PowerAddress  string   `help:"Address of its BMC." placeholder:"ADDR"`
	PowerUser     string   `help:"User of the BMC." placeholder:"USER"`
	PowerPassFile string   `help:"File with the password of the BMC; - reads standard input." placeholder:"FILE"`
	Set           []string `arg:"" optional:"" name:"name=value" help:"Other fields, such as zone=east; see maas machine update."`
	PowerParam    []string `help:"Another parameter of the power type, such as tls_verify=no; NAME=@FILE reads a file." placeholder:"NAME=VALUE"`
}

// Run runs the command.
func (c machineCreateCmd) Run(ctx context.Context, io stdio) error {
	form, err := c.form()
	if err != nil {
		return err
	}
	var made json.RawMessage
	if err := c.post(ctx, client.API+"machines/", form, &made); err != nil {
		return err
	}
	return c.showObject(io.out, resourceNamed("machine"), made)
}

// form returns the fields of the new machine. The password of the BMC comes from a file: arguments
// are visible to all users of a host.
func (c machineCreateCmd) form() (url.Values, error) {
	form, err := resourceNamed("machine").assignments(c.Set)
	if err != nil {
		return nil, err
	}
	form["mac_addresses"] = append(form["mac_addresses"], c.MAC...)
	set := func(key, value string) {
		if value != "" {
			form.Set(key, value)
		}
	}
	set("hostname", c.Name)
	set("architecture", c.Architecture)
	set("power_type", c.PowerType)
	set("power_parameters_power_address", c.PowerAddress)
	set("power_parameters_power_user", c.PowerUser)
	for _, p := range c.PowerParam {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			return nil, fmt.Errorf("--power-param %q is not NAME=VALUE", p)
		}
		text, err := contents(value)
		if err != nil {
			return nil, fmt.Errorf("--power-param %s: %w", name, err)
		}
		set("power_parameters_"+name, text)
	}
	if c.PowerPassFile == "" {
		return form, nil
	}
	password, err := readFile(c.PowerPassFile)
	if err != nil {
		return nil, fmt.Errorf("--power-pass-file: %w", err)
	}
	set("power_parameters_power_pass", strings.TrimRight(string(password), "\r\n"))
	return form, nil
}
