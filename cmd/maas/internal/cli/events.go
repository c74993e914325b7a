package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/internal/client"
	"github.com/gomaas/maas/store/inventory"
	"github.com/gomaas/maas/store/inventory/maasapi"
)

// eventsCmd is `maas events`.
type eventsCmd struct {
	remote
	Machine string        `arg:"" optional:"" help:"Name or system ID (default: all machines)."`
	Limit   int           `default:"50" help:"Number of events."`
	Level   string        `help:"Only events of a level: audit (what users changed), debug, info, warning, error or critical." placeholder:"LEVEL"`
	User    string        `help:"Only events of a user." placeholder:"NAME"`
	Kind    string        `help:"Only events of a kind, such as boot, power or lease." placeholder:"KIND"`
	Since   time.Duration `help:"Only events of the last time, such as 2h." placeholder:"DURATION"`
	Follow  bool          `short:"f" help:"Continue with new events until interrupted."`
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
		return c.print(io.out, append([]maasapi.Event{}, answer...), "TIME\tLEVEL\tMACHINE\tUSER\tKIND\tWHAT", func(row func(...string)) {
			for _, e := range answer {
				row(stamp(e.Created), e.Level, e.Hostname, e.Username, e.Type, printable(e.Description))
				for _, line := range changedFields(e) {
					row("", "", "", "", "", "  "+line)
				}
			}
		})
	}
	return c.follow(ctx, io.out, cl, system)
}

// past reads the last events that the flags ask for.
func (c eventsCmd) past(ctx context.Context, cl client.Client, system string) ([]maasapi.Event, error) {
	query := url.Values{"op": {"query"}, "limit": {fmt.Sprint(c.Limit)}}
	for name, value := range map[string]string{"id": system, "level": strings.ToUpper(c.Level), "owner": c.User, "kind": c.Kind} {
		if value != "" {
			query.Set(name, value)
		}
	}
	var answer maasapi.Events
	err := cl.Get(ctx, client.API+"events/?"+query.Encode(), &answer)
	return slices.DeleteFunc(answer.Events, func(e maasapi.Event) bool { return !c.asks(e) }), err
}

// asks reports whether the flags ask for an event.
func (c eventsCmd) asks(e maasapi.Event) bool {
	if c.Level == "" && c.Kind == "" && strings.EqualFold(e.Level, "debug") {
		return false // such as leases, which are many
	}
	return (c.Kind == "" || c.Kind == e.Type) && (c.Level == "" || strings.EqualFold(c.Level, e.Level)) && (c.User == "" || c.User == e.Username) &&
		(c.Since == 0 || time.Since(e.Created) <= c.Since)
}

// follow writes one line for each event: the last events once the stream is open, so that none is
// lost between the two, and then the newer events of the stream.
func (c eventsCmd) follow(ctx context.Context, w io.Writer, cl client.Client, system string) error {
	last := make(map[bool]int64) // ID of the last event, of the log and of the audit log
	return cl.Follow(ctx, func(u client.Update) error {
		var events []maasapi.Event
		switch {
		case u.Kind == "event":
			var e maasapi.Event
			if err := json.Unmarshal(u.Data, &e); err != nil {
				return err
			}
			events = []maasapi.Event{e}
		case u.Kind == "open" && len(last) == 0:
			var err error
			if events, err = c.past(ctx, cl, system); err != nil {
				return err
			}
		}
		for _, e := range events {
			audit := strings.EqualFold(e.Level, inventory.LevelAudit)
			if e.ID <= last[audit] || system != "" && e.Node != system || !c.asks(e) {
				continue
			}
			last[audit] = e.ID
			if err := c.writeEvent(w, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeEvent writes one event of a stream, on one line.
func (c eventsCmd) writeEvent(w io.Writer, e maasapi.Event) error {
	if c.Output != "table" {
		return c.printNext(w, e)
	}
	where := ""
	for _, name := range []string{e.Hostname, e.Username} {
		if name != "" {
			where += name + ": "
		}
	}
	text := fmt.Sprintf("%s  %-8s  %s%s\n", stamp(e.Created), e.Level, where, printable(e.Description))
	for _, line := range changedFields(e) {
		text += "    " + line + "\n"
	}
	_, err := fmt.Fprint(w, text)
	return err
}

// changedFields returns a line for each field that a change changed.
func changedFields(e maasapi.Event) (out []string) {
	if e.Differences == nil {
		return nil
	}
	for _, o := range e.Differences.Objects {
		object := fmt.Sprintf("%s %d", o.Kind, o.ID)
		if o.Name != "" {
			object = o.Kind + " " + o.Name
		}
		for _, f := range o.Fields {
			out = append(out, printable(fmt.Sprintf("%s: %s: %q -> %q", object, f.Name, f.Old, f.New)))
		}
	}
	if n := e.Differences.More; n > 0 {
		out = append(out, fmt.Sprintf("and %d more objects", n))
	}
	return out
}
