package pxe

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/gomaas/maas/pxe/bootlog"
)

// Attempt is one boot of one machine: what it was offered and fetched, in order. It is plain data
// made of events by Next, so that it can be kept, sent and replayed.
type Attempt struct {
	MAC     net.HardwareAddr `json:"mac,omitempty"`
	Method  string           `json:"method,omitempty"`  // of the first step that has one
	Profile string           `json:"profile,omitempty"` // of the last configuration
	Start   time.Time        `json:"start"`             // when the first step began
	Last    time.Time        `json:"last"`              // when the last step ended
	Bytes   int64            `json:"bytes"`             // of all steps
	Running bool             `json:"running"`           // the system reported
	// Configured says that the system reported that its configuration is complete.
	Configured bool   `json:"configured,omitempty"`
	Steps      []Step `json:"steps"`
	// Log holds the last lines that the machine logged, at most 4 KiB, and Logged the time of the
	// last one.
	Log    []string  `json:"log,omitempty"`
	Logged time.Time `json:"logged,omitzero"`
	// Fault is the most telling one of the lines logged since the last step: what a machine asks for
	// after a fault shows that it went on.
	Fault bootlog.Fault `json:"fault,omitzero"`
}

// Step is one file of an attempt, with all the times it was asked for in a row.
type Step struct {
	Stage       Stage         `json:"stage"`
	Path        string        `json:"path"`
	Proto       string        `json:"proto"`
	Method      string        `json:"method,omitempty"`
	Start       time.Time     `json:"start"` // when the first request began
	End         time.Time     `json:"end"`   // when the last request ended
	Duration    time.Duration `json:"duration"`
	Tries       int           `json:"tries"` // size probes are not counted
	Size        int64         `json:"size"`
	Bytes       int64         `json:"bytes"` // of the last try
	BlockSize   int           `json:"block_size,omitempty"`
	WindowSize  int           `json:"window_size,omitempty"`
	Retransmits int           `json:"retransmits,omitempty"`
	Signed      string        `json:"signed,omitempty"`
	Absent      bool          `json:"absent,omitempty"`
	Err         string        `json:"err,omitempty"` // of the last try
}

const (
	// maxSteps bounds an attempt: a machine in a loop fetches the same few files for ever.
	maxSteps = 200
	// idleAttempt is the silence after which the next request begins another boot.
	idleAttempt = 10 * time.Minute
	// maxLate bounds by how much a request that is reported after a step may have begun before it.
	// A larger difference comes from the clocks of two racks.
	maxLate = time.Minute
)

// Next returns the attempt after e: a with a step more or a step changed, or a new one when e
// begins another boot. The zero Attempt is the start of all. The steps of a are not changed. Events
// are reported when their requests end, so one may arrive after events of requests that began
// later: its step takes its place among them by the time at which it began.
func (a Attempt) Next(e Event) Attempt {
	if e.Stage == StageLog {
		return a.logged(e)
	}
	if a.ends(e) {
		a = Attempt{}
	}
	began := e.Time.Add(-e.Duration)
	if len(a.Steps) == 0 {
		a = Attempt{MAC: e.MAC, Start: began}
	}
	a.Steps = slices.Clone(a.Steps)
	a.step(e, began).add(e)
	if began.After(a.Logged) {
		a.Fault = bootlog.Fault{}
	}
	if e.Time.After(a.Last) {
		a.Last = e.Time
	}
	a.Bytes += e.Bytes
	a.Configured = a.Configured || e.Stage == StageConfigured
	a.Running = a.Running || a.Configured || e.Stage == StageRunning
	if a.Method == "" {
		a.Method = e.Method
	}
	if e.Profile != "" {
		a.Profile = e.Profile
	}
	return a
}

// logged returns the attempt after lines of its machine. What is logged before the first step, or
// long after the boot, belongs to none.
func (a Attempt) logged(e Event) Attempt {
	if len(a.Steps) == 0 || e.Time.Before(a.Start) || a.Running && e.Time.Sub(a.Last) > idleAttempt {
		return a
	}
	a.Log = bootlog.Tail(append(slices.Clip(a.Log), e.Log...))
	if e.Time.After(a.Logged) {
		a.Logged = e.Time
	}
	for _, line := range e.Log {
		if a.Fault.MendedBy(line) {
			a.Fault = bootlog.Fault{}
		}
		if f, ok := bootlog.FaultOf(line); ok && f.Outranks(a.Fault) {
			a.Fault = f
		}
	}
	return a
}

// step returns the step that e is part of, a new one if it repeats none.
func (a *Attempt) step(e Event, began time.Time) *Step {
	at := len(a.Steps)
	for at > 0 && a.Steps[at-1].follows(began) {
		at--
	}
	if at > 0 && a.Steps[at-1].repeats(e) {
		return &a.Steps[at-1]
	}
	if len(a.Steps) >= maxSteps {
		a.Steps = slices.Delete(a.Steps, 1, 2)
		if at > 1 {
			at--
		}
	}
	s := Step{Stage: e.Stage, Path: e.Path, Proto: e.Proto, Method: e.Method, Start: began, Size: -1}
	a.Steps = slices.Insert(a.Steps, at, s)
	return &a.Steps[at]
}

// follows reports whether the step began after a request that began at the time and is reported
// only now.
func (s Step) follows(began time.Time) bool {
	late := s.Start.Sub(began)
	return late > 0 && late <= maxLate
}

// ends reports whether e belongs to a later boot. Firmware repeats its DHCP dialog, and each loader
// may have one of its own, so an offer begins a boot only when the same was offered before and
// taken up. A request that began before a step cannot belong to a boot after it, however late it is
// reported: the end of a loader's transfer waits for an acknowledgement that many loaders never
// send.
func (a Attempt) ends(e Event) bool {
	if len(a.Steps) == 0 {
		return false
	}
	if e.Time.Sub(a.Last) > idleAttempt && !e.Stage.ofSystem() {
		return true
	}
	began := e.Time.Add(-e.Duration)
	before := func(stages ...Stage) bool { // a step of one of them began before e
		return slices.ContainsFunc(a.Steps, func(s Step) bool { return slices.Contains(stages, s.Stage) && !s.follows(began) })
	}
	switch e.Stage {
	case StageOffer:
		i := slices.IndexFunc(a.Steps, func(s Step) bool { return s.Stage == StageOffer && s.Method == e.Method })
		return before(StageRunning, StageMetadata, StageConfigured) ||
			i >= 0 && slices.ContainsFunc(a.Steps[i:], func(s Step) bool { return s.Stage != StageOffer && !s.follows(began) })
	case StageLoader:
		return a.Steps[0].Stage != StageOffer && before(StageRunning, StageMetadata, StageConfigured, StageKernel)
	}
	return false
}

// ofSystem reports whether the started system causes the events of a stage: an installation may
// take an hour before the next one.
func (s Stage) ofSystem() bool {
	return s == StageRunning || s == StageMetadata || s == StageConfigured
}

// repeats reports whether e asks for the same once more.
func (s Step) repeats(e Event) bool {
	return s.Stage == e.Stage && s.Path == e.Path && s.Proto == e.Proto && s.Method == e.Method
}

func (s *Step) add(e Event) {
	if !e.Probe {
		s.Tries++
		s.Bytes = e.Bytes
	}
	if e.BlockSize > 0 {
		s.BlockSize, s.WindowSize = e.BlockSize, e.WindowSize
	}
	if e.Time.After(s.End) {
		s.End, s.Duration = e.Time, e.Time.Sub(s.Start)
	}
	if e.Signed != "" {
		s.Signed = e.Signed
	}
	s.Size = e.Size
	s.Retransmits += e.Retransmits
	s.Absent, s.Err = e.Absent, e.Err
}

// Notes returns the unusual facts of a step, as a person reads them; "" = there are none.
func (s Step) Notes() string {
	var out []string
	note := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if s.Signed != "" {
		note("%s", s.Signed)
	}
	if s.Absent {
		note("there is none")
	}
	if s.Tries > 1 {
		note("%d times", s.Tries)
	}
	if s.BlockSize > 0 {
		note("blocks of %d, window %d", s.BlockSize, max(s.WindowSize, 1))
	}
	if s.Retransmits > 0 {
		note("%d retransmissions", s.Retransmits)
	}
	if s.Err != "" {
		note("%s", s.Err)
	}
	return strings.Join(out, ", ")
}
