package powersim_test

import (
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/powersim"
)

const (
	obmc       = "/xyz/openbmc_project"
	hostState  = obmc + "/state/host0/attr/CurrentHostState"
	hostChange = obmc + "/state/host0/attr/RequestedHostTransition"
	power0     = obmc + "/state/chassis0/attr/RequestedPowerTransition"
	oneTime    = obmc + "/control/host0/boot/one_time/attr/"
	inState    = "xyz.openbmc_project.State."
	inControl  = "xyz.openbmc_project.Control.Boot."
)

func openBMCClient(t *testing.T, chassis *powersim.Chassis) (*client, *powersim.BMC) {
	t.Helper()
	bmc, err := powersim.ServeOpenBMC(chassis, "root", "0penBmc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bmc.Close() })
	return newClient(t, bmc), bmc
}

func TestOpenBMCSessions(t *testing.T) {
	c, bmc := openBMCClient(t, &powersim.Chassis{})
	c.status(401, "GET", hostState, "")
	c.status(401, "POST", "/login", `{"data":["root","wrong"]}`)
	c.status(400, "POST", "/login", `{"data":["root"]}`)
	c.status(400, "POST", "/login", `{`)
	c.status(200, "POST", "/login", `{"data":["root","0penBmc"]}`)
	if got := c.status(200, "GET", hostState, ""); got["status"] != "ok" || bmc.Sessions() != 1 {
		t.Errorf("%v, %d sessions", got, bmc.Sessions())
	}
	c.status(200, "POST", "/logout", `{"data":[]}`)
	c.status(401, "GET", hostState, "")
	c.status(200, "POST", "/login", `{"data":["root","0penBmc"]}`)
	bmc.EndSessions()
	c.status(401, "GET", hostState, "")
}

func TestOpenBMCPower(t *testing.T) {
	chassis := &powersim.Chassis{}
	c, _ := openBMCClient(t, chassis)
	c.status(200, "POST", "/login", `{"data":["root","0penBmc"]}`)
	for _, tt := range []struct{ path, value, want string }{
		{hostChange, inState + "Host.Transition.On", "Running"},
		{hostChange, inState + "Host.Transition.Reboot", "Running"},
		{hostChange, inState + "Host.Transition.Off", "Off"},
		{power0, inState + "Chassis.Transition.On", "Running"},
		{power0, inState + "Chassis.Transition.PowerCycle", "Running"},
		{power0, inState + "Chassis.Transition.Off", "Off"},
	} {
		c.status(200, "PUT", tt.path, `{"data":"`+tt.value+`"}`)
		if got := c.status(200, "GET", hostState, "")["data"]; got != inState+"Host.HostState."+tt.want || chassis.On() != (tt.want == "Running") {
			t.Errorf("after %s: %v, on: %t", tt.value, got, chassis.On())
		}
	}
	if chassis.Cycles() != 2 {
		t.Errorf("%d cycles", chassis.Cycles())
	}
	c.status(404, "PUT", hostChange, `{"data":"`+inState+`Host.Transition.Dance"}`)
	c.status(400, "PUT", hostChange, `{"data":`)
	c.status(404, "GET", obmc+"/state/host1/attr/CurrentHostState", "")
}

func TestOpenBMCBoot(t *testing.T) {
	chassis := &powersim.Chassis{}
	c, _ := openBMCClient(t, chassis)
	c.status(200, "POST", "/login", `{"data":["root","0penBmc"]}`)
	for _, tt := range []struct {
		source, mode, enabled string
		want                  power.BootDevice
	}{
		{"Network", "Regular", "true", power.Network},
		{"Disk", "Regular", "true", power.Disk},
		{"Default", "Setup", "true", power.Setup},
		{"Default", "Regular", "true", power.Default},
		{"Network", "Regular", "false", power.Default},
	} {
		c.status(200, "PUT", oneTime+"BootSource", `{"data":"`+inControl+`Source.Sources.`+tt.source+`"}`)
		c.status(200, "PUT", oneTime+"BootMode", `{"data":"`+inControl+`Mode.Modes.`+tt.mode+`"}`)
		c.status(200, "PUT", oneTime+"Enabled", `{"data":`+tt.enabled+`}`)
		if chassis.BootOnce() != tt.want {
			t.Errorf("%+v: boots from %s", tt, chassis.BootOnce())
		}
		if got := c.status(200, "GET", oneTime+"Enabled", "")["data"]; got != (tt.want != power.Default) {
			t.Errorf("%+v: enabled %v", tt, got)
		}
	}
}
