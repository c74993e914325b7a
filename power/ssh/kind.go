package ssh

import (
	"context"
	"regexp"
	"slices"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/internal/address"
	"github.com/gomaas/maas/power/internal/sshdial"
)

// Name is the power type's name.
const Name = "ssh"

const (
	paramAddress  = "power_address"
	paramUser     = "power_user"
	paramID       = "power_id"
	paramOn       = "command_on"
	paramOff      = "command_off"
	paramQuery    = "command_query"
	paramCycle    = "command_cycle"
	paramReset    = "command_reset"
	paramSoft     = "command_soft_off"
	paramBoot     = "command_boot_once"
	paramConsole  = "command_console"
	paramInput    = "command_input"
	paramOnRegex  = "power_on_regex"
	paramOffRegex = "power_off_regex"
)

const defaultPort = "22"

// Kind declares the power type "ssh".
func Kind() power.Kind {
	return power.Kind{
		Name: Name, Title: "Commands over SSH",
		Params: slices.Concat([]power.Param{
			{Name: paramAddress, Label: "Host that runs the commands, with a port if it is not 22", Required: true},
			{Name: paramUser, Label: "User of the host", Required: true},
			{Name: sshdial.ParamPass, Label: "Password of the user", Secret: true},
		}, sshdial.Params(), []power.Param{
			{Name: paramID, Label: "What {id} stands for in the commands", Scope: power.ScopeNode},
			{Name: paramOn, Label: "Command that switches on", Required: true, Scope: power.ScopeNode},
			{Name: paramOff, Label: "Command that switches off", Required: true, Scope: power.ScopeNode},
			{Name: paramQuery, Label: "Command that prints the state", Required: true, Scope: power.ScopeNode},
			{Name: paramCycle, Label: "Command that takes the power and gives it back; off and on, when empty", Scope: power.ScopeNode},
			{Name: paramReset, Label: "Command that resets the machine", Scope: power.ScopeNode},
			{Name: paramSoft, Label: "Command that asks the system to shut down", Scope: power.ScopeNode},
			{Name: paramBoot, Label: "Command that chooses the next boot; {device} is network, disk, setup or default", Scope: power.ScopeNode},
			{Name: paramConsole, Label: "Command that attaches to the serial console", Scope: power.ScopeNode},
			{Name: paramInput, Label: "Standard input of each command, such as a password", Secret: true, Scope: power.ScopeNode},
			{Name: paramOnRegex, Label: "Regular expression of the state on", Default: `(?i)\bon\b`},
			{Name: paramOffRegex, Label: "Regular expression of the state off", Default: `(?i)\boff\b`},
		}),
		Open:     open,
		Identity: func(p power.Params) string { return address.Identity(p[paramAddress], defaultPort) + " " + p[paramID] },
	}
}

const opOpen = "connect to the host"

func open(ctx context.Context, p power.Params) (power.Driver, error) {
	at, err := address.ParseHost(paramAddress, p[paramAddress])
	if err != nil {
		return nil, err
	}
	d := &driver{p: p, transcript: power.TranscriptFrom(ctx)}
	// Compiled here, so that a mistake is a matter of the settings, not of a request.
	for param, re := range map[string]**regexp.Regexp{paramOnRegex: &d.on, paramOffRegex: &d.off} {
		if *re, err = regexp.Compile(p[param]); err != nil {
			return nil, power.Errorf(power.Settings, "settings", "%s: %w", param, err)
		}
	}
	if d.transcript.Replays() {
		return d, nil
	}
	d.client, err = sshdial.Dial(ctx, opOpen, at.HostPort(defaultPort), p[paramUser], p)
	if err != nil {
		return nil, err
	}
	return d, nil
}
