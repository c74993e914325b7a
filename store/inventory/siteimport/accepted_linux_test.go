package siteimport

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// oddKea are the samples that Kea 2.2 itself refuses, with the reason.
var oddKea = map[string]string{
	"classes": "conditions and networks that are wrong",
	"v6":      "addresses that are wrong",
}

// Kea itself takes the samples of its kind: they are what people have in production.
func TestKeaTakesTheSamples(t *testing.T) {
	netlab.Require(t, netlab.Program("kea-dhcp4", "kea-dhcp4-server"), netlab.Program("kea-dhcp6", "kea-dhcp6-server"))
	samples, err := filepath.Glob("testdata/kea/*.txtar")
	if err != nil || len(samples) == 0 {
		t.Fatal(err)
	}
	for _, sample := range samples {
		name := strings.TrimSuffix(filepath.Base(sample), ".txtar")
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile(sample)
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range parseArchive(string(raw)).files {
				program, ok := strings.CutSuffix(file, ".conf")
				if !ok {
					continue
				}
				dir := t.TempDir()
				conf := filepath.Join(dir, file)
				if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				cmd := exec.CommandContext(t.Context(), program, "-t", conf)
				cmd.Env = append(os.Environ(), "KEA_LOCKFILE_DIR="+dir)
				out, err := cmd.CombinedOutput()
				if why := oddKea[name]; (err == nil) != (why == "") {
					t.Errorf("%s: %v, odd for %q\n%s", file, err, why, out)
				}
			}
		})
	}
}
