package bmcserve_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/kinds"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

// ipmitool and sushy switch a real QEMU, whose monitor knows neither of their protocols.
func TestQEMU(t *testing.T) {
	netlab.Require(t, netlab.Program("qemu-system-x86_64", "qemu-system-x86"), netlab.Program("ipmitool", "ipmitool"))
	requireSushy(t)
	dir, err := os.MkdirTemp("", "qemu") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "qmp")
	vm := exec.Command("qemu-system-x86_64", "-accel", "tcg", "-m", "32", "-nodefaults", "-display", "none", "-S", "-no-shutdown",
		"-qmp", "unix:"+path+",server=on,wait=off")
	if err := vm.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = vm.Process.Kill(); _ = vm.Wait() })
	target := power.Target{Name: "vm1", Kind: "qemu", Params: power.Params{"power_address": path}}
	c, err := power.NewController(power.Config{Registry: kinds.All()})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the monitor", func() bool {
		state, err := c.Query(t.Context(), target)
		return err == nil && state == power.Off
	})
	s := serveTargets(t, nil, target)
	host, port, _ := net.SplitHostPort(s.own)
	tool := func(args ...string) string {
		t.Helper()
		out, err := run(t, "ipmitool", append([]string{"-I", "lanplus", "-C", "17", "-H", host, "-p", port, "-U", "admin", "-P", "secret"}, args...)...)
		if err != nil {
			t.Fatalf("ipmitool %q: %v: %s", args, err, out)
		}
		return out
	}
	for _, state := range []string{"on", "off"} {
		tool("chassis", "power", state)
		eventually(t, "power "+state, func() bool { return contains(tool("chassis", "power", "status"), "is "+state) })
	}
	tool("chassis", "power", "on")
	tool("chassis", "power", "cycle")
	eventually(t, "on after a cycle", func() bool { return contains(tool("chassis", "power", "status"), "is on") })
	tool("chassis", "power", "off")
	eventually(t, "off", func() bool { return contains(tool("chassis", "power", "status"), "is off") })
	script := `
import sys, time, sushy, urllib3
urllib3.disable_warnings()
system = sushy.Sushy("https://" + sys.argv[1] + "/redfish/v1", verify=False, auth=sushy.auth.BasicAuth("admin", "secret")).get_system("/redfish/v1/Systems/vm1")
for reset, state in ((sushy.ResetType.ON, "On"), (sushy.ResetType.FORCE_RESTART, "On"), (sushy.ResetType.FORCE_OFF, "Off")):
    system.reset_system(reset)
    for _ in range(200):
        system.refresh()
        if system.power_state is not None and system.power_state.value == state:
            break
        time.sleep(0.05)
    else:
        raise SystemExit("never " + state)
print("ok")
`
	if out, err := sushyRun(t, script, s.web); err != nil || !contains(out, "ok") {
		t.Errorf("sushy: %v: %s", err, out)
	}
}

// BenchmarkState reads the state of a machine as clients do, in one session.
func BenchmarkState(b *testing.B) {
	s := serve(b)
	for name, target := range map[string]power.Target{
		"redfish": {Kind: "redfish", Params: power.Params{"power_address": s.web, "power_user": "admin", "power_pass": "secret", "node_id": "plug", "tls_verify": "no"}},
		"ipmi":    {Kind: "ipmi", Params: power.Params{"power_address": s.ipmi, "power_user": "admin@plug", "power_pass": "secret"}},
	} {
		b.Run(name, func(b *testing.B) {
			kind, err := kinds.All().Kind(target.Kind)
			if err != nil {
				b.Fatal(err)
			}
			p, err := kind.Check(target.Params)
			if err != nil {
				b.Fatal(err)
			}
			d, err := kind.Open(b.Context(), p)
			if err != nil {
				b.Fatal(err)
			}
			defer d.(power.Closer).Close(b.Context())
			for b.Loop() {
				if _, err := d.PowerState(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
