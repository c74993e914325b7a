package simulate

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// seeds returns the number of sites to simulate: MAAS_SEEDS, or a few.
func seeds(t *testing.T) uint64 {
	t.Helper()
	if text := os.Getenv("MAAS_SEEDS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("MAAS_SEEDS: %v", err)
		}
		return n
	}
	return fewSeeds
}

func TestSites(t *testing.T) {
	boots := 0
	for seed := range seeds(t) {
		r, err := Run(Options{Seed: seed, For: 30 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Violations) > 0 {
			t.Fatalf("seed %d:\n%s\nreplay it by: maas simulate --seed %d --for 30m", seed, strings.Join(r.History, "\n"), seed)
		}
		if r.Virtual < 30*time.Minute {
			t.Errorf("seed %d: %v", seed, r.Virtual)
		}
		boots += r.Boots
	}
	if boots == 0 {
		t.Error("no machine booted")
	}
}

func TestStepsAreReadAsTheyAreWritten(t *testing.T) {
	for _, s := range Story(3, 24*time.Hour) {
		if got, err := ParseStep(s.String()); err != nil || got != s {
			t.Fatalf("%v is read as %v: %v", s, got, err)
		}
	}
	for _, bad := range []string{"", "+1s press-on", "1s press-on 1 2", "+1s no-such 1 2", "+-1s press-on 1 2", "+1s press-on -1 2", "+x press-on 1 2"} {
		if _, err := ParseStep(bad); err == nil {
			t.Errorf("%q is a step", bad)
		}
	}
}
