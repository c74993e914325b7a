//go:build !race

package simulate

// The race detector makes a simulation 25 times slower. It sees a few sites; what needs many is left to runs without it.

import (
	"slices"
	"testing"
	"time"
)

const fewSeeds = 4

func TestEqualSeedsHaveEqualHistories(t *testing.T) {
	var first *Result
	for range 2 {
		r, err := Run(Options{Seed: 5, For: 30 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = r
		}
		if !slices.Equal(r.History, first.History) || r.Hash != first.Hash {
			for i := range min(len(r.History), len(first.History)) {
				if r.History[i] != first.History[i] {
					t.Fatalf("line %d is\n%s\nand was\n%s", i, r.History[i], first.History[i])
				}
			}
			t.Fatalf("%d lines, and %d before", len(r.History), len(first.History))
		}
	}
	other, err := Run(Options{Seed: 6, For: 30 * time.Minute})
	if err != nil || other.Hash == first.Hash {
		t.Errorf("another seed has the same history: %v", err)
	}
}

// Faults that are put into the simulated parts are found, and their stories become short.
func TestPlantedFaultsAreFound(t *testing.T) {
	for plant, want := range map[fault][]string{
		lyingDisk:    {invariantOnDisk},
		loosePartner: {invariantOneHolder, invariantOnDisk, invariantLeases, invariantBoot, invariantNames},
		lostWrites:   {invariantWrites},
	} {
		var found *Result
		for seed := uint64(0); seed < 20 && found == nil; seed++ {
			r, err := Run(Options{Seed: seed, For: 20 * time.Minute, plant: plant})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Violations) > 0 {
				found = r
			}
		}
		if found == nil {
			t.Errorf("%s: not found by 20 seeds", plant)
			continue
		}
		if !slices.Contains(want, found.Violations[0].Invariant) {
			t.Errorf("%s: found as %+v", plant, found.Violations[0])
		}
		short, err := Shrink(Options{Seed: found.Seed, Story: found.Story, plant: plant})
		if err != nil {
			t.Fatal(err)
		}
		if len(short.Violations) == 0 || len(short.Story) > 6 || len(short.Story) >= len(found.Story) {
			t.Errorf("%s: shrunk from %d to %d steps: %v", plant, len(found.Story), len(short.Story), short.Story)
		}
	}
}
