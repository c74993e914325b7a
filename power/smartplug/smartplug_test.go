package smartplug_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/smartplug"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, chassis *powersim.Chassis, maker string) *powersim.BMC {
	t.Helper()
	bmc, err := powersim.ServePlug(chassis, maker, "top-secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bmc.Close() })
	return bmc
}

func TestSmartplug(t *testing.T) {
	for _, maker := range powersim.PlugMakes() {
		t.Run(maker, func(t *testing.T) {
			powertest.Run(t, func(t *testing.T) powertest.Harness {
				chassis := &powersim.Chassis{}
				bmc := serve(t, chassis, maker)
				h := powertest.Harness{Kind: smartplug.Kind(), Chassis: chassis, Target: bmc.Target(), Stall: bmc.Stall}
				if maker == "homeassistant" {
					h.PasswordParam = "power_token"
				}
				return h
			})
		})
	}
}

func TestRefusals(t *testing.T) {
	c := powertest.Controller(t, smartplug.Kind())
	answer := func(text string) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }))
		t.Cleanup(srv.Close)
		return srv.URL
	}
	page, object := answer("<html>"), answer(`{"hello":1}`)
	for _, maker := range powersim.PlugMakes() {
		bmc := serve(t, &powersim.Chassis{}, maker)
		target := func(change ...string) power.Target {
			out := bmc.Target()
			out.Params = maps.Clone(out.Params)
			for i := 0; i < len(change); i += 2 {
				out.Params[change[i]] = change[i+1]
			}
			return out
		}
		for name, tt := range map[string]struct {
			target power.Target
			text   string
		}{
			"a page":      {target("power_address", page), "see the host and the port of power_address"},
			"an object":   {target("power_address", object), "see power_address and plug_type"},
			"no make":     {target("plug_type", "kasa"), "plug_type may be one of"},
			"outlet":      {target("node_outlet", "x y"), "node_outlet"},
			"far outlet":  {target("node_outlet", "7"), ""},
			"a delay":     {target("power_on_delay", "1h"), "power_on_delay must be"},
			"a user":      {target("power_address", "http://admin:top-secret@plug"), "parameter of its own"},
			"a query":     {target("power_address", "http://plug/cm?password=top-secret"), "query"},
			"another one": {target("relay", "1"), "has no parameter"},
		} {
			_, err := c.Query(t.Context(), tt.target)
			if power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "top-secret") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %s: %v of class %s", maker, name, err, power.ClassOf(err))
			}
		}
		// A failure of the network shows no URL, which may hold the password.
		bmc.Close()
		if _, err := c.Query(t.Context(), target()); power.ClassOf(err) != power.Connection || strings.Contains(err.Error(), "top-secret") {
			t.Errorf("%s: away: %v", maker, err)
		}
	}
}
