package try

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Machines and cards of several racks and networks boot, and the summary says so.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Config{Machines: 5, BMCs: 12, Racks: 2, VLANs: 3, initrd: 1 << 20, JSON: true, Out: &out}); err != nil {
		t.Fatal(err, out.String())
	}
	var s Summary
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	ended := map[string]int{}
	for _, stage := range s.Stages {
		ended[stage.Stage] = stage.Machines
	}
	if s.Machines != 12 || s.Booted != 12 || ended["power"] != 12 || ended["kernel"] != 5 || ended["done"] != 5 || ended["name"] != 12 {
		t.Errorf("%+v", s)
	}
}

// The zero values of a configuration fit the machines, and what cannot be is refused with the flag
// to change.
func TestFill(t *testing.T) {
	for _, c := range []struct{ given, want Config }{
		{Config{Machines: 3}, Config{Machines: 3, BMCs: 3, VLANs: 1, Racks: 1}},
		{Config{Machines: 4_500, BMCs: 13_500, Racks: 3}, Config{Machines: 4_500, BMCs: 13_500, VLANs: 9, Racks: 3}},
		{Config{Machines: 2, Racks: 2}, Config{Machines: 2, BMCs: 2, VLANs: 2, Racks: 2}},
	} {
		got, err := c.given.fill()
		c.want.initrd = initrdSize
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(Config{})); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	for want, given := range map[string]Config{
		"--machines goes from 1 to 10000":              {},
		"--bmcs goes from the number of machines, 3,":  {Machines: 3, BMCs: 2},
		"--vlans goes from 1 to 32":                    {Machines: 3, VLANs: 33},
		"--racks goes from 1 to the number of VLANs, ": {Machines: 3, VLANs: 2, Racks: 3},
		"raise --vlans":                                {Machines: 4_000, VLANs: 1},
	} {
		if _, err := given.fill(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Cards are dealt to the machines evenly, and each number of BMCs is met.
func TestPlan(t *testing.T) {
	var order []string
	for _, m := range plan(3, 8) {
		order = append(order, m.name)
	}
	if diff := cmp.Diff("node-1 card-1 node-2 card-2 card-3 node-3 card-4 card-5", strings.Join(order, " ")); diff != "" {
		t.Error(diff)
	}
	seen := map[string]bool{}
	for i := range plan(100, 30_000) {
		seen[mac(i).String()] = true
	}
	if len(seen) != 30_000 {
		t.Errorf("%d link addresses", len(seen))
	}
}

// Networks do not overlap, and their ranges are inside.
func TestVLANs(t *testing.T) {
	var before netip.Addr
	for i := range maxVLANs {
		v := newVLAN(i)
		first, last := v.dynamic()
		if !before.Less(v.rack) || !v.rack.Less(first) || !v.segment.Prefix().Contains(last) {
			t.Errorf("%v: %v to %v", v.segment.Prefix(), first, last)
		}
		before = last
	}
}

// A load that is kept on a site does all kinds of work without a failure.
func TestEndure(t *testing.T) {
	var out bytes.Buffer
	err := Run(t.Context(), Config{Machines: 2, Endure: 5 * time.Second, Clients: 20, initrd: 1 << 20, JSON: true, Out: &out})
	var s Summary
	if err != nil || json.Unmarshal(out.Bytes(), &s) != nil || s.Endurance == nil || len(s.Endurance.Grows) != 4 || len(s.Endurance.Loads) != 5 {
		t.Fatalf("%v: %s", err, &out)
	}
	for _, l := range s.Endurance.Loads {
		if l.Failed > 0 {
			t.Errorf("%+v", l)
		}
	}
}

// Slopes are those of the second half, for an hour.
func TestSlopes(t *testing.T) {
	s := &series{names: []string{"flat", "grows"}}
	for i := range 10 {
		s.at = append(s.at, time.Duration(i)*time.Minute)
		s.seen = append(s.seen, []float64{7, float64(max(i, 5)) * 2})
	}
	want := []Slope{{"flat", 7, 7, 0}, {"grows", 10, 18, 120}}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-6 })
	if diff := cmp.Diff(want, s.slopes(), near); diff != "" {
		t.Error(diff)
	}
}
