package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/gomaas/maas/cmd/maas/simulate"
)

// simulateCmd is `maas simulate`.
type simulateCmd struct {
	Seed    uint64        `help:"Seed of the first site."`
	Seeds   uint64        `default:"1" help:"Number of sites, with seeds from --seed on."`
	For     time.Duration `default:"2h" help:"Length of the story of a site in simulated time, such as 30m or 720h."`
	Story   string        `help:"File with the story in place of the seed's, one step a line, as a failure prints it." type:"existingfile" placeholder:"FILE"`
	History bool          `help:"Print what happens."`
	JSON    bool          `name:"json" help:"Print a summary as JSON."`
}

// simulateSummary holds the output of --json.
type simulateSummary struct {
	Seeds      uint64               `json:"seeds"`
	Simulated  string               `json:"simulated"`
	Took       string               `json:"took"`
	Boots      int                  `json:"boots"`
	Writes     int                  `json:"writes"`
	Failed     []uint64             `json:"failed"`
	Violations []simulate.Violation `json:"violations,omitempty"`
}

// Run runs the command.
func (c simulateCmd) Run(ctx context.Context, io stdio) error {
	if c.For <= 0 || c.Seeds == 0 {
		return fmt.Errorf("--for and --seeds are at least 1s and 1")
	}
	opts := simulate.Options{For: c.For}
	if c.Story != "" {
		story, err := readStory(c.Story)
		if err != nil {
			return err
		}
		opts.Story = story
	}
	var sum simulateSummary
	var simulated, took time.Duration
	bar := progressBar{out: io.err, live: isTerminal(io.err)}
	for i := uint64(0); i < c.Seeds && ctx.Err() == nil; i++ {
		opts.Seed = c.Seed + i
		r, err := simulate.Run(opts)
		if err != nil {
			return err
		}
		if c.History {
			fmt.Fprintln(io.out, strings.Join(r.History, "\n"))
		}
		sum.Seeds, sum.Boots, sum.Writes = sum.Seeds+1, sum.Boots+r.Boots, sum.Writes+r.Writes
		simulated, took = simulated+r.Virtual, took+r.Took
		if len(r.Violations) > 0 {
			sum.Failed = append(sum.Failed, r.Seed)
			sum.Violations = append(sum.Violations, r.Violations...)
			if err := c.explain(io, opts); err != nil {
				return err
			}
		}
		if c.Seeds > 1 {
			bar.show(int(sum.Seeds), int(c.Seeds), len(sum.Failed), simulated.Round(time.Minute).String()+" simulated")
		}
	}
	if c.Seeds > 1 {
		bar.end()
	}
	sum.Simulated, sum.Took = simulated.Round(time.Second).String(), took.Round(time.Millisecond).String()
	if err := c.print(io.out, sum); err != nil {
		return err
	}
	if len(sum.Failed) > 0 {
		return fmt.Errorf("%d of %d sites broke an invariant", len(sum.Failed), sum.Seeds)
	}
	return ctx.Err()
}

func (c simulateCmd) print(w io.Writer, sum simulateSummary) error {
	if c.JSON {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(sum)
	}
	_, err := fmt.Fprintf(w, "%d sites, %s simulated in %s: %d boots, %d writes, %d sites broke an invariant\n",
		sum.Seeds, sum.Simulated, sum.Took, sum.Boots, sum.Writes, len(sum.Failed))
	return err
}

// explain prints the shortest story that still fails, and what happens in it.
func (c simulateCmd) explain(io stdio, opts simulate.Options) error {
	fmt.Fprintf(io.err, "seed %d broke an invariant; looking for a short story\n", opts.Seed)
	short, err := simulate.Shrink(opts)
	if err != nil {
		return err
	}
	out := io.out
	if c.JSON {
		out = io.err
	}
	fmt.Fprintf(out, "# seed %d; replay this by: maas simulate --seed %d --story FILE --history\n", opts.Seed, opts.Seed)
	for _, s := range short.Story {
		fmt.Fprintln(out, s)
	}
	for _, line := range short.History {
		fmt.Fprintln(out, "#", line)
	}
	return nil
}

// maxStory bounds the steps of a story in a file.
const maxStory = 100_000

// readStory reads a story. Lines that begin with # are comments.
func readStory(path string) (story []simulate.Step, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		step, err := simulate.ParseStep(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		if story = append(story, step); len(story) > maxStory {
			return nil, fmt.Errorf("%s:%d: a story has at most %d steps", path, n, maxStory)
		}
	}
	return story, lines.Err()
}
