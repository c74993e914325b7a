// Package try is `maas try`: it starts a region and a rack with their real servers on a simulated
// network segment, switches on simulated machines through simulated BMCs, and shows how they boot.
//
// Only the wire, the machines and what they run are simulated. Everything in between is what `maas
// all` runs.
package try

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"
)

// Config says what to show.
type Config struct {
	// Machines is the number of machines to boot, at least 1.
	Machines int
	// Keep leaves everything up until ctx ends.
	Keep bool
	// Open opens the page in a browser before the machines are switched on.
	Open bool
	// Out receives the output. A terminal gets progress bars.
	Out io.Writer
	// JSON writes a [Summary] instead of a timeline and a table.
	JSON bool
}

// bootTime returns the bound of the boots of all machines together. Machines share the processors
// of this host, so that more of them take longer.
func bootTime(machines int) time.Duration {
	return 2*time.Minute + time.Duration(machines)*time.Second
}

// Run shows it and returns nil only if every machine runs what it should. It leaves nothing behind.
func Run(ctx context.Context, cfg Config) (err error) {
	dir, err := os.MkdirTemp("", "maas-try-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log, err := openLog(dir)
	if err != nil {
		return err
	}
	defer log.file.Close()
	l, err := newLab(ctx, dir, slog.New(slog.NewTextHandler(log.file, nil)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()

	out := cfg.Out
	if cfg.JSON {
		out = io.Discard
	}
	show := newShow(out, cfg.Machines)
	fmt.Fprintf(out, "A region and a rack serve %s; %d machines are switched on through their BMCs.\n\n", l.segment.Prefix(), cfg.Machines)
	machines, err := l.addMachines(ctx, cfg.Machines, show)
	if err != nil {
		return err
	}
	bootCtx, cancel := context.WithTimeout(ctx, bootTime(cfg.Machines))
	defer cancel()
	if cfg.Open {
		l.open(out)
	}
	began := time.Now()
	results := l.bootAll(bootCtx, machines, show)
	summary := summarize(results, time.Since(began))
	show.end()
	if errors.Is(bootCtx.Err(), context.DeadlineExceeded) {
		fmt.Fprintf(out, "The %v for all boots ran out; fewer machines, or a host with more processors, need less.\n", bootTime(cfg.Machines))
	}
	summary.write(out, results)
	if cfg.JSON {
		if err := summary.writeJSON(cfg.Out); err != nil {
			return err
		}
	}
	if cfg.Keep {
		l.explain(out, machines)
		<-ctx.Done()
	}
	if failed := summary.Machines - summary.Booted; failed > 0 {
		return fmt.Errorf("%d of %d machines did not boot", failed, len(machines))
	}
	return nil
}
