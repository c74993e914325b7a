package monitor_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/monitor"
)

// site is many BMCs that take half a second to answer; some are broken.
type site struct {
	mu       sync.Mutex
	asked    map[string][]time.Time
	broken   map[string]bool
	on       map[string]bool
	inFlight int
	most     int
}

func (s *site) kind() power.Kind {
	return power.Kind{
		Name: "fake", Params: []power.Param{{Name: "power_address"}},
		Open: func(_ context.Context, p power.Params) (power.Driver, error) {
			return siteDriver{s, p["power_address"]}, nil
		},
	}
}

type siteDriver struct {
	*site
	name string
}

func (d siteDriver) PowerState(context.Context) (power.State, error) {
	d.mu.Lock()
	d.asked[d.name] = append(d.asked[d.name], time.Now())
	d.inFlight++
	d.most = max(d.most, d.inFlight)
	d.mu.Unlock()
	time.Sleep(500 * time.Millisecond)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inFlight--
	if d.broken[d.name] {
		return power.Unknown, power.Errorf(power.Connection, "read", "no answer")
	}
	if d.on[d.name] {
		return power.On, nil
	}
	return power.Off, nil
}

func (siteDriver) SetPower(context.Context, power.State) error { return nil }

func newSite() *site {
	return &site{asked: map[string][]time.Time{}, broken: map[string]bool{}, on: map[string]bool{}}
}

func (s *site) targets(n int) []power.Target {
	var out []power.Target
	for i := range n {
		name := fmt.Sprintf("bmc-%d", i)
		out = append(out, power.Target{Kind: "fake", Name: name, Params: power.Params{"power_address": name}})
	}
	return out
}

// start runs a monitor; stop ends it and returns what it told.
func (s *site) start(t *testing.T) (m *monitor.Monitor, told func() map[string][]monitor.Observation) {
	t.Helper()
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(s.kind())})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string][]monitor.Observation{}
	m, err = monitor.New(monitor.Config{Asker: c, Changed: func(_ context.Context, o monitor.Observation) {
		mu.Lock()
		defer mu.Unlock()
		seen[o.Name] = append(seen[o.Name], o)
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return m, func() map[string][]monitor.Observation {
		mu.Lock()
		defer mu.Unlock()
		out := map[string][]monitor.Observation{}
		for k, v := range seen {
			out[k] = append(out[k], v...)
		}
		return out
	}
}

// 5,000 BMCs are covered every 5 minutes, evenly, with few at a time; changes are told once.
func TestMonitorCoversManyEvenly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, rounds = 5000, 3
		s := newSite()
		m, told := s.start(t)
		began := time.Now()
		if err := m.Update(s.targets(n)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(rounds * 5 * time.Minute)
		synctest.Wait()
		perSecond := map[int]int{}
		s.mu.Lock()
		for name, times := range s.asked {
			if len(times) < rounds || len(times) > rounds+1 {
				t.Errorf("%s was asked %d times in %d periods", name, len(times), rounds)
			}
			for _, at := range times {
				perSecond[int(at.Sub(began).Seconds())]++
			}
		}
		if len(s.asked) != n || s.most > 16 {
			t.Errorf("%d asked, %d at a time; want %d and at most 16", len(s.asked), s.most, n)
		}
		s.mu.Unlock()
		for second, k := range perSecond {
			if k > 40 { // the mean is 16.7
				t.Errorf("%d questions in second %d", k, second)
			}
		}
		for name, os := range told() {
			if len(os) != 1 || os[0].State != power.Off {
				t.Errorf("%s: told %v", name, os)
			}
		}
	})
}

func TestMonitorTellsChangesAndBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		m, told := s.start(t)
		s.broken["bmc-0"] = true
		if err := m.Update(s.targets(3)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Minute)
		s.mu.Lock()
		s.on["bmc-1"] = true
		s.mu.Unlock()
		time.Sleep(54 * time.Minute)
		m.Update(s.targets(2)) // bmc-2 goes
		s.mu.Lock()
		failing, gone := len(s.asked["bmc-0"]), len(s.asked["bmc-2"])
		s.broken["bmc-0"] = false
		s.mu.Unlock()
		if failing > 5 {
			t.Errorf("a BMC that fails was asked %d times in an hour", failing)
		}
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		seen := told()
		if len(seen["bmc-1"]) != 2 || seen["bmc-1"][1].State != power.On {
			t.Errorf("bmc-1: %v", seen["bmc-1"])
		}
		if os := seen["bmc-0"]; len(os) != 2 || power.ClassOf(os[0].Err) != power.Connection || os[1].State != power.Off {
			t.Errorf("bmc-0: %v", os)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.asked["bmc-2"]) != gone {
			t.Error("a machine that is gone is still asked")
		}
	})
}

// Target.Name is the key: a monitor that took two targets of one name would never ask one of them.
func TestMonitorRefusesTargetsWithoutNamesOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		m, told := s.start(t)
		if err := m.Update(s.targets(2)); err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			targets []power.Target
			want    string
		}{
			"twice":   {append(s.targets(3), s.targets(1)...), `two targets to watch are named "bmc-0"`},
			"no name": {append(s.targets(3), power.Target{Kind: "fake"}), "target 4 of 4 to watch has no name"},
		} {
			if err := m.Update(tt.targets); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: %v, want %q", name, err, tt.want)
			}
		}
		time.Sleep(10 * time.Minute)
		seen := told()
		if len(seen["bmc-0"]) == 0 || len(seen["bmc-1"]) == 0 || len(seen) != 2 {
			t.Errorf("a refused update changed what is watched: %v", seen)
		}
	})
}
