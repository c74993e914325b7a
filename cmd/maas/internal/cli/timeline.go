package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/gomaas/maas/cmd/maas/guide"
	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// timelineCmd is `maas timeline`.
type timelineCmd struct {
	remote
	Machine string `arg:"" help:"Name or system ID."`
	Watch   bool   `short:"w" help:"Print the boot again while it proceeds, until interrupted."`
	All     bool   `help:"Show all stored boots instead of the last one."`
}

// Run runs the command.
func (c timelineCmd) Run(ctx context.Context, io stdio) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	found, err := findMachine(ctx, cl, c.Machine)
	if err != nil {
		return err
	}
	if !c.Watch {
		boots, err := c.boots(ctx, cl, found.id)
		if err != nil {
			return err
		}
		return c.show(io.out, found.name, boots)
	}
	return cl.Follow(ctx, func(u client.Update) error {
		var step maasapi.StreamBoot
		switch u.Kind {
		case "boot":
			if err := json.Unmarshal(u.Data, &step); err != nil || step.Node != found.id {
				return err
			}
		case "open", "lost":
		default:
			return nil
		}
		boots, err := c.boots(ctx, cl, found.id)
		if err != nil {
			return err
		}
		if isTerminal(io.out) {
			fmt.Fprint(io.out, clearScreen)
		}
		return c.show(io.out, found.name, boots)
	})
}

// boots returns the boots of a machine that are to be shown.
func (c timelineCmd) boots(ctx context.Context, cl client.Client, machine string) ([]maasapi.Boot, error) {
	boots := []maasapi.Boot{}
	err := cl.Get(ctx, "/api/v1/machines/"+url.PathEscape(machine)+"/boots", &boots)
	if !c.All && len(boots) > 1 {
		boots = boots[:1]
	}
	return boots, err
}

// show writes a boot: its summary, and a line for each step.
func (c timelineCmd) show(w io.Writer, name string, boots []maasapi.Boot) error {
	if c.Output != "table" {
		return c.print(w, boots, "", nil)
	}
	if len(boots) == 0 {
		_, err := fmt.Fprintf(w, "%s was not yet seen booting; switch it on with: maas machine power on %s\n", name, name)
		return err
	}
	for i, b := range boots {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s, boot of %s from %s", name, stamp(b.Start), b.MAC)
		if b.Method != "" {
			fmt.Fprintf(w, " as %s", b.Method)
		}
		fmt.Fprintln(w)
		err := c.print(w, nil, "  AT\tSTAGE\tWHAT\tBY\tTOOK\tSIZE\tNOTES", func(row func(...string)) {
			for _, s := range b.Steps {
				row("  "+seconds(s.Start.Sub(b.Start)), string(s.Stage), cmp.Or(s.Path, "an address"), s.Proto, seconds(s.Duration), size(s.Bytes), s.Notes())
			}
		})
		if err != nil {
			return err
		}
		for _, line := range b.Log {
			fmt.Fprintf(w, "  log: %s\n", printable(line))
		}
		for _, line := range b.Console {
			fmt.Fprintf(w, "  console: %s\n", printable(line))
		}
		if _, err := fmt.Fprintf(w, "  => %s\n", printable(b.Diagnosis)); err != nil {
			return err
		}
		if b.Cause != "" {
			fmt.Fprintf(w, "     see: maas docs %s\n", guide.OfBoot(b.Cause))
		}
	}
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
