package powersim_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// sushy is the Redfish library of OpenStack. It is asked for what the driver is asked for.
const sushyScript = `
import sys, sushy, urllib3
urllib3.disable_warnings()
address, auth = sys.argv[1:]
kind = sushy.auth.BasicAuth if auth == "basic" else sushy.auth.SessionOrBasicAuth
service = sushy.Sushy("https://" + address + "/redfish/v1", verify=False, auth=kind("admin", "secret"))
system = service.get_system(service.get_system_collection().members_identities[0])
print(system.power_state.value)
system.set_system_boot_options(target=sushy.BootSource.PXE, enabled=sushy.BootSourceOverrideEnabled.ONCE)
system.reset_system(sushy.ResetType.ON)
system.refresh()
print(system.power_state.value, system.boot.target.value if system.boot.target else None)
`

// The simulated BMC is Redfish to a foreign client, with sessions and without.
func TestSushy(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's modules are not in the path of another one
	netlab.Require(t, netlab.Program(python, "python3"), netlab.File("/usr/lib/python3/dist-packages/sushy/__init__.py", "python3-sushy"))
	for name, tt := range map[string]struct {
		shape powersim.Shape
		auth  string
	}{
		"sessions":                       {powersim.Shape{}, "session"},
		"sessions not used":              {powersim.Shape{}, "basic"},
		"no sessions":                    {powersim.Shape{NoSessions: true}, "basic"},
		"no sessions, tried nonetheless": {powersim.Shape{NoSessions: true}, "session"},
		"slashes, absolute Location":     {powersim.Shape{Slash: true, AbsoluteLocation: true}, "session"},
	} {
		t.Run(name, func(t *testing.T) {
			chassis := &powersim.Chassis{}
			bmc, err := tt.shape.Serve(chassis, "admin", "secret")
			if err != nil {
				t.Fatal(err)
			}
			defer bmc.Close()
			cmd := exec.CommandContext(t.Context(), python, "-c", sushyScript, bmc.Address, tt.auth)
			cmd.Env = []string{"PATH=/usr/bin:/bin"} // requests takes a bundle of CAs in the environment for verify=True
			var failed bytes.Buffer
			cmd.Stderr = &failed
			out, err := cmd.Output()
			if got := strings.Fields(string(out)); err != nil || len(got) != 3 || got[0] != "Off" || got[1] != "On" || !chassis.On() {
				t.Errorf("%q, %v, on: %t; %s", out, err, chassis.On(), failed.Bytes())
			}
		})
	}
}
