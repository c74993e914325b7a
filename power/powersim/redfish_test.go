package powersim_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
)

// redfishClient serves a shape and logs in.
func redfishClient(t *testing.T, shape powersim.Shape, chassis *powersim.Chassis) (*client, *powersim.BMC) {
	t.Helper()
	bmc, err := shape.Serve(chassis, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bmc.Close() })
	c := newClient(t, bmc)
	resp, _ := c.do("POST", sessions, `{"UserName":"admin","Password":"secret"}`)
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("login: %s", resp.Status)
	}
	c.head.Set("X-Auth-Token", resp.Header.Get("X-Auth-Token"))
	c.head.Set("X-Session", resp.Header.Get("Location")) // kept for the tests; no BMC reads it
	return c, bmc
}

const (
	sessions = "/redfish/v1/SessionService/Sessions"
	system   = "/redfish/v1/Systems/1"
	resetAt  = system + "/Actions/ComputerSystem.Reset"
)

func TestRedfishSessions(t *testing.T) {
	c, bmc := redfishClient(t, powersim.Shape{}, &powersim.Chassis{})
	stranger := newClient(t, bmc)
	stranger.status(200, "GET", "/redfish/v1", "")
	stranger.status(401, "GET", system, "")
	stranger.status(401, "POST", sessions, `{"UserName":"admin","Password":"wrong"}`)
	stranger.status(400, "POST", sessions, `{"UserName":`)
	c.status(200, "GET", system, "")
	if n := bmc.Sessions(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	for range 7 {
		stranger.status(201, "POST", sessions, `{"UserName":"admin","Password":"secret"}`)
	}
	stranger.status(503, "POST", sessions, `{"UserName":"admin","Password":"secret"}`) // the eight are in use
	c.status(204, "DELETE", c.head.Get("X-Session"), "")
	c.status(401, "GET", system, "")
	stranger.status(201, "POST", sessions, `{"UserName":"admin","Password":"secret"}`)
	bmc.EndSessions()
	if n := bmc.Sessions(); n != 0 {
		t.Errorf("%d sessions after all were ended", n)
	}
}

func TestRedfishPower(t *testing.T) {
	chassis := &powersim.Chassis{}
	c, _ := redfishClient(t, powersim.Shape{}, chassis)
	state := func() any { return c.status(200, "GET", system, "")["PowerState"] }
	if got := state(); got != "Off" {
		t.Errorf("at first %v", got)
	}
	for _, tt := range []struct {
		reset string
		want  string
		on    bool
	}{{"On", "On", true}, {"PowerCycle", "On", true}, {"GracefulShutdown", "Off", false}, {"On", "On", true}, {"ForceOff", "Off", false}} {
		c.status(204, "POST", resetAt, `{"ResetType":"`+tt.reset+`"}`)
		if got := state(); got != tt.want || chassis.On() != tt.on {
			t.Errorf("after %s: %v, on: %t", tt.reset, got, chassis.On())
		}
	}
	if chassis.Cycles() != 1 {
		t.Errorf("%d cycles", chassis.Cycles())
	}
	c.status(400, "POST", resetAt, `{"ResetType":"Nmi"}`) // not listed
	c.status(400, "POST", resetAt, `{`)
}

func TestRedfishBoot(t *testing.T) {
	chassis := &powersim.Chassis{}
	c, _ := redfishClient(t, powersim.Shape{}, chassis)
	boot := func() map[string]any { return c.status(200, "GET", system, "")["Boot"].(map[string]any) }
	for target, device := range map[string]power.BootDevice{
		"Pxe": power.Network, "UefiHttp": power.NetworkHTTP, "Hdd": power.Disk, "BiosSetup": power.Setup,
	} {
		c.status(204, "PATCH", system, `{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"`+target+`"}}`)
		if got := boot(); got["BootSourceOverrideTarget"] != target || got["BootSourceOverrideEnabled"] != "Once" || chassis.BootOnce() != device {
			t.Errorf("%s: %v, chassis %s", target, got, chassis.BootOnce())
		}
	}
	c.status(400, "PATCH", system, `{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Floppy"}}`)
	c.status(204, "PATCH", system, `{"Boot":{"BootSourceOverrideEnabled":"Disabled","BootSourceOverrideTarget":"None"}}`)
	if got := boot(); got["BootSourceOverrideEnabled"] != "Disabled" || chassis.BootOnce() != power.Default {
		t.Errorf("disabled: %v, chassis %s", got, chassis.BootOnce())
	}
	c.status(204, "PATCH", system, `{"Boot":{"BootSourceOverrideEnabled":"Continuous","BootSourceOverrideTarget":"Hdd"}}`)
	booted := make(chan power.BootDevice, 1)
	chassis.Configure(func(c *powersim.Chassis) { c.OnPower = func(_ bool, d power.BootDevice) { booted <- d } })
	chassis.SetPower(true)
	if got := <-booted; got != power.Disk {
		t.Errorf("booted from %s", got)
	}
}

// Each shape refuses what the makes refuse that it is like.
func TestRedfishShapesRefuse(t *testing.T) {
	const patch = `{"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}}`
	t.Run("without If-Match", func(t *testing.T) {
		c, _ := redfishClient(t, powersim.Shape{NeedsMatch: true}, &powersim.Chassis{})
		c.status(428, "PATCH", system, patch)
		c.status(412, "PATCH", system, patch, "If-Match", `"99"`)
		resp, body := c.do("GET", system, "")
		etag := resp.Header.Get("ETag")
		if etag == "" || body["@odata.etag"] != etag {
			t.Errorf("header %s, body %v", etag, body["@odata.etag"])
		}
		c.status(204, "PATCH", system, patch, "If-Match", etag)
		c.status(412, "PATCH", system, patch, "If-Match", etag) // the first one changed it
		c.status(204, "PATCH", system, patch, "If-Match", "*")
	})
	t.Run("boot mode", func(t *testing.T) {
		c, _ := redfishClient(t, powersim.Shape{NeedsMode: true}, &powersim.Chassis{})
		c.status(400, "PATCH", system, patch)
		c.status(204, "PATCH", system, strings.Replace(patch, `"Pxe"`, `"Pxe","BootSourceOverrideMode":"UEFI"`, 1))
	})
	t.Run("settings resource", func(t *testing.T) {
		chassis := &powersim.Chassis{}
		c, _ := redfishClient(t, powersim.Shape{Settings: true}, chassis)
		c.status(400, "PATCH", system, patch)
		c.status(204, "PATCH", system+"/Settings", patch)
		if chassis.BootOnce() != power.Network {
			t.Errorf("boots from %s", chassis.BootOnce())
		}
		settings := c.status(200, "GET", system, "")["@Redfish.Settings"]
		if settings == nil {
			t.Error("the system does not name its settings resource")
		}
	})
	t.Run("ETags", func(t *testing.T) {
		for etag, want := range map[powersim.ETag]string{powersim.NoETag: "", powersim.WeakETag: `W/"0"`, powersim.HeaderETag: `"0"`, powersim.MovingETag: `"1"`} {
			c, _ := redfishClient(t, powersim.Shape{ETag: etag}, &powersim.Chassis{})
			resp, body := c.do("GET", system, "")
			if _, inBody := body["@odata.etag"]; resp.Header.Get("ETag") != want || inBody != (etag == powersim.WeakETag || etag == powersim.MovingETag) {
				t.Errorf("%d: header %q, in the body: %t", etag, resp.Header.Get("ETag"), inBody)
			}
		}
	})
	t.Run("layout", func(t *testing.T) {
		c, bmc := redfishClient(t, powersim.Shape{System: "Self", Slash: true, AbsoluteLocation: true, ActionInfo: true}, &powersim.Chassis{})
		if at := c.head.Get("X-Session"); !strings.HasPrefix(at, "https://"+bmc.Address) || !strings.HasSuffix(at, "/") {
			t.Errorf("the session is at %s", at)
		}
		body := c.status(200, "GET", "/redfish/v1/Systems/Self/", "")
		reset := body["Actions"].(map[string]any)["#ComputerSystem.Reset"].(map[string]any)
		if _, listed := reset["ResetType@Redfish.AllowableValues"]; listed || reset["@Redfish.ActionInfo"] != "/redfish/v1/Systems/Self/ResetActionInfo/" {
			t.Errorf("reset: %v", reset)
		}
		info := c.status(200, "GET", "/redfish/v1/Systems/Self/ResetActionInfo", "")
		if n := len(info["Parameters"].([]any)[0].(map[string]any)["AllowableValues"].([]any)); n != 5 {
			t.Errorf("%d reset types", n)
		}
		c.status(404, "GET", "/redfish/v1/Systems/1", "")
	})
}

func TestRedfishSensorsAndLight(t *testing.T) {
	all := []power.Sensor{
		{Name: "CPU", Value: 41.5, Unit: "degrees C", Health: power.HealthOK}, {Name: "Fan", Value: 40, Unit: "%", Health: power.HealthWarning},
		{Name: "P12V", Value: 12.1, Unit: "V"}, {Name: "Input", Value: 288, Unit: "W", Health: power.HealthCritical},
	}
	const chassisAt = "/redfish/v1/Chassis/1"
	t.Run("Thermal and Power", func(t *testing.T) {
		chassis := &powersim.Chassis{Sensors: all}
		c, _ := redfishClient(t, powersim.Shape{}, chassis)
		thermal, supply := c.status(200, "GET", chassisAt+"/Thermal", ""), c.status(200, "GET", chassisAt+"/Power", "")
		for list, want := range map[string]int{"Temperatures": 1, "Fans": 1} {
			if n := len(thermal[list].([]any)); n != want {
				t.Errorf("%d %s", n, list)
			}
		}
		if got := supply["PowerControl"].([]any)[0].(map[string]any)["PowerConsumedWatts"]; got != 288.0 {
			t.Errorf("%v watts", got)
		}
		c.status(404, "GET", chassisAt+"/Sensors", "")
		c.status(204, "PATCH", system, `{"IndicatorLED":"Blinking"}`)
		if got := c.status(200, "GET", system, "")["IndicatorLED"]; got != "Blinking" || !chassis.Light() {
			t.Errorf("%v, light %t", got, chassis.Light())
		}
		c.status(400, "PATCH", system, `{"LocationIndicatorActive":true}`)
	})
	t.Run("collection", func(t *testing.T) {
		chassis := &powersim.Chassis{Sensors: all}
		c, _ := redfishClient(t, powersim.Shape{SensorCollection: true}, chassis)
		if n := len(c.status(200, "GET", chassisAt+"/Sensors", "")["Members"].([]any)); n != len(all) {
			t.Errorf("%d sensors", n)
		}
		if got := c.status(200, "GET", chassisAt+"/Sensors/0", ""); got["ReadingUnits"] != "Cel" || got["Reading"] != 41.5 {
			t.Errorf("%v", got)
		}
		c.status(404, "GET", chassisAt+"/Sensors/4", "")
		c.status(404, "GET", chassisAt+"/Thermal", "")
		c.status(204, "PATCH", system, `{"LocationIndicatorActive":true}`)
		if got := c.status(200, "GET", system, "")["LocationIndicatorActive"]; got != true || !chassis.Light() {
			t.Errorf("%v, light %t", got, chassis.Light())
		}
		c.status(400, "PATCH", system, `{"IndicatorLED":"Off"}`)
	})
}

// A BMC that stalls sends the beginning of an answer and nothing more.
func TestRedfishStalls(t *testing.T) {
	c, bmc := redfishClient(t, powersim.Shape{}, &powersim.Chassis{})
	bmc.Stall(true)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", c.base+"/redfish/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if b := make([]byte, 1); readFull(resp.Body, b) != nil || b[0] != '{' {
		t.Errorf("the answer begins with %q", b)
	}
	cancel()
	if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("the rest of the answer: %v", err)
	}
	resp.Body.Close()
	bmc.Stall(false)
	c.status(200, "GET", "/redfish/v1", "")
}

func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	return err
}

// Shapes are named, and each is served.
func TestShapesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range powersim.Shapes() {
		if s.Name == "" || seen[s.Name] {
			t.Errorf("shape %q has no name of its own", s.Name)
		}
		seen[s.Name] = true
	}
}

// A service without sessions takes the password with each request, and offers no log-in.
func TestRedfishWithoutSessions(t *testing.T) {
	chassis := &powersim.Chassis{}
	bmc, err := powersim.Shape{NoSessions: true}.Serve(chassis, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bmc.Close() })
	c := newClient(t, bmc)
	_, service := c.do("GET", "/redfish/v1", "")
	if service["Links"] != nil || service["SessionService"] != nil || service["Systems"] == nil {
		t.Errorf("the root is %v", service)
	}
	c.status(404, "POST", sessions, `{"UserName":"admin","Password":"secret"}`)
	c.status(404, "GET", "/redfish/v1/SessionService", "")
	c.status(401, "GET", system, "")
	c.head.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("admin:secret")))
	c.status(204, "POST", resetAt, `{"ResetType":"On"}`)
	if !chassis.On() || bmc.Sessions() != 0 {
		t.Errorf("on: %t, %d sessions", chassis.On(), bmc.Sessions())
	}
}
