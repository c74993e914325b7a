package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

type eventsCmd struct {
	remote
	Machine string `arg:"" optional:"" help:"Name or system ID (default: all machines)."`
	Limit   int    `default:"50" help:"Number of events."`
	Follow  bool   `short:"f" help:"Continue with new events until interrupted."`
}

// Run runs the command.
func (c eventsCmd) Run(ctx context.Context, io stdio) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	system := ""
	if c.Machine != "" {
		found, err := findMachine(ctx, cl, c.Machine)
		if err != nil {
			return err
		}
		system = found.id
	}
	if !c.Follow {
		answer, err := c.past(ctx, cl, system)
		if err != nil {
			return err
		}
		return c.print(io.out, append([]maasapi.Event{}, answer...), "TIME\tLEVEL\tKIND\tWHAT", func(row func(...string)) {
			for _, e := range answer {
				row(stamp(e.Created), e.Level, e.Type, e.Description)
			}
		})
	}
	return c.follow(ctx, io.out, cl, system)
}

func (c eventsCmd) past(ctx context.Context, cl client.Client, system string) ([]maasapi.Event, error) {
	query := url.Values{"op": {"query"}, "limit": {fmt.Sprint(c.Limit)}}
	if system != "" {
		query.Set("id", system)
	}
	var answer maasapi.Events
	err := cl.Get(ctx, client.API+"events/?"+query.Encode(), &answer)
	return answer.Events, err
}

// follow writes one line for each event: the last events once the stream is open, so that none is
// lost between the two, and then the newer events of the stream.
func (c eventsCmd) follow(ctx context.Context, w io.Writer, cl client.Client, system string) error {
	var last int64
	return cl.Follow(ctx, func(u client.Update) error {
		var events []maasapi.Event
		switch {
		case u.Kind == "event":
			var e maasapi.Event
			if err := json.Unmarshal(u.Data, &e); err != nil {
				return err
			}
			events = []maasapi.Event{e}
		case u.Kind == "open" && last == 0:
			var err error
			if events, err = c.past(ctx, cl, system); err != nil {
				return err
			}
		}
		for _, e := range events {
			if e.ID <= last || system != "" && e.Node != system {
				continue
			}
			last = e.ID
			if err := c.writeEvent(w, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c eventsCmd) writeEvent(w io.Writer, e maasapi.Event) error {
	if c.Output != "table" {
		return c.printNext(w, e)
	}
	where := ""
	if e.Hostname != "" {
		where = e.Hostname + ": "
	}
	_, err := fmt.Fprintf(w, "%s  %-8s  %s%s\n", stamp(e.Created), e.Level, where, printable(e.Description))
	return err
}
