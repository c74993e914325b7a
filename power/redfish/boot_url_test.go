package redfish_test

import (
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/redfish"
)

// Each make boots the URL once, over UEFI HTTP boot, and one that takes no URL refuses before
// anything is switched.
func TestBootURL(t *testing.T) {
	const url = "http://192.0.2.1:5248/medium/token/boot.iso"
	for _, shape := range powersim.Shapes() {
		t.Run(shape.Name, func(t *testing.T) {
			var booted []power.BootDevice
			chassis := &powersim.Chassis{OnPower: func(on bool, device power.BootDevice) {
				if on {
					booted = append(booted, device)
				}
			}}
			bmc, err := shape.Serve(chassis, "admin", "secret")
			if err != nil {
				t.Fatal(err)
			}
			defer bmc.Close()
			c := powertest.Controller(t, redfish.Kind())
			options := power.Options{Boot: power.NetworkHTTP, BootURL: url, BootIfPossible: true}
			_, err = c.Cycle(t.Context(), bmc.Target(), options)
			if shape.NoBootURL {
				if power.ClassOf(err) != power.Unsupported || chassis.On() {
					t.Errorf("error %v, on %v; want it refused", err, chassis.On())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(booted) != 1 || booted[0] != power.NetworkHTTP || chassis.BootURL() != url {
				t.Errorf("booted from %v, URL %q", booted, chassis.BootURL())
			}
			for _, bad := range []string{"ftp://192.0.2.1/a", "http://user:secret@192.0.2.1/a", "http://192.0.2.1/a b", "boot.iso"} {
				options.BootURL = bad
				if _, err := c.Cycle(t.Context(), bmc.Target(), options); power.ClassOf(err) != power.Settings {
					t.Errorf("%q: error %v, want it refused", bad, err)
				}
			}
		})
	}
}
