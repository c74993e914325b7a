package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/store/inventory/maasapi"
)

// discoveryScanCmd is `maas discovery scan`.
type discoveryScanCmd struct {
	remote
	CIDR   []string `arg:"" optional:"" help:"Subnets or parts of subnets." placeholder:"CIDR"`
	All    bool     `help:"All subnets of the site."`
	Slow   bool     `help:"Probe ten addresses per second instead of a thousand."`
	NoWait bool     `help:"Return at once instead of waiting for the end."`
}

// cancelTime bounds the attempt of an interrupted command to end its scan.
const cancelTime = 5 * time.Second

// Run runs the command.
func (c discoveryScanCmd) Run(ctx context.Context, io stdio) error {
	if len(c.CIDR) == 0 && !c.All {
		return errors.New("name subnets to scan, or all of them with --all")
	}
	form := url.Values{"cidr": c.CIDR, "slow": {fmt.Sprint(c.Slow)}, "force": {fmt.Sprint(c.All)}}
	var scan maasapi.Scan
	if err := c.post(ctx, discoveryPath+"?op=scan", form, &scan); err != nil {
		return err
	}
	for _, subnet := range slices.Sorted(maps.Keys(scan.Skipped)) {
		fmt.Fprintf(io.err, "%s is left out: %s\n", subnet, scan.Skipped[subnet])
	}
	if scan.ID == "" {
		return errors.New(scan.Result)
	}
	if c.NoWait {
		return c.show(io, scan)
	}
	return c.follow(ctx, io, scan)
}

// follow shows the progress of the scan until its end. An interrupt cancels the scan on the racks.
func (c discoveryScanCmd) follow(ctx context.Context, io stdio, scan maasapi.Scan) error {
	path := "/api/v1/discovery/scans/" + url.PathEscape(scan.ID)
	bar := progress{w: io.err, terminal: isTerminal(io.err)}
	for scan.Running {
		bar.show(scan)
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
		next := maasapi.Scan{}
		if err := c.get(ctx, path, &next); ctx.Err() != nil {
			bar.end()
			return c.cancel(context.WithoutCancel(ctx), path)
		} else if err != nil {
			bar.end()
			return err
		}
		scan = next
	}
	bar.show(scan)
	bar.end()
	return c.show(io, scan)
}

// cancel ends the scan on the racks. It has time of its own, since the command's context has ended.
func (c discoveryScanCmd) cancel(ctx context.Context, path string) error {
	ctx, stop := context.WithTimeout(ctx, cancelTime)
	defer stop()
	var scan maasapi.Scan
	if err := c.call(ctx, http.MethodDelete, path, nil, "", &scan); err != nil {
		return fmt.Errorf("the scan goes on, it could not be cancelled: %w", err)
	}
	return fmt.Errorf("cancelled after %d of %d questions, %d addresses answered", scan.Done, scan.Total, scan.Found)
}

// show prints the result. The failure of a rack is an error.
func (c discoveryScanCmd) show(io stdio, scan maasapi.Scan) error {
	err := c.print(io.out, scan, "RACK\tSUBNETS\tANSWERED\tQUESTIONS\tSTATE", func(row func(...string)) {
		for _, r := range scan.Racks {
			state := "done"
			if r.Running {
				state = "running"
			} else if r.Error != "" {
				state = r.Error
			}
			row(r.Rack, strings.Join(r.Subnets, " "), fmt.Sprint(r.Found), fmt.Sprintf("%d of %d", r.Done, r.Total), state)
		}
	})
	for _, r := range scan.Racks {
		if err == nil && r.Error != "" {
			err = fmt.Errorf("rack %s: %s", r.Rack, r.Error)
		}
	}
	return err
}

// progress draws a bar on a terminal and nothing elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
}

const barWidth = 30

// show draws the progress over the previous one.
func (p progress) show(s maasapi.Scan) {
	if !p.terminal {
		return
	}
	full := 0
	if s.Total > 0 {
		full = barWidth * s.Done / s.Total
	}
	fmt.Fprintf(p.w, "\r[%s%s] %d of %d asked, %d answered ", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), s.Done, s.Total, s.Found)
}

// end moves below the bar.
func (p progress) end() {
	if p.terminal {
		fmt.Fprintln(p.w)
	}
}
