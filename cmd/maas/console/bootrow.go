package console

import (
	"time"

	"github.com/gomaas/maas/cmd/maas/guide"
	"github.com/gomaas/maas/pxe"
)

// bootRow is a boot as lists show it.
type bootRow struct {
	ID        string
	Name      string // of the machine, or its link address
	System    string // its system ID; "" = no machine has the address
	MAC       string
	Method    string
	State     string
	Diagnosis string
	Guide     string // section of the guides about why it stopped; "" = it did not
	Start     time.Time
	Took      string
	Bytes     string
	Rate      string // of the last transfer; "" = none
	Stages    []stageCell
	Stage     string // that was reached
	Path      string // of the page about it
}

// stageCell is one stage on the bar of a boot.
type stageCell struct {
	Name  string
	State string // "done", "now", "failed", or "" = not reached
	Bytes int64
	X     int
}

// barStages are the stages on the bar of a boot, in their order.
var barStages = []pxe.Stage{pxe.StageOffer, pxe.StageLoader, pxe.StageConfig, pxe.StageKernel, pxe.StageInitrd, pxe.StageRunning}

// stageWidth is the width of a stage on the bar.
const stageWidth = 26

// rowOf arranges a boot.
func rowOf(v view, e bootEntry, at time.Time) bootRow {
	row := bootRow{
		ID: e.id, Name: e.MAC.String(), MAC: e.MAC.String(), Method: e.Method, Diagnosis: e.Diagnosis(at), Start: e.Start,
		Took: took(e.Last.Sub(e.Start)), Bytes: size(e.Bytes), Path: "/boots?q=" + e.MAC.String(),
	}
	if m := v.machineOf(e.MAC); m != nil {
		row.Name, row.System, row.Path = m.Hostname, m.SystemID, "/machines/"+m.SystemID+"#boots"
	}
	row.Guide = guide.OfBoot(e.Cause(at))
	row.State = stateOf(e.Attempt, row.Diagnosis)
	row.Stages, row.Stage = stagesOf(e.Attempt, row.State)
	row.Rate = rateOf(e.Attempt)
	return row
}

// stagesOf fills the bar of a boot. What comes before the last stage that was reached is done: a
// loader may skip stages, as iPXE in firmware does.
func stagesOf(a pxe.Attempt, state string) (cells []stageCell, reached string) {
	bytes, last := map[pxe.Stage]int64{}, -1
	for _, s := range a.Steps {
		bytes[s.Stage] += s.Bytes
		for i, stage := range barStages {
			if s.Stage == stage && i > last {
				last = i
			}
		}
	}
	if a.Running || a.Configured {
		last = len(barStages) - 1
	}
	for i, stage := range barStages {
		cell := stageCell{Name: string(stage), Bytes: bytes[stage], X: i * stageWidth}
		switch {
		case i < last || i == last && state == bootRunning:
			cell.State = "done"
		case i == last && state == bootFailed:
			cell.State = "failed"
		case i == last:
			cell.State = "now"
		}
		cells = append(cells, cell)
	}
	if last >= 0 {
		reached = string(barStages[last])
	}
	return cells, reached
}

// rateOf returns the rate of the largest of the last transfers.
func rateOf(a pxe.Attempt) string {
	for i := len(a.Steps) - 1; i >= 0; i-- {
		s := a.Steps[i]
		if s.Bytes > 64<<10 && s.Duration > 0 {
			return size(int64(float64(s.Bytes)/s.Duration.Seconds())) + "/s"
		}
	}
	return ""
}
