package console

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/gomaas/maas/cmd/maas/guide"
	"github.com/gomaas/maas/ipam"
	"github.com/gomaas/maas/pxe"
)

// waterfall is one boot drawn as bars over time.
type waterfall struct {
	Start     time.Time
	MAC       string
	Method    string
	Profile   string
	State     string
	Diagnosis string
	Guide     string // see bootRow.Guide
	Total     string
	Height    int
	Ticks     []tick
	Steps     []fallStep
	Log       []string // the last lines that the machine logged
}

// tick is a mark on the axis of time.
type tick struct {
	X    float64
	Text string
}

// fallStep is one step of a boot.
type fallStep struct {
	Stage, Path, Proto string
	Short              string // the end of Path
	At, Took, Bytes    string
	Notes              string
	Class              string
	X, W               float64
	Y                  int
}

// Measures of the drawing.
const (
	fallLeft  = 230.0 // room for names
	fallWidth = 650.0
	fallRow   = 22
	fallTop   = 26
	// maxFall bounds the steps of a drawing: a machine in a loop has hundreds.
	maxFall = 60
)

// waterfallOf draws a boot.
func waterfallOf(a pxe.Attempt, at time.Time) waterfall {
	out := waterfall{
		Start: a.Start, MAC: a.MAC.String(), Method: a.Method, Profile: a.Profile, Diagnosis: a.Diagnosis(at), Total: took(a.Last.Sub(a.Start)),
		Log: a.Log, Guide: guide.OfBoot(a.Cause(at)),
	}
	out.State = stateOf(a, out.Diagnosis)
	whole := max(a.Last.Sub(a.Start), 100*time.Millisecond)
	x := func(t time.Time) float64 {
		return fallWidth * min(1, max(0, float64(t.Sub(a.Start))/float64(whole)))
	}
	steps := a.Steps
	if len(steps) > maxFall {
		steps = steps[len(steps)-maxFall:]
	}
	for i, s := range steps {
		f := fallStep{
			Stage: string(s.Stage), Path: cmp.Or(s.Path, "an address"), Proto: s.Proto, At: took(s.Start.Sub(a.Start)), Took: took(s.Duration), Bytes: size(s.Bytes),
			Notes: s.Notes(), Class: "f-" + string(s.Stage), X: fallLeft + x(s.Start), Y: fallTop + i*fallRow,
		}
		f.Short = path.Base(f.Path)
		if len(f.Short) > 26 {
			f.Short = f.Short[:25] + "…"
		}
		f.W = max(3, x(s.End)-x(s.Start))
		if s.Err != "" {
			f.Class = "f-failed"
		} else if s.Absent {
			f.Class = "f-absent"
		}
		out.Steps = append(out.Steps, f)
	}
	out.Height = fallTop + len(steps)*fallRow + 4
	for i := range 5 {
		part := float64(i) / 4
		out.Ticks = append(out.Ticks, tick{fallLeft + part*fallWidth, fmt.Sprintf("%.1f s", part*whole.Seconds())})
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// subnet returns a subnet by ID; nil = there is none.
func (v view) subnet(id int64) *ipam.Subnet {
	for i := range v.Subnets {
		if v.Subnets[i].ID == id {
			return &v.Subnets[i]
		}
	}
	return nil
}
