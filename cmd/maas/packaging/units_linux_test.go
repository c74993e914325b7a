package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gomaas/maas/cmd/maas/internal/config"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// The units bound what a daemon takes from its host, give it a place for logs, and keep a token out of arguments.
func TestUnits(t *testing.T) {
	for _, unit := range []string{"gomaas.service", "gomaas-region.service", "gomaas-rack.service"} {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"LimitNOFILE=", "TasksMax=", "MemoryMax=", "LogsDirectory=gomaas", "StateDirectory=gomaas", "ProtectSystem=strict", "UMask=0077"} {
			if !strings.Contains(string(text), "\n"+key) {
				t.Errorf("%s has no %s", unit, key)
			}
		}
		if regexp.MustCompile(`(?m)^(ExecStart|Environment)=.*(token|password|secret)`).Match(text) {
			t.Errorf("%s has a secret where others can read it", unit)
		}
		if strings.Contains(unit, "rack") != strings.Contains(string(text), "\nLoadCredential=enrol-token:") {
			t.Errorf("%s: a token is for racks of their own", unit)
		}
	}
}

// The access log of the example is in a directory that the units make, the only one besides the data that may be written.
func TestTheAccessLogOfTheExampleCanBeWritten(t *testing.T) {
	cfg, err := config.Load("../internal/config/maas.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := filepath.Dir(cfg.Proxy.AccessLog); got != "/var/log/gomaas" {
		t.Errorf("the example writes its access log into %s, and LogsDirectory makes /var/log/gomaas", got)
	}
}

// The exposure that systemd computes stays as it is.
func TestExposureOfTheUnits(t *testing.T) {
	netlab.Require(t, netlab.Program("systemd-analyze", "systemd"))
	for unit, most := range map[string]float64{"gomaas.service": 1.8, "gomaas-rack.service": 1.8, "gomaas-region.service": 1.5} {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "./"+unit).CombinedOutput()
		found := regexp.MustCompile(`Overall exposure level for \S+ ([0-9.]+)`).FindSubmatch(out)
		if err != nil || found == nil {
			t.Fatalf("%s: %v: %s", unit, err, out)
		}
		if got, err := strconv.ParseFloat(string(found[1]), 64); err != nil || got > most {
			t.Errorf("%s: exposure %v, most is %v", unit, got, most)
		}
	}
}
