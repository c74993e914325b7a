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
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// Config says what to show.
type Config struct {
	// Machines is the number of machines to boot, at least 1.
	Machines int
	// BMCs is the number of BMCs, at least Machines; zero means one for each machine. Behind each
	// further one is a card, which starts from its own flash and asks for an address.
	BMCs int
	// VLANs is the number of networks, 1 to 32, and Racks that of the racks that serve them, at most
	// one for each. Zero means as many as the machines need, and 1.
	VLANs, Racks int
	// Endure keeps a mixed load on the site for that long after the boots, with so many Clients that
	// renew their leases. Zero means no load.
	Endure  time.Duration
	Clients int
	// Keep leaves everything up until ctx ends.
	Keep bool
	// Open opens the page in a browser before the machines are switched on.
	Open bool
	// Out receives the output. A terminal gets progress bars.
	Out io.Writer
	// JSON writes a [Summary] instead of a timeline and a table.
	JSON bool

	initrd int // bytes of the initrd, for tests; 0 = as large as usual
}

// fill replaces zero values and checks the bounds.
func (c Config) fill() (Config, error) {
	if c.BMCs == 0 {
		c.BMCs = c.Machines
	}
	if c.VLANs == 0 {
		c.VLANs = max((c.BMCs+vlanShare-1)/vlanShare, (c.hosts()+vlanHosts-1)/vlanHosts, c.Racks, 1)
	}
	if c.initrd == 0 {
		c.initrd = initrdSize
	}
	if c.Racks == 0 {
		c.Racks = 1
	}
	switch {
	case c.Machines < 1 || c.Machines > maxMachines:
		return c, fmt.Errorf("--machines goes from 1 to %d", maxMachines)
	case c.BMCs < c.Machines || c.BMCs > maxBMCs:
		return c, fmt.Errorf("--bmcs goes from the number of machines, %d, to %d", c.Machines, maxBMCs)
	case c.VLANs < 1 || c.VLANs > maxVLANs:
		return c, fmt.Errorf("--vlans goes from 1 to %d", maxVLANs)
	case c.Racks < 1 || c.Racks > c.VLANs:
		return c, fmt.Errorf("--racks goes from 1 to the number of VLANs, %d", c.VLANs)
	case c.Clients < 0 || c.Clients > maxBMCs:
		return c, fmt.Errorf("--clients goes from 0 to %d", maxBMCs)
	case c.hosts() > c.VLANs*vlanHosts:
		return c, fmt.Errorf("%d VLANs have %d addresses for %d hosts: raise --vlans", c.VLANs, c.VLANs*vlanHosts, c.hosts())
	}
	return c, c.checkFiles()
}

// hosts returns the number of hosts that need an address.
func (c Config) hosts() int {
	if c.Endure > 0 {
		return c.BMCs + c.Clients
	}
	return c.BMCs
}

// checkFiles makes sure that this process may open a socket for each BMC.
func (c Config) checkFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if need := uint64(c.BMCs + 1000); limit.Cur < need {
		return fmt.Errorf("%d BMCs need %d open files, and this process may open %d: raise the limit (ulimit -n), or lower --bmcs", c.BMCs, need, limit.Cur)
	}
	return nil
}

// memoryGoal is the size from which on memory is collected more eagerly.
const memoryGoal = 3 << 30

// vlanShare is the number of machines and cards for which a network is added.
const vlanShare = 1500

// bootTime returns the bound of the boots of all machines together. Machines share the processors
// of this host, so that more of them take longer.
func bootTime(cfg Config) time.Duration {
	return 2*time.Minute + time.Duration(cfg.Machines)*time.Second + time.Duration(cfg.BMCs-cfg.Machines)*time.Second/4
}

// Run shows it and returns nil only if every machine runs what it should. It leaves nothing behind.
func Run(ctx context.Context, cfg Config) (err error) {
	if cfg, err = cfg.fill(); err != nil {
		return err
	}
	if cfg.hosts() > fewMachines {
		// Fewer collections save a seventh of the processor time.
		defer debug.SetGCPercent(debug.SetGCPercent(400))
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryGoal))
	}
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
	l, err := newLab(ctx, dir, cfg, slog.New(slog.NewTextHandler(log.file, nil)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()

	out := cfg.Out
	if cfg.JSON {
		out = io.Discard
	}
	show := newShow(out, cfg.BMCs)
	show.sums = show.sums || cfg.Endure > 0 // steps of boots would hide what grows
	fmt.Fprintln(out, l.intro(cfg))
	machines := plan(cfg.Machines, cfg.BMCs)
	if err := l.addMachines(ctx, machines, show); err != nil {
		return err
	}
	bootCtx, cancel := context.WithTimeout(ctx, bootTime(cfg))
	defer cancel()
	if cfg.Open {
		l.open(out)
	}
	began := time.Now()
	results := l.bootAll(bootCtx, machines, show)
	summary := summarize(results, time.Since(began))
	show.end()
	if errors.Is(bootCtx.Err(), context.DeadlineExceeded) {
		fmt.Fprintf(out, "The %v for all boots ran out; fewer machines, or a host with more processors, need less.\n", bootTime(cfg))
	}
	summary.write(out, results)
	if cfg.Endure > 0 && summary.Booted == summary.Machines {
		e, err := l.endure(ctx, cfg, machines, out)
		if err != nil {
			return err
		}
		e.write(out)
		summary.Endurance = &e
	}
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
	if e := summary.Endurance; e != nil && e.failed() > 0 {
		return fmt.Errorf("%d pieces of work failed", e.failed())
	}
	return nil
}
