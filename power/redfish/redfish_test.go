package redfish_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/redfish"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) powertest.Harness {
	t.Helper()
	chassis := &powertest.Chassis{}
	bmc, err := powertest.ServeRedfish(chassis, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bmc.Close() })
	return powertest.Harness{Kind: redfish.Kind(), Target: bmc.Target(), Chassis: chassis, Sessions: bmc.Sessions, Stall: bmc.Stall, EndSessions: bmc.EndSessions}
}

func TestRedfish(t *testing.T) { powertest.Run(t, open) }

func query(t *testing.T, target power.Target) error {
	t.Helper()
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(redfish.Kind())})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Query(t.Context(), target)
	return err
}

func TestCertificateIsVerifiedUnlessToldOtherwise(t *testing.T) {
	target := open(t).Target
	target.Params["tls_fingerprint"] = strings.Repeat("00", 32)
	if err := query(t, target); power.ClassOf(err) != power.Settings {
		t.Errorf("wrong pin: %v", err)
	}
	delete(target.Params, "tls_fingerprint")
	if err := query(t, target); err == nil {
		t.Error("a certificate of nobody was trusted")
	}
	target.Params["tls_verify"] = "no"
	if err := query(t, target); err != nil {
		t.Errorf("verification off: %v", err)
	}
}

func TestUnknownSystemIsNamed(t *testing.T) {
	target := open(t).Target
	target.Params["node_id"] = "blade-7"
	if err := query(t, target); power.ClassOf(err) != power.Settings || !strings.Contains(err.Error(), `"blade-7"`) {
		t.Errorf("got %v", err)
	}
}
