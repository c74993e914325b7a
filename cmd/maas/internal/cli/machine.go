package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

type machineCmd struct {
	List       machineListCmd    `cmd:"" help:"List the machines."`
	Show       machineShowCmd    `cmd:"" help:"Show one machine."`
	Create     machineCreateCmd  `cmd:"" help:"Add a machine."`
	Delete     machineDeleteCmd  `cmd:"" help:"Remove a machine."`
	Power      machinePowerCmd   `cmd:"" help:"Switch a machine, or ask for its power state."`
	Sensors    machineSensorsCmd `cmd:"" help:"Read what a machine's BMC measures."`
	PowerTypes powerTypesCmd     `cmd:"" help:"List the kinds of power control, or the parameters of one."`
}

type machineListCmd struct{ remote }

// Run is called by the parser when the command was given.
func (c machineListCmd) Run(ctx context.Context, io stdio) error {
	var machines []maasapi.Machine
	if err := c.get(ctx, client.API+"machines/", &machines); err != nil {
		return err
	}
	return c.print(io.out, machines, "NAME\tMAC\tADDRESSES\tARCHITECTURE\tFIRMWARE\tSTATUS\tPOWER", func(row func(...string)) {
		for _, m := range machines {
			row(m.FQDN, bootMAC(m), strings.Join(m.IPAddresses, ","), m.Architecture, m.BootMethod, m.StatusName, m.PowerState)
		}
	})
}

func bootMAC(m maasapi.Machine) string {
	if m.BootInterface == nil {
		return ""
	}
	return m.BootInterface.MACAddress
}

// print writes value as JSON, or as the table that fill makes.
func (c remote) print(w io.Writer, value any, header string, fill func(row func(cells ...string))) error {
	if c.Output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(value)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if header != "" {
		fmt.Fprintln(tw, header)
	}
	fill(func(cells ...string) {
		for i := range cells {
			if cells[i] == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	})
	return tw.Flush()
}

type machineShowCmd struct {
	remote
	Name string `arg:"" help:"Name or system ID."`
}

// Run is called by the parser when the command was given.
func (c machineShowCmd) Run(ctx context.Context, io stdio) error {
	var m maasapi.Machine
	if err := c.get(ctx, client.MachinePath(c.Name), &m); err != nil {
		return err
	}
	return c.showMachine(io.out, m)
}

func (c remote) showMachine(w io.Writer, m maasapi.Machine) error {
	return c.print(w, m, "", func(row func(...string)) {
		row("name", m.FQDN)
		row("system ID", m.SystemID)
		row("status", m.StatusName)
		row("MAC", bootMAC(m))
		row("addresses", strings.Join(m.IPAddresses, ", "))
		row("architecture", m.Architecture)
		row("firmware", m.BootMethod)
		row("UUID", m.HardwareUUID)
		row("zone", m.Zone.Name)
		row("pool", m.Pool.Name)
		row("power", strings.TrimSpace(m.PowerType+" "+m.PowerState))
	})
}

type machineCreateCmd struct {
	remote
	MAC           []string `required:"" help:"Link address; the first is the one it boots from." placeholder:"MAC"`
	Name          string   `help:"Host name; made up when left out."`
	Architecture  string   `help:"Such as amd64/generic."`
	PowerType     string   `help:"How it is switched: ipmi, redfish, webhook, openbmc, virsh, qemu, apc, wol or manual."`
	PowerAddress  string   `help:"Address of its BMC." placeholder:"ADDR"`
	PowerUser     string   `help:"User of the BMC." placeholder:"USER"`
	PowerPassFile string   `help:"File with the password of the BMC; - reads it from standard input." placeholder:"FILE"`
	PowerParam    []string `help:"Further parameter of the power type, such as tls_verify=no." placeholder:"NAME=VALUE"`
}

// Run is called by the parser when the command was given.
func (c machineCreateCmd) Run(ctx context.Context, io stdio) error {
	form, err := c.form()
	if err != nil {
		return err
	}
	var m maasapi.Machine
	if err := c.post(ctx, client.API+"machines/", form, &m); err != nil {
		return err
	}
	return c.showMachine(io.out, m)
}

func (c machineCreateCmd) form() (url.Values, error) {
	form := url.Values{"mac_addresses": c.MAC}
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
		set("power_parameters_"+name, value)
	}
	if c.PowerPassFile == "" {
		return form, nil
	}
	file := c.PowerPassFile
	if file == "-" {
		file = "/dev/stdin"
	}
	password, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--power-pass-file: %w", err)
	}
	set("power_parameters_power_pass", strings.TrimRight(string(password), "\r\n"))
	return form, nil
}

type machineDeleteCmd struct {
	remote
	Name string `arg:"" help:"Name or system ID."`
}

// Run is called by the parser when the command was given.
func (c machineDeleteCmd) Run(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, client.MachinePath(c.Name), nil, "", nil)
}
