package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/region"
)

// The data of a site in the former standard directory are named, and never left for an empty site.
func TestChooseData(t *testing.T) {
	for name, c := range map[string]struct {
		given, standard, former string // the last two: what the directory has
		refused                 bool
	}{
		"new host":              {},
		"given":                 {given: "/srv/site", former: region.DatabaseFile},
		"site of before":        {former: region.DatabaseFile, refused: true},
		"rack of before":        {former: "rack", refused: true},
		"moved, a copy is left": {standard: region.DatabaseFile, former: region.DatabaseFile},
		"another program's":     {former: "maas_id"},
	} {
		t.Run(name, func(t *testing.T) {
			standard, former := filepath.Join(t.TempDir(), "standard"), filepath.Join(t.TempDir(), "former")
			for dir, file := range map[string]string{standard: c.standard, former: c.former} {
				if file == "" {
					continue
				}
				if err := os.MkdirAll(filepath.Join(dir, file), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			got, err := chooseData(c.given, standard, former)
			if c.refused {
				if err == nil || !strings.Contains(err.Error(), former) || !strings.Contains(err.Error(), "--data") {
					t.Errorf("got %q, %v", got, err)
				}
				return
			}
			if want := map[bool]string{true: standard, false: c.given}[c.given == ""]; err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}
