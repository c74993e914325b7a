package try

import (
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gomaas/maas/pxe/boottest"
)

// maxBars is the largest number of machines that a terminal shows as bars; more are shown as lines.
const maxBars = 16

// maxLines is the largest number of machines whose steps are shown; of more the sums are shown.
const maxLines = 200

// show prints a timeline. Its methods may be called concurrently.
type show struct {
	out   io.Writer
	bars  bool
	sums  bool
	total int
	began time.Time

	mu    sync.Mutex // guards the fields below
	order []*machine
	state map[*machine]string // what its bar says
	drawn int                 // lines of bars on the screen
	ended int                 // machines whose boot ended
	last  time.Time           // when bars or sums were shown
}

func newShow(out io.Writer, machines int) *show {
	return &show{
		out: out, bars: isTerminal(out) && machines <= maxBars, sums: machines > maxLines, total: machines, began: time.Now(),
		state: map[*machine]string{},
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// line prints one finished step.
func (s *show) line(m *machine, stage, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintf(s.out, "%6.2fs  %-8s %-7s %s\n", time.Since(s.began).Seconds(), m.name, stage, text)
	s.draw()
}

// step prints a finished step, unless there are too many machines for that.
func (s *show) step(m *machine, stage, text string) {
	if !s.sums {
		s.line(m, stage, text)
	}
}

// progress turns what a machine does into lines, and into its bar in between.
func (s *show) progress(m *machine, p boottest.Progress) {
	if s.sums {
		return
	}
	if text := describe(p); text != "" {
		s.line(m, string(p.Stage), text)
		return
	}
	if !s.bars || p.Done {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.state[m]; !known {
		s.order = append(s.order, m)
	}
	s.state[m] = bar(p)
	if time.Since(s.last) > 50*time.Millisecond {
		s.erase()
		s.draw()
	}
}

// describe is the line about a finished step, empty for one that is not worth a line.
func describe(p boottest.Progress) string {
	switch {
	case !p.Done:
		return ""
	case p.Lease != nil:
		text := p.Lease.Addr.String()
		if p.Lease.BootFile != "" {
			text += ", boot file " + p.Lease.BootFile
		}
		return text
	case p.Fetch != nil && p.Fetch.Probe, p.Fetch != nil && p.Err != nil:
		return "" // sizes that are asked for first, and files that may be absent
	case p.Fetch != nil:
		return describeFetch(p.Fetch)
	case p.Err != nil:
		return p.What + ": " + p.Err.Error()
	case p.Stage == boottest.StageDone:
		return "runs and has reported back"
	}
	return ""
}

func describeFetch(f *boottest.Fetch) string {
	text := fmt.Sprintf("%-14s %s", path.Base(strings.SplitN(f.URL, "?", 2)[0]), size(f.Bytes))
	scheme, _, _ := strings.Cut(f.URL, "://")
	text += " by " + strings.ToUpper(scheme)
	if f.BlockSize > 0 {
		text += fmt.Sprintf(", blocks of %d", f.BlockSize)
	}
	if f.WindowSize > 1 {
		text += fmt.Sprintf(", window %d", f.WindowSize)
	}
	if f.Resent > 0 {
		text += fmt.Sprintf(", %d sent again", f.Resent)
	}
	if f.Bytes > 64<<10 {
		text += fmt.Sprintf(", %s/s", size(int64(f.Rate())))
	}
	return text
}

// size is a number of bytes in the unit that reads best.
func size(n int64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}

// barWidth is the width of a bar in characters.
const barWidth = 30

// bar draws a step in progress.
func bar(p boottest.Progress) string {
	text := fmt.Sprintf("%-7s %-14s", p.Stage, path.Base(strings.SplitN(p.What, "?", 2)[0]))
	if p.Total <= 0 {
		return text
	}
	full := min(int(int64(barWidth)*p.Bytes/p.Total), barWidth)
	return fmt.Sprintf("%s [%s%s] %3d%%", text, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*p.Bytes/p.Total)
}

// erase takes the bars off the screen, draw puts them back below what was printed in between.
func (s *show) erase() {
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
}

func (s *show) draw() {
	if !s.bars {
		return
	}
	for _, m := range s.order {
		fmt.Fprintf(s.out, "         %-8s %s\n", m.name, s.state[m])
		s.drawn++
	}
	s.last = time.Now()
}

// done takes the machine's bar away, and counts it.
func (s *show) done(r result) {
	s.mu.Lock()
	s.ended++
	if s.sums && time.Since(s.last) > time.Second {
		s.last = time.Now()
		fmt.Fprintf(s.out, "%6.1fs  %d of %d have booted or failed\n", time.Since(s.began).Seconds(), s.ended, s.total)
	}
	for i, m := range s.order {
		if m == r.machine {
			s.erase()
			s.order = append(s.order[:i], s.order[i+1:]...)
			break
		}
	}
	s.mu.Unlock()
	if r.err != nil {
		s.line(r.machine, "failed", r.err.Error())
	}
}

// end moves the cursor below the bars for the next output.
func (s *show) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
}
