package redfish_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/redfish"
)

// A DPU is never switched off. Switching on resets it when it is on, with the boot device.
func TestDPU(t *testing.T) {
	chassis := &powersim.Chassis{}
	bmc, err := powersim.ServeRedfish(chassis, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	c := powertest.Controller(t, redfish.Kind())
	p := params(bmc)
	p["dpu"] = "yes"
	target := power.Target{Kind: redfish.Name, Params: p}
	for resets := range 3 { // the first one finds it off
		if result, err := c.Ensure(t.Context(), target, power.On, power.Options{Boot: power.Network}); err != nil || result.State != power.On || chassis.Cycles() != resets {
			t.Errorf("on, after %d resets: %+v, %v", chassis.Cycles(), result, err)
		}
	}
	if _, err := c.Cycle(t.Context(), target, power.Options{}); err != nil || chassis.Cycles() != 3 {
		t.Errorf("cycle: %v, %d resets", err, chassis.Cycles())
	}
	for _, opts := range []power.Options{{}, {Soft: time.Second}} {
		if _, err := c.Ensure(t.Context(), target, power.Off, opts); power.ClassOf(err) != power.Unsupported || !strings.Contains(err.Error(), "dpu=yes") || !chassis.On() {
			t.Errorf("off: %v, on: %t", err, chassis.On())
		}
	}
}
