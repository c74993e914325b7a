package virsh_test

import (
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/virsh"
)

func TestVirsh(t *testing.T) {
	powertest.Run(t, func(t *testing.T) powertest.Harness {
		chassis := &powersim.Chassis{}
		bmc, err := powersim.ServeLibvirt(chassis)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { bmc.Close() })
		return powertest.Harness{
			Kind: virsh.Kind(), Target: bmc.Target(), Chassis: chassis, Sessions: bmc.Sessions, Stall: bmc.Stall, EndSessions: bmc.EndSessions,
			Unreachable: "test+tcp://127.0.0.1:1/default",
		}
	})
}

// The simulation finds its machine by UUID as well, and refuses others as libvirt does.
func TestSimulatedMachines(t *testing.T) {
	bmc, err := powersim.ServeLibvirt(&powersim.Chassis{})
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	for id, want := range map[string]power.Class{
		"6695eb01-f6a4-8304-79aa-97f2502e193f": "", "6695eb01f6a4830479aa97f2502e193f": "", "vm9": power.Settings, "00000000-f6a4-8304-79aa-97f2502e193f": power.Settings,
	} {
		target := bmc.Target()
		target.Params["power_id"] = id
		if _, err := powertest.Controller(t, virsh.Kind()).Query(t.Context(), target); power.ClassOf(err) != want {
			t.Errorf("%s: %v", id, err)
		}
	}
}
