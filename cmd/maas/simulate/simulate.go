package simulate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"strings"
	"testing/synctest"
	"time"
)

// Options say what is simulated. The zero value is the story of seed 0, for two hours.
type Options struct {
	Seed uint64
	// For bounds the length of the story in virtual time; 0 = two hours.
	For time.Duration
	// Story replaces the story of the seed. If nil, it is Story(Seed, For).
	Story []Step
	// Log receives the messages of the simulated racks and regions. If nil, they are discarded.
	Log slog.Handler

	plant fault
}

// fault is one that tests plant, to see whether it is found.
type fault string

const (
	plantNothing fault = ""
	lyingDisk    fault = "a disk that acknowledges leases and forgets them"
	loosePartner fault = "partners that never hear of each other"
	lostWrites   fault = "an API that acknowledges what it does not do"
)

// A Violation is an invariant that did not hold.
type Violation struct {
	Invariant string
	What      string
	At        time.Duration // of virtual time
}

// Result holds the outcome of a run.
type Result struct {
	Seed       uint64
	Story      []Step
	Virtual    time.Duration // simulated
	Took       time.Duration // on the wall clock
	History    []string
	Hash       string // of History: equal seeds have equal hashes
	Boots      int    // machines that were started, and ran a system
	Writes     int    // of operators, acknowledged
	Violations []Violation
}

// Run simulates one site. It ends early at the first violation.
func Run(opts Options) (*Result, error) {
	if opts.For == 0 {
		opts.For = 2 * time.Hour
	}
	if opts.Story == nil {
		opts.Story = Story(opts.Seed, opts.For)
	}
	dir, err := os.MkdirTemp(memoryDir(), "maas-simulate-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	result := &Result{Seed: opts.Seed, Story: opts.Story}
	began := time.Now()
	inBubble(func() { err = run(dir, opts, result) })
	result.Took = time.Since(began)
	return result, err
}

// memoryDir is a directory whose files are in memory; "" = the system's for temporary files. What a
// simulated crash leaves is decided by the simulation, so nothing has to survive a real one.
func memoryDir() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return ""
}

func run(dir string, opts Options, result *Result) error {
	s, err := newSite(context.Background(), dir, opts)
	if err != nil {
		return err
	}
	for range 6 {
		s.addHost()
	}
	s.play(opts.Story)
	if !s.failed() {
		s.settle()
	}
	if !s.failed() {
		s.outage()
	}
	s.end()
	synctest.Wait()
	result.Virtual, result.History, result.Violations, result.Writes = time.Since(s.began), s.text(), s.violations, s.books.writes
	result.Boots = int(s.boots.Load())
	sum := sha256.Sum256([]byte(strings.Join(result.History, "\n")))
	result.Hash = hex.EncodeToString(sum[:])
	return nil
}

// play runs a story.
func (s *site) play(story []Step) {
	for _, step := range story {
		s.pass(step.After)
		if s.failed() {
			return
		}
		s.logf("%s %d %d", step.What, step.A, step.B)
		deeds[step.What].do(s, step.A, step.B)
	}
	s.pass(time.Minute)
}

func (s *site) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.violations) > 0
}

// look is the time between two looks at the invariants that hold at any time.
const look = 5 * time.Second

// pass lets time pass.
func (s *site) pass(d time.Duration) {
	for d > 0 && !s.failed() {
		step := min(d, look)
		time.Sleep(step)
		d -= step
		synctest.Wait()
		s.spare()
		s.always()
	}
}
