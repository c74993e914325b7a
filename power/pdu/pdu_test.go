package pdu_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/pdu"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, chassis *powersim.Chassis, maker string) *powersim.BMC {
	t.Helper()
	bmc, err := powersim.ServePDU(chassis, maker, "private")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bmc.Close() })
	return bmc
}

func TestPDU(t *testing.T) {
	// One column for all, one each for on and off, and HTTP; TestOutlets has the other makes.
	for _, maker := range []string{"apc", "eaton", "digital-loggers"} {
		t.Run(maker, func(t *testing.T) {
			powertest.Run(t, func(t *testing.T) powertest.Harness {
				chassis := &powersim.Chassis{}
				bmc := serve(t, chassis, maker)
				h := powertest.Harness{Kind: pdu.Kinds()[0], Chassis: chassis, Target: bmc.Target(), Stall: bmc.Stall}
				if maker != "digital-loggers" { // a wrong community is not answered
					h.WrongPassword = power.Connection
				}
				return h
			})
		})
	}
}

func TestOutlets(t *testing.T) {
	c := powertest.Controller(t, pdu.Kinds()...)
	for _, maker := range powersim.PDUMakes() {
		bmc := serve(t, &powersim.Chassis{}, maker)
		target := func(outlet string) power.Target {
			target := bmc.Target()
			target.Params = maps.Clone(target.Params)
			target.Params["node_outlet"] = outlet
			return target
		}
		if _, err := c.Ensure(t.Context(), target("7"), power.On, power.Options{}); err != nil {
			t.Fatal(err)
		}
		if state, err := c.Query(t.Context(), target("7,8")); err != nil || state != power.Transitioning {
			t.Errorf("%s: one of two outlets on: %s, %v", maker, state, err)
		}
		if result, err := c.Ensure(t.Context(), target("7, 8"), power.On, power.Options{}); err != nil || result.State != power.On {
			t.Errorf("%s: both: %+v, %v", maker, result, err)
		}
		if result, err := c.Cycle(t.Context(), target("7"), power.Options{}); err != nil || result.State != power.On {
			t.Errorf("%s: cycle: %+v, %v", maker, result, err)
		}
		if result, err := c.Ensure(t.Context(), target("7,8"), power.Off, power.Options{}); err != nil || result.State != power.Off {
			t.Errorf("%s: both off: %+v, %v", maker, result, err)
		}
		for _, outlet := range []string{"9", "x", "0", "", "1.2.3.4.7", "-1", "7,", "7;8"} {
			if _, err := c.Query(t.Context(), target(outlet)); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), "outlet") {
				t.Errorf("%s: outlet %q: %v", maker, outlet, err)
			}
		}
	}
}

// The power types of MAAS reach the makes, with MAAS' parameters, and units are named where there
// are several.
func TestAliases(t *testing.T) {
	c := powertest.Controller(t, pdu.Kinds()...)
	for _, tt := range []struct {
		maker, kind string
		params      power.Params
	}{
		{"apc", "apc", power.Params{"node_outlet": "7"}},
		{"apc", "apc", power.Params{"node_outlet": "7", "pdu_type": "RPDU"}},
		{"apc-masterswitch", "apc", power.Params{"node_outlet": "7", "pdu_type": "MASTERSWITCH"}},
		{"eaton", "eaton", power.Params{"node_outlet": "7"}},
		{"raritan", "raritan", power.Params{"node_outlet": "1.7"}},
		{"servertech", "pdu", power.Params{"node_outlet": "1.1.7", "pdu_type": "servertech"}},
		{"digital-loggers", "dli", power.Params{"outlet_id": "7", "power_user": "admin", "power_pass": "private"}},
	} {
		bmc := serve(t, &powersim.Chassis{}, tt.maker)
		tt.params["power_address"], tt.params["power_on_delay"] = bmc.Address, "0"
		if result, err := c.Ensure(t.Context(), power.Target{Kind: tt.kind, Params: tt.params}, power.On, power.Options{}); err != nil || result.State != power.On {
			t.Errorf("%s as %s: %+v, %v", tt.maker, tt.kind, result, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }))
	defer page.Close()
	for name, tt := range map[string]struct {
		params power.Params
		text   string
	}{
		"no make":         {power.Params{"pdu_type": ""}, "pdu_type"},
		"unknown make":    {power.Params{"pdu_type": "acme"}, "pdu_type may be one of"},
		"delay":           {power.Params{"power_on_delay": "soon"}, "power_on_delay must be a whole number from 0 to 600"},
		"long delay":      {power.Params{"power_on_delay": "601"}, "power_on_delay must be"},
		"negative delay":  {power.Params{"power_on_delay": "-1"}, "power_on_delay must be"},
		"version":         {power.Params{"snmp_version": "4"}, "snmp_version may be"},
		"no user":         {power.Params{"snmp_version": "3"}, "snmp_version=3 needs power_user"},
		"short password":  {power.Params{"snmp_version": "3", "power_user": "u", "power_pass": "short"}, "power_pass has fewer"},
		"unknown":         {power.Params{"outlet": "7"}, `has no parameter "outlet"; it has`},
		"a URL":           {power.Params{"power_address": "https://192.0.2.9"}, "write the host"},
		"another service": {power.Params{"power_address": page.URL, "pdu_type": "digital-loggers"}, "no answer of a Digital Loggers switch; see the host and the port of power_address"},
	} {
		params := power.Params{"pdu_type": "apc", "power_address": "127.0.0.1:1", "node_outlet": "1"}
		maps.Copy(params, tt.params)
		_, err := powertest.Controller(t, pdu.Kinds()...).Query(t.Context(), power.Target{Kind: "pdu", Params: params})
		if power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v of class %s", name, err, power.ClassOf(err))
		}
	}
}
