package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
)

func listed(name, zone, state string, tags ...string) listedMachine {
	m := listedMachine{Name: name, Power: state, Tags: tags}
	m.Zone.Name = zone
	return m
}

// No wave exceeds a limit, and every machine is in one.
func TestWaves(t *testing.T) {
	var machines []listedMachine
	for i := range 40 {
		machines = append(machines, listed(fmt.Sprintf("m%02d", i), fmt.Sprintf("zone-%d", i%3), "off", fmt.Sprintf("pdu-%d", i%5), fmt.Sprintf("watts-%d", 100+i*10)))
	}
	for name, tt := range map[string]struct {
		limits limits
		waves  int // at least
	}{
		"no limit": {limits{Machine: 500}, 1}, "per zone": {limits{PerZone: 2, Machine: 500}, 7}, "per PDU": {limits{PerPDU: 3, Machine: 500}, 3},
		"watts": {limits{Watts: 1000, Machine: 500}, 4}, "all": {limits{PerZone: 4, PerPDU: 2, Watts: 900, Machine: 500}, 4},
		"too little": {limits{Watts: 50, Machine: 500}, 14},
	} {
		waves := tt.limits.waves(machines)
		count := 0
		for _, wave := range waves {
			zones, pdus, watts := map[string]int{}, map[string]int{}, map[string]int{}
			for _, m := range wave {
				count++
				zones[m.Zone.Name]++
				pdus[m.Tags[0]]++
				for _, group := range []string{m.Zone.Name, m.Tags[0]} {
					if watts[group] += m.watts(500); tt.limits.Watts > 0 && watts[group] > tt.limits.Watts && watts[group] != m.watts(500) {
						t.Errorf("%s: %s has %d W in a wave", name, group, watts[group])
					}
				}
				if tt.limits.PerZone > 0 && zones[m.Zone.Name] > tt.limits.PerZone || tt.limits.PerPDU > 0 && pdus[m.Tags[0]] > tt.limits.PerPDU {
					t.Errorf("%s: %s and %s exceed the limits in %v", name, m.Zone.Name, m.Tags[0], wave)
				}
			}
		}
		if count != len(machines) || len(waves) < tt.waves || tt.waves == 1 && len(waves) != 1 {
			t.Errorf("%s: %d machines in %d waves", name, count, len(waves))
		}
	}
	plug := listedMachine{Type: "raritan", address: "192.0.2.9", Tags: []string{"pdu-b"}}
	if got := plug.pdus(); !slices.Equal(got, []string{"192.0.2.9", "pdu-b"}) {
		t.Errorf("PDUs %q", got)
	}
}

// A run that fails in part is finished by the next one, which touches no machine twice.
func TestResume(t *testing.T) {
	machines := []listedMachine{listed("a", "z", "off"), listed("b", "z", "on"), listed("c", "z", "off"), listed("d", "z", "off")}
	path := filepath.Join(t.TempDir(), "done")
	var mu sync.Mutex
	asked, broken := map[string]int{}, true
	var progress bytes.Buffer
	run := func(action power.Action) []switched {
		t.Helper()
		earlier, err := openResume(path)
		if err != nil {
			t.Fatal(err)
		}
		f := fleet{limits: limits{Parallel: 2, PerZone: 2, Machine: 500, Pause: time.Microsecond}, action: action, done: earlier.note, out: &progress,
			power: func(_ context.Context, machine string) (power.State, error) {
				mu.Lock()
				defer mu.Unlock()
				asked[machine]++
				if machine == "c" && broken {
					return power.Unknown, errors.New("no answer")
				}
				return power.On, nil
			}}
		all, err := f.run(t.Context(), f.waves(earlier.left(machines, action)))
		if err != nil {
			t.Error(err)
		}
		return all
	}
	if all := run(power.ActionCycle); failures(all) != 1 || len(all) != 4 {
		t.Errorf("first run: %+v", all)
	}
	broken = false
	if all := run(power.ActionCycle); failures(all) != 0 || len(all) != 1 || all[0].Machine != "c" {
		t.Errorf("second run: %+v", all)
	}
	if asked["a"] != 1 || asked["c"] != 2 || !strings.Contains(progress.String(), "4/4, 1 failed, wave 2 of 2") {
		t.Errorf("asked %v; progress %q", asked, progress.String())
	}
	none := &resume{}
	if left := none.left(machines, power.ActionOn); len(left) != 3 {
		t.Errorf("machines that are on are switched on: %v", left)
	}
}
