package redfish_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/power/redfish"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) powertest.Harness {
	t.Helper()
	chassis := &powersim.Chassis{}
	bmc, err := powersim.ServeRedfish(chassis, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bmc.Close() })
	return powertest.Harness{Kind: redfish.Kind(), Target: bmc.Target(), Chassis: chassis, Sessions: bmc.Sessions, Stall: bmc.Stall, EndSessions: bmc.EndSessions}
}

func TestRedfish(t *testing.T) { powertest.Run(t, open) }

var sensors = []power.Sensor{
	{Name: "CPU 1", Value: 41.5, Unit: "degrees C", Health: power.HealthOK},
	{Name: "Fan 1", Value: 3600, Unit: "RPM", Health: power.HealthWarning},
	{Name: "P12V", Value: 12.1, Unit: "V", Health: power.HealthOK},
	{Name: "Input", Value: 288, Unit: "W", Health: power.HealthCritical},
}

// Makes of BMCs differ; what they have in common is not enough to rely on.
func TestShapes(t *testing.T) {
	for _, shape := range powersim.Shapes()[1:] {
		t.Run(shape.Name, func(t *testing.T) {
			chassis := &powersim.Chassis{Delay: 50 * time.Millisecond, Sensors: sensors}
			bmc, err := shape.Serve(chassis, "admin", "secret")
			if err != nil {
				t.Fatal(err)
			}
			defer bmc.Close()
			boots := make(chan power.BootDevice, 10)
			chassis.Configure(func(c *powersim.Chassis) {
				c.OnPower = func(on bool, boot power.BootDevice) {
					if on {
						boots <- boot
					}
				}
			})
			c := powertest.Controller(t, redfish.Kind())
			target := bmc.Target()
			if shape.NeedsMode {
				target.Params["boot_mode"] = "uefi"
			}
			if report, err := c.Ensure(t.Context(), target, power.On, power.Options{Boot: power.Network}); err != nil {
				t.Fatalf("on: %+v, %v", report, err)
			}
			if report, err := c.Cycle(t.Context(), target, power.Options{Boot: power.Disk}); err != nil {
				t.Fatalf("cycle: %+v, %v", report, err)
			}
			for _, want := range []power.BootDevice{power.Network, power.Disk} {
				if got := <-boots; got != want {
					t.Errorf("booted from %q, want %q", got, want)
				}
			}
			for _, on := range []bool{true, false} {
				if err := c.Identify(t.Context(), target, on); err != nil || chassis.Light() != on {
					t.Errorf("identify: %v, the light is on: %v, want %v", err, chassis.Light(), on)
				}
			}
			err = c.InsertMedia(t.Context(), target, "https://192.0.2.1/a.iso")
			if none := power.ClassOf(err) == power.Unsupported; none != shape.Media.None || !none && (err != nil || chassis.Media() != "https://192.0.2.1/a.iso") {
				t.Errorf("insert: %v, the drive has %q", err, chassis.Media())
			}
			for _, image := range []string{"https://192.0.2.1/b.iso", ""} {
				switch {
				case shape.Media.None:
				case image == "":
					err = c.EjectMedia(t.Context(), target)
				default:
					err = c.InsertMedia(t.Context(), target, image)
				}
				if !shape.Media.None && (err != nil || chassis.Media() != image) {
					t.Errorf("replace and eject: %v, the drive has %q, want %q", err, chassis.Media(), image)
				}
			}
			if got, err := c.Sensors(t.Context(), target); err != nil || !slices.Equal(got, sensors) {
				t.Errorf("sensors: %+v, %v", got, err)
			}
			if report, err := c.Ensure(t.Context(), target, power.Off, power.Options{Soft: time.Second}); err != nil {
				t.Fatalf("off: %+v, %v", report, err)
			}
			if n := chassis.Cycles(); len(boots) != 0 || n != 1 {
				t.Errorf("%d further boots, %d cycles", len(boots), n)
			}
			if n := bmc.Sessions(); n != 0 {
				t.Errorf("%d sessions are still open", n)
			}
		})
	}
}

func query(t *testing.T, target power.Target) error {
	t.Helper()
	c := powertest.Controller(t, redfish.Kind())
	_, err := c.Query(t.Context(), target)
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

// A system that lacks the reset types for a request gets none, and the error lists what it has.
func TestMissingResetTypes(t *testing.T) {
	chassis := &powersim.Chassis{}
	bmc, err := powersim.Shape{ResetTypes: []string{"ForceOn", "Nmi"}}.Serve(chassis, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(redfish.Kind()), Poll: time.Millisecond, Spacing: -1})
	if err != nil {
		t.Fatal(err)
	}
	if result, err := c.Ensure(t.Context(), bmc.Target(), power.On, power.Options{}); err != nil || result.State != power.On {
		t.Errorf("ForceOn in the place of On: %+v, %v", result, err)
	}
	for name, do := range map[string]func() error{
		"off":   func() error { _, err := c.Ensure(t.Context(), bmc.Target(), power.Off, power.Options{}); return err },
		"cycle": func() error { _, err := c.Cycle(t.Context(), bmc.Target(), power.Options{}); return err },
		"reset": func() error { return c.Reset(t.Context(), bmc.Target()) },
	} {
		if err := do(); power.ClassOf(err) != power.Unsupported || !strings.Contains(err.Error(), `"Nmi"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !chassis.On() || chassis.Cycles() != 0 {
		t.Errorf("on: %t, %d cycles", chassis.On(), chassis.Cycles())
	}
}

func TestBootDevices(t *testing.T) {
	target := open(t).Target
	kind := redfish.Kind()
	params, err := kind.Check(target.Params)
	if err != nil {
		t.Fatal(err)
	}
	d, err := kind.Open(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	defer d.(power.Closer).Close(t.Context())
	b := d.(power.Booter)
	for _, device := range []power.BootDevice{power.Network, power.NetworkHTTP, power.Disk, power.Setup, power.Default} {
		if err := b.SetBootOnce(t.Context(), device); err != nil {
			t.Errorf("%s: %v", device, err)
		}
		if got, err := b.BootOnce(t.Context()); got != device || err != nil {
			t.Errorf("%s is kept as %s, %v", device, got, err)
		}
	}
	if err := b.SetBootOnce(t.Context(), "floppy"); power.ClassOf(err) != power.Unsupported {
		t.Errorf("a device that Redfish has not: %v", err)
	}
}
