package try

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/pxe/boottest"
)

// Summary is the outcome of a demonstration. Times are in seconds since a machine was switched on.
type Summary struct {
	Machines int       `json:"machines"`
	Booted   int       `json:"booted"`
	Failures []Failure `json:"failures"`
	// Stages are the times at which machines ended a stage, in its order.
	Stages []StageTimes `json:"stages"`
	// Seconds is the time from the first power-on to the last end, CPU the processor time of this
	// process, and Memory the most that it took of the host, in bytes.
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_seconds"`
	Memory  int64   `json:"memory"`
	// Endurance has the outcome of the load that followed; nil means there was none.
	Endurance *Endurance `json:"endurance,omitempty"`
}

// Failure is a machine that did not boot, and the stage that it was in.
type Failure struct {
	Machine string `json:"machine"`
	Stage   string `json:"stage"`
	Why     string `json:"why"`
}

// StageTimes are percentiles over the machines that reached the end of a stage.
type StageTimes struct {
	Stage    string  `json:"stage"`
	Machines int     `json:"machines"`
	P50      float64 `json:"p50"`
	P90      float64 `json:"p90"`
	P99      float64 `json:"p99"`
	Max      float64 `json:"max"`
}

// stages are the stages of a boot in their order; the demonstration adds the first and the last.
var stages = []string{
	"power", string(boottest.StageDHCP), string(boottest.StageLoader), string(boottest.StageConfig), string(boottest.StageKernel),
	string(boottest.StageInitrd), string(boottest.StageSystem), string(boottest.StageDone), "name",
}

// clock holds the times of one machine's stages. Its methods may be called concurrently.
type clock struct {
	mu    sync.Mutex // guards the fields below
	began time.Time
	at    map[string]time.Duration // the last end of a stage
	last  string                   // stage that ended last, or is under way
}

// begin starts the clock.
func (c *clock) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began, c.at, c.last = time.Now(), make(map[string]time.Duration), "power"
}

// reach records that a stage is under way, or has ended.
func (c *clock) reach(stage string, ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began.IsZero() {
		return // the firmware says something before it is switched on
	}
	if c.last = stage; ended {
		c.at[stage] = time.Since(c.began)
	}
}

// stage returns the last stage.
func (c *clock) stage() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

// summarize returns the summary of boots that took a time together.
func summarize(results []result, took time.Duration) Summary {
	s := Summary{Machines: len(results), Failures: []Failure{}, Stages: []StageTimes{}, Seconds: took.Seconds()}
	for _, r := range results {
		if r.err == nil {
			s.Booted++
		} else {
			s.Failures = append(s.Failures, Failure{r.machine.name, r.machine.clock.stage(), r.err.Error()})
		}
	}
	for _, stage := range stages {
		var times []time.Duration
		for _, r := range results {
			if at, ended := r.machine.clock.at[stage]; ended {
				times = append(times, at)
			}
		}
		if len(times) > 0 {
			slices.Sort(times)
			s.Stages = append(s.Stages, StageTimes{
				stage, len(times), percentile(times, 50), percentile(times, 90), percentile(times, 99), percentile(times, 100),
			})
		}
	}
	var use unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &use) == nil {
		s.CPU = time.Duration(use.Utime.Nano() + use.Stime.Nano()).Seconds()
		s.Memory = int64(use.Maxrss)
		if runtime.GOOS == "linux" {
			s.Memory *= 1024 // getrusage(2): kilobytes
		}
	}
	return s
}

// percentile returns a percentile of sorted times in seconds, by the nearest rank.
func percentile(sorted []time.Duration, percent int) float64 {
	n := (len(sorted)*percent + 99) / 100
	return sorted[max(n, 1)-1].Seconds()
}

// fewMachines is the largest number of machines that a table shows one by one.
const fewMachines = 20

// write prints the machines, or of many the failed ones, then the times of the stages.
func (s Summary) write(w io.Writer, results []result) {
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(results) <= fewMachines || len(s.Failures) > 0 {
		fmt.Fprintln(tw, "MACHINE\tFIRMWARE\tBMC\tADDRESS\tLOADED\tTIME\tRUNS")
	}
	for _, r := range results {
		runs, addresses := "Linux", strings.Join(r.listed.IPAddresses, ",")
		if r.err != nil {
			runs = fmt.Sprintf("no, ended at %s: %v", r.machine.clock.stage(), r.err)
		} else if len(results) > fewMachines {
			continue
		}
		var loaded int64
		if r.report != nil {
			for _, f := range r.report.Fetches {
				loaded += f.Bytes
			}
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%.2f s\t%s\n",
			r.machine.name, r.machine.firmware.Name, r.machine.bmcKind, addresses, size(loaded), r.took.Seconds(), runs)
	}
	if len(results) > fewMachines {
		fmt.Fprintln(tw, "STAGE\tMACHINES\tP50\tP90\tP99\tMAX")
		for _, t := range s.Stages {
			fmt.Fprintf(tw, "%s\t%d\t%.2f s\t%.2f s\t%.2f s\t%.2f s\n", t.Stage, t.Machines, t.P50, t.P90, t.P99, t.Max)
		}
	}
	_ = tw.Flush()
	fmt.Fprintf(w, "\n%d of %d machines booted.", s.Booted, s.Machines)
	if len(results) > fewMachines {
		fmt.Fprintf(w, " It took %.1f s, %.1f s of processor time and %s of memory.", s.Seconds, s.CPU, size(s.Memory))
	}
	fmt.Fprintln(w)
}

// writeJSON prints the summary alone.
func (s Summary) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(s)
}
