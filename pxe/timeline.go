package pxe

import (
	"net"
	"slices"
	"time"
)

// Attempt is one boot of one machine: what it was offered and fetched, in
// order. It is plain data made of events by Next, so that it can be kept, sent
// and replayed.
type Attempt struct {
	MAC     net.HardwareAddr `json:"mac,omitempty"`
	Method  string           `json:"method,omitempty"`  // of the first step that told
	Profile string           `json:"profile,omitempty"` // of the last configuration
	Start   time.Time        `json:"start"`             // when the first step began
	Last    time.Time        `json:"last"`              // when the last step ended
	Bytes   int64            `json:"bytes"`             // of all steps
	Running bool             `json:"running"`           // the system reported
	Steps   []Step           `json:"steps"`
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
	Absent      bool          `json:"absent,omitempty"`
	Err         string        `json:"err,omitempty"` // of the last try
}

const (
	// maxSteps bounds an attempt: a machine in a loop fetches the same few
	// files for ever.
	maxSteps = 200
	// idleAttempt is the silence after which a machine that comes back is
	// booting anew.
	idleAttempt = 10 * time.Minute
)

// Next returns the attempt after e: a with a step more or a step changed, or a
// new one when e begins another boot. The zero Attempt is the start of all. The
// steps of a are not changed.
func (a Attempt) Next(e Event) Attempt {
	if a.ends(e) {
		a = Attempt{}
	}
	began := e.Time.Add(-e.Duration)
	if len(a.Steps) == 0 {
		a = Attempt{MAC: e.MAC, Start: began}
	}
	a.Steps = slices.Clone(a.Steps)
	if i := len(a.Steps) - 1; i < 0 || !a.Steps[i].repeats(e) {
		if len(a.Steps) >= maxSteps {
			a.Steps = slices.Delete(a.Steps, 1, 2)
		}
		a.Steps = append(a.Steps, Step{Stage: e.Stage, Path: e.Path, Proto: e.Proto, Method: e.Method, Start: began, Size: -1})
	}
	a.Steps[len(a.Steps)-1].add(e)
	a.Last = e.Time
	a.Bytes += e.Bytes
	a.Running = a.Running || e.Stage == StageRunning
	if a.Method == "" {
		a.Method = e.Method
	}
	if e.Profile != "" {
		a.Profile = e.Profile
	}
	return a
}

// ends reports whether e belongs to a later boot. Firmware repeats its DHCP
// dialogue, and each loader may have one of its own, so an offer begins a boot
// only when the same was offered before and taken up.
func (a Attempt) ends(e Event) bool {
	if len(a.Steps) == 0 {
		return false
	}
	if e.Time.Sub(a.Last) > idleAttempt && e.Stage != StageRunning {
		return true
	}
	switch e.Stage {
	case StageOffer:
		i := slices.IndexFunc(a.Steps, func(s Step) bool { return s.Stage == StageOffer && s.Method == e.Method })
		return a.Running || i >= 0 && slices.ContainsFunc(a.Steps[i:], func(s Step) bool { return s.Stage != StageOffer })
	case StageLoader:
		return a.Steps[0].Stage != StageOffer && (a.Running || a.reached(StageKernel))
	}
	return false
}

func (a Attempt) reached(stages ...Stage) bool {
	return slices.ContainsFunc(a.Steps, func(s Step) bool { return slices.Contains(stages, s.Stage) })
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
	s.End, s.Duration = e.Time, e.Time.Sub(s.Start)
	s.Size = e.Size
	s.Retransmits += e.Retransmits
	s.Absent, s.Err = e.Absent, e.Err
}
