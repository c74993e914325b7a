package try

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A summary has the percentiles of the machines that ended a stage, and the stage of those that did
// not boot.
func TestSummary(t *testing.T) {
	var results []result
	for i := range 100 {
		m := &machine{name: fmt.Sprint("node-", i)}
		m.clock.reach("kernel", true) // before it is switched on, which does not count
		m.clock.begin()
		m.clock.reach("power", true)
		m.clock.at["power"] = time.Duration(i+1) * 10 * time.Millisecond
		r := result{machine: m}
		if i == 7 {
			m.clock.reach("initrd", false)
			r.err = errors.New("no answer")
		} else {
			m.clock.at["kernel"] = time.Second
		}
		results = append(results, r)
	}
	s := summarize(results, 3*time.Second)
	want := []StageTimes{{"power", 100, 0.5, 0.9, 0.99, 1}, {"kernel", 99, 1, 1, 1, 1}}
	if diff := cmp.Diff(want, s.Stages); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Failure{{"node-7", "initrd", "no answer"}}, s.Failures); diff != "" || s.Booted != 99 || s.Memory < 1<<20 {
		t.Errorf("booted %d, memory %d (-want +got):\n%s", s.Booted, s.Memory, diff)
	}
	var table, text bytes.Buffer
	s.write(&table, results)
	for _, line := range []string{"no, ended at initrd: no answer", "99 of 100 machines booted. It took 3.0 s"} {
		if !strings.Contains(table.String(), line) {
			t.Errorf("no %q in\n%s", line, &table)
		}
	}
	var again Summary
	if err := s.writeJSON(&text); err != nil || json.Unmarshal(text.Bytes(), &again) != nil || again.Machines != 100 {
		t.Errorf("%v: %s", err, &text)
	}
}
