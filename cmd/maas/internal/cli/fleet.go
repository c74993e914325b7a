package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gomaas/maas/power"
)

// limits bound what is switched at a time.
type limits struct {
	Parallel int `default:"16" help:"Machines that are switched at a time." placeholder:"N"`
	PerZone  int `help:"Machines of one zone in a wave." placeholder:"N"`
	PerPDU   int `name:"per-pdu" help:"Machines of one PDU in a wave. A machine's PDU is its power_address if its power type is one, or its tags that begin with pdu-." placeholder:"N"`
	Watts    int `help:"Watts of one zone and of one PDU in a wave. A machine's watts are its tag watts-NUMBER, else --machine-watts." placeholder:"W"`
	Machine  int `name:"machine-watts" default:"500" help:"Watts of a machine without such a tag." placeholder:"W"`
	// Pause is the time between two waves.
	Pause time.Duration `default:"10s" help:"Time between two waves."`
}

// feeds are the power types of outlets, whose address is that of a PDU.
var feeds = []string{"pdu", "apc", "eaton", "raritan", "dli"}

// pdus returns the PDUs that feed a machine.
func (m *listedMachine) pdus() (out []string) {
	if slices.Contains(feeds, m.Type) && m.address != "" {
		out = append(out, m.address)
	}
	for _, tag := range m.Tags {
		if strings.HasPrefix(tag, "pdu-") && !slices.Contains(out, tag) {
			out = append(out, tag)
		}
	}
	return out
}

// watts returns the power that a machine is expected to take.
func (m *listedMachine) watts(unknown int) int {
	for _, tag := range m.Tags {
		if text, ok := strings.CutPrefix(tag, "watts-"); ok {
			if n, err := strconv.Atoi(text); err == nil && n > 0 {
				return n
			}
		}
	}
	return unknown
}

// waves divides machines, in their order, so that no wave exceeds the limits. A machine that alone
// exceeds them has a wave of its own.
func (l limits) waves(machines []listedMachine) (out [][]listedMachine) {
	type load struct{ machines, watts int }
	var loads []map[string]load // of each wave, by zone and PDU
	for i := range machines {
		m := &machines[i]
		watts := m.watts(l.Machine)
		groups := []string{"zone " + m.Zone.Name}
		for _, pdu := range m.pdus() {
			groups = append(groups, "PDU "+pdu)
		}
		fits := func(wave map[string]load) bool {
			for i, g := range groups {
				most := l.PerPDU
				if i == 0 {
					most = l.PerZone
				}
				if most > 0 && wave[g].machines+1 > most || l.Watts > 0 && wave[g].machines > 0 && wave[g].watts+watts > l.Watts {
					return false
				}
			}
			return true
		}
		at := slices.IndexFunc(loads, fits)
		if at < 0 {
			at = len(loads)
			loads, out = append(loads, map[string]load{}), append(out, nil)
		}
		for _, g := range groups {
			loads[at][g] = load{loads[at][g].machines + 1, loads[at][g].watts + watts}
		}
		out[at] = append(out[at], *m)
	}
	return out
}

// fleet switches many machines.
type fleet struct {
	limits
	action power.Action
	power  func(ctx context.Context, machine string) (power.State, error)
	done   func(machine string) error // notes a machine for a later run
	out    io.Writer                  // progress
}

// switched is the result of a machine.
type switched struct {
	Machine string      `json:"machine"`
	State   power.State `json:"state"`
	Error   string      `json:"error,omitempty"`
}

// run switches wave by wave. Machines that fail do not hold up the others.
func (f *fleet) run(ctx context.Context, waves [][]listedMachine) (all []switched, err error) {
	total, bar := 0, &progressBar{out: f.out, live: isTerminal(f.out)}
	for _, wave := range waves {
		total += len(wave)
	}
	for i, wave := range waves {
		if i > 0 {
			bar.show(len(all), total, failures(all), fmt.Sprintf("wave %d of %d begins in %s", i+1, len(waves), f.Pause))
			select {
			case <-time.After(f.Pause):
			case <-ctx.Done():
				return all, ctx.Err()
			}
		}
		results := make(chan switched)
		go f.wave(ctx, wave, results)
		for o := range results {
			all = append(all, o)
			if o.Error == "" {
				err = errors.Join(err, f.done(o.Machine))
			}
			bar.show(len(all), total, failures(all), fmt.Sprintf("wave %d of %d", i+1, len(waves)))
		}
	}
	bar.end()
	slices.SortFunc(all, func(a, b switched) int { return cmp.Compare(a.Machine, b.Machine) })
	return all, errors.Join(err, ctx.Err())
}

// wave switches machines side by side and closes results at the end.
func (f *fleet) wave(ctx context.Context, machines []listedMachine, results chan<- switched) {
	var running sync.WaitGroup
	slots := make(chan struct{}, max(1, f.Parallel))
	for _, m := range machines {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			o := switched{Machine: m.Name, State: power.Unknown}
			err := ctx.Err()
			if err == nil {
				o.State, err = f.power(ctx, m.Name)
			}
			if err != nil {
				o.Error = oneLine(err)
			}
			results <- o
		})
	}
	running.Wait()
	close(results)
}

func failures(all []switched) (n int) {
	for _, o := range all {
		if o.Error != "" {
			n++
		}
	}
	return n
}

// progressBar is a line of progress. On what is no terminal it is written for each tenth only.
type progressBar struct {
	out   io.Writer
	live  bool
	shown int // tenths
}

func (b *progressBar) show(done, total, failed int, what string) {
	full := done * barWidth / max(1, total)
	line := fmt.Sprintf("[%s%s] %d/%d, %d failed, %s", strings.Repeat("#", full), strings.Repeat(" ", barWidth-full), done, total, failed, what)
	if b.live {
		fmt.Fprintf(b.out, "\r\x1b[K%s", line)
	} else if tenth := done * 10 / max(1, total); tenth > b.shown {
		b.shown = tenth
		fmt.Fprintln(b.out, line)
	}
}

func (b *progressBar) end() {
	if b.live {
		fmt.Fprintln(b.out)
	}
}

// resume holds the machines that an earlier run has done, in a file of one name a line.
type resume struct {
	path string
	done []string
}

// openResume reads the file of an earlier run, if one was left.
func openResume(path string) (*resume, error) {
	r := &resume{path: path}
	if path == "" {
		return r, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		r.done = append(r.done, strings.TrimSpace(lines.Text()))
	}
	return r, lines.Err()
}

// note adds a machine to the file at once, so that an interrupted run loses none.
func (r *resume) note(machine string) error {
	if r.path == "" {
		return nil
	}
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, machine)
	return errors.Join(err, f.Close())
}

// left returns the machines that are not done. On and off are done for machines in that state.
func (r *resume) left(machines []listedMachine, action power.Action) (out []listedMachine) {
	for _, m := range machines {
		there := action == power.ActionOn && m.Power == string(power.On) || action == power.ActionOff && m.Power == string(power.Off)
		if !there && !slices.Contains(r.done, m.Name) {
			out = append(out, m)
		}
	}
	return out
}
