package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/gomaas/maas/cmd/maas/internal/client"
)

// settingsCmd is the group `maas settings`.
type settingsCmd struct {
	List settingsListCmd `cmd:"" help:"List the settings with their values."`
	Get  settingsGetCmd  `cmd:"" help:"Show the value of a setting."`
	Set  settingsSetCmd  `cmd:"" help:"Change a setting. Racks use it at once."`
}

const configPath = client.API + "maas/"

// settings reads all settings with their values.
func (c remote) settings(ctx context.Context) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	err := c.get(ctx, configPath+"?op=get_config", &all)
	return all, err
}

// settingsListCmd is `maas settings list`.
type settingsListCmd struct{ remote }

// Run runs the command.
func (c settingsListCmd) Run(ctx context.Context, io stdio) error {
	all, err := c.settings(ctx)
	if err != nil {
		return err
	}
	return c.print(io.out, all, "SETTING\tVALUE", func(row func(...string)) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			row(name, compact(all[name]))
		}
	})
}

// settingsGetCmd is `maas settings get`.
type settingsGetCmd struct {
	remote
	Name string `arg:"" help:"Name of the setting."`
}

// Run runs the command.
func (c settingsGetCmd) Run(ctx context.Context, io stdio) error {
	all, err := c.settings(ctx)
	if err != nil {
		return err
	}
	value, ok := all[c.Name]
	if !ok {
		return unknownSetting(c.Name, all)
	}
	if c.Output != "table" {
		return c.printRaw(io.out, value)
	}
	_, err = fmt.Fprintln(io.out, printable(compact(value)))
	return err
}

// unknownSetting returns the error of a setting that does not exist, with similar names.
func unknownSetting(name string, all map[string]json.RawMessage) error {
	help := didYouMean(name, slices.Sorted(maps.Keys(all)))
	if help == "" {
		help = "; see maas settings list"
	}
	return fmt.Errorf("there is no setting %q%s", name, help)
}

// settingsSetCmd is `maas settings set`.
type settingsSetCmd struct {
	remote
	Name  string `arg:"" help:"Name of the setting."`
	Value string `arg:"" help:"Value of the setting; @FILE reads a file, @- standard input."`
}

// Run runs the command.
func (c settingsSetCmd) Run(ctx context.Context) error {
	all, err := c.settings(ctx)
	if err != nil {
		return err
	}
	if _, ok := all[c.Name]; !ok {
		return unknownSetting(c.Name, all)
	}
	value, err := contents(c.Value)
	if err != nil {
		return err
	}
	return c.post(ctx, configPath+"?op=set_config", url.Values{"name": {c.Name}, "value": {value}}, nil)
}
