package amt_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/amt"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAMT(t *testing.T) {
	powertest.Run(t, func(t *testing.T) powertest.Harness {
		chassis := &powersim.Chassis{}
		bmc, err := powersim.ServeAMT(chassis, "P@ss\"w0rd<&>")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { bmc.Close() })
		return powertest.Harness{Kind: amt.Kind(), Chassis: chassis, Target: bmc.Target(), Stall: bmc.Stall}
	})
}

func TestRefusals(t *testing.T) {
	c := powertest.Controller(t, amt.Kind())
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html></html>")) }))
	defer page.Close()
	for name, tt := range map[string]struct {
		params power.Params
		text   string
	}{
		"another service": {power.Params{"power_address": page.URL}, "no answer of AMT; see the host of power_address, and port"},
		"another port":    {power.Params{"port": "443"}, "port may be one of"},
		"no password":     {power.Params{"power_pass": ""}, "needs the parameter power_pass"},
		"a password":      {power.Params{"power_address": "https://admin:secret@host"}, "parameter of its own"},
		"unknown":         {power.Params{"power_port": "1"}, "has no parameter"},
	} {
		params := power.Params{"power_address": "127.0.0.1:1", "power_pass": "secret"}
		maps.Copy(params, tt.params)
		_, err := c.Query(t.Context(), power.Target{Kind: amt.Name, Params: params})
		if power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v of class %s", name, err, power.ClassOf(err))
		}
	}
}
