package redfish_test

import (
	"testing"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/redfish"
)

// gofishSystem logs in by gofish and reads the system.
func gofishSystem(tb testing.TB, bmc *powersim.BMC) (system *schemas.ComputerSystem, logout func()) {
	tb.Helper()
	client, err := gofish.ConnectContext(tb.Context(), gofish.ClientConfig{Endpoint: "https://" + bmc.Address, Username: "admin", Password: "secret", Insecure: true})
	if err != nil {
		tb.Fatal(err)
	}
	systems, err := client.Service.Systems()
	if err != nil || len(systems) != 1 {
		tb.Fatalf("%d systems, %v", len(systems), err)
	}
	return systems[0], client.Logout
}

// The simulated BMC is Redfish to gofish, a foreign client, and what gofish does the driver reads.
func TestGofish(t *testing.T) {
	chassis := &powersim.Chassis{}
	bmc, err := powersim.ServeRedfish(chassis, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	system, logout := gofishSystem(t, bmc)
	defer logout()
	if system.PowerState != schemas.OffPowerState {
		t.Errorf("at first %q", system.PowerState)
	}
	if _, err := system.Reset(schemas.OnResetType); err != nil || !chassis.On() {
		t.Errorf("%v, on: %t", err, chassis.On())
	}
	driver, err := redfish.Kind().Open(t.Context(), params(bmc))
	if err != nil {
		t.Fatal(err)
	}
	if state, err := driver.PowerState(t.Context()); err != nil || state != power.On {
		t.Errorf("the driver reads %v, %v", state, err)
	}
}

func params(bmc *powersim.BMC) power.Params {
	return power.Params{"power_address": bmc.Address, "power_user": "admin", "power_pass": "secret", "tls_verify": "no"}
}

// BenchmarkState reads the power state, log-in and log-out included, as a monitor does.
func BenchmarkState(b *testing.B) {
	bmc, err := powersim.ServeRedfish(&powersim.Chassis{}, "admin", "secret")
	if err != nil {
		b.Fatal(err)
	}
	defer bmc.Close()
	b.Run("driver", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			driver, err := redfish.Kind().Open(b.Context(), params(bmc))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := driver.PowerState(b.Context()); err != nil {
				b.Fatal(err)
			}
			if c, ok := driver.(power.Closer); ok {
				_ = c.Close(b.Context())
			}
		}
	})
	b.Run("gofish", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, logout := gofishSystem(b, bmc)
			logout()
		}
	})
}
