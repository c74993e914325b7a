package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// machinePowerCmd is `maas machine power`.
type machinePowerCmd struct {
	remote
	Action     string `arg:"" enum:"on,off,cycle,soft-off,reset,query,status,light,dark" help:"on, off, cycle, soft-off, reset or query (or status); light and dark switch the identify LED."`
	Name       string `arg:"" help:"Name or system ID."`
	Transcript string `help:"Write the conversation with the BMC to a file, without secrets, for a bug report." placeholder:"FILE"`
}

// Run runs the command.
func (c machinePowerCmd) Run(ctx context.Context, io stdio) error {
	if c.Action == "status" { // the word of other tools for it
		c.Action = string(power.ActionQuery)
	}
	result, err := c.power(ctx, c.Name, power.Action(c.Action), c.Transcript)
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

// machineSensorsCmd is `maas machine sensors`.
type machineSensorsCmd struct {
	remote
	Name string `arg:"" help:"Name or system ID."`
}

// Run runs the command.
func (c machineSensorsCmd) Run(ctx context.Context, io stdio) error {
	result, err := c.power(ctx, c.Name, power.ActionSensors, "")
	if err != nil {
		return err
	}
	return c.print(io.out, result.Sensors, "SENSOR\tVALUE\tUNIT\tHEALTH", func(row func(...string)) {
		for _, s := range result.Sensors {
			row(s.Name, strconv.FormatFloat(s.Value, 'f', -1, 64), s.Unit, s.Health)
		}
	})
}

// power acts on a machine. If a file is named, power writes the conversation with the BMC to it,
// also after a failure.
func (c remote) power(ctx context.Context, name string, action power.Action, transcript string) (maasapi.PowerAnswer, error) {
	form := url.Values{"action": {string(action)}}
	if transcript != "" {
		form.Set("transcript", "true")
	}
	var answer maasapi.PowerAnswer
	if err := c.post(ctx, "/api/v1/machines/"+url.PathEscape(name)+"/power", form, &answer); err != nil {
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
