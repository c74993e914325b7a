package openbmc_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power/openbmc"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOpenBMC(t *testing.T) {
	powertest.Run(t, func(t *testing.T) powertest.Harness {
		chassis := &powersim.Chassis{}
		bmc, err := powersim.ServeOpenBMC(chassis, "root", "0penBmc")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { bmc.Close() })
		return powertest.Harness{
			Kind: openbmc.Kind(), Target: bmc.Target(), Chassis: chassis, Sessions: bmc.Sessions, Stall: bmc.Stall, EndSessions: bmc.EndSessions,
		}
	})
}
