package ipmi_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gomaas/maas/power"
	"github.com/gomaas/maas/power/ipmi"
	"github.com/gomaas/maas/power/powersim"
	"github.com/gomaas/maas/power/powertest"
	"github.com/gomaas/maas/pxe/boottest/netlab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(driver string) func(*testing.T) powertest.Harness {
	return func(t *testing.T) powertest.Harness {
		t.Helper()
		chassis := &powersim.Chassis{}
		bmc, err := powersim.ServeIPMI(chassis, "admin", "secret")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { bmc.Close() })
		target := bmc.Target()
		target.Params["power_driver"] = driver
		h := powertest.Harness{Kind: ipmi.Kind(), Target: target, Chassis: chassis, Sessions: bmc.Sessions, Stall: bmc.Stall, EndSessions: bmc.EndSessions}
		if driver == "LAN" {
			h.EndSessions = nil // the simulated BMC keeps the slot of an IPMI 1.5 session that it no longer hears
		}
		return h
	}
}

func TestLANPlus(t *testing.T) { powertest.Run(t, open("LAN_2_0")) }

func TestLAN(t *testing.T) {
	powertest.Run(t, open("LAN"))
	time.Sleep(5 * time.Second) // how long the library waits for an answer, even if its caller has given up
}

func TestSettings(t *testing.T) {
	c := powertest.Controller(t, ipmi.Kind())
	for name, params := range map[string]power.Params{
		"no address":     {},
		"bad MAC":        {"mac_address": "hello"},
		"bad port":       {"power_address": "192.0.2.1:port"},
		"unknown name":   {"power_address": "192.0.2.1", "password": "x"},
		"unknown choice": {"power_address": "192.0.2.1", "power_driver": "serial"},
	} {
		if _, err := c.Query(t.Context(), power.Target{Kind: "ipmi", Params: params}); power.ClassOf(err) != power.Settings {
			t.Errorf("%s: %v", name, err)
		}
	}
	kind := ipmi.Kind()
	if _, shown := kind.Public(power.Params{"power_pass": "secret"})["power_pass"]; shown {
		t.Error("the password is public")
	}
}

// openSim starts OpenIPMI's simulator, an implementation of others, with the power state in a file.
func openSim(t *testing.T, emu ...string) (address string, powered func() bool) {
	t.Helper()
	netlab.Require(t, netlab.Program("ipmi_sim", "openipmi"))
	dir := t.TempDir()
	probe, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = probe.LocalAddr().String()
	probe.Close()
	_, port, _ := net.SplitHostPort(address)
	control := filepath.Join(dir, "control")
	files := map[string]string{
		control: fmt.Sprintf(`#!/bin/sh
shift; op=$1; shift
case $op in
get) for p; do case $p in power) echo "power:$(cat %[1]s/power 2>/dev/null || echo 0)";; boot) echo "boot:$(cat %[1]s/boot 2>/dev/null || echo none)";; esac; done;;
set) while [ $# -gt 1 ]; do echo "$2" >%[1]s/$1; shift 2; done;;
esac
`, dir),
		filepath.Join(dir, "lan.conf"): fmt.Sprintf(`name "sim"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %s
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "%s 0x20"
  user 2 true "admin" "secret" admin 10 none md2 md5 straight
`, port, control),
		filepath.Join(dir, "sim.emu"): "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\n" + strings.Join(emu, "\n") + "\nmc_enable 0x20\n",
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	sim := exec.CommandContext(ctx, "ipmi_sim", "-c", filepath.Join(dir, "lan.conf"), "-f", filepath.Join(dir, "sim.emu"), "-s", dir, "-n")
	if err := sim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); sim.Wait() })
	return address, func() bool {
		state, _ := os.ReadFile(filepath.Join(dir, "power"))
		return strings.TrimSpace(string(state)) == "1"
	}
}

func TestOpenIPMISimulator(t *testing.T) {
	address, powered := openSim(t)
	c := powertest.Controller(t, ipmi.Kind())
	await(t, c, power.Target{Kind: "ipmi", Params: power.Params{
		"power_address": address, "power_user": "admin", "power_pass": "secret", "cipher_suite_id": "3",
	}})
	for _, params := range []power.Params{{"cipher_suite_id": "3"}, {"power_driver": "LAN"}, {}} {
		params["power_address"], params["power_user"], params["power_pass"] = address, "admin", "secret"
		target := power.Target{Kind: "ipmi", Params: params}
		for _, want := range []power.State{power.On, power.Off} {
			if _, err := c.Ensure(t.Context(), target, want, power.Options{}); err != nil {
				t.Fatalf("%v %s: %v", ipmi.Kind().Name, want, err)
			}
			if powered() != (want == power.On) {
				t.Errorf("%s reported, but the simulator has power: %v", want, powered())
			}
		}
	}
}

// await waits until the simulator has opened its port.
func await(t *testing.T, c *power.Controller, target power.Target) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if _, err := c.Query(ctx, target); err == nil {
			return
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// The simulated BMC is understood by the tool of most operators.
func TestIpmitoolAgainstOurBMC(t *testing.T) {
	netlab.Require(t, netlab.Program("ipmitool", "ipmitool"))
	h := open("LAN_2_0")(t)
	host, port, _ := net.SplitHostPort(h.Target.Params["power_address"])
	run := func(args ...string) string {
		t.Helper()
		args = append([]string{"-H", host, "-p", port, "-U", "admin", "-E"}, args...)
		cmd := exec.CommandContext(t.Context(), "ipmitool", args...)
		cmd.Env = append(os.Environ(), "IPMI_PASSWORD=secret")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("ipmitool %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	for _, protocol := range [][]string{{"-I", "lanplus", "-C", "3"}, {"-I", "lanplus", "-C", "17"}, {"-I", "lan"}} {
		run(append(protocol, "chassis", "bootdev", "pxe")...)
		if got := h.Chassis.BootOnce(); got != power.Network {
			t.Errorf("%v: boot device %s", protocol, got)
		}
		run(append(protocol, "power", "on")...)
		if out := run(append(protocol, "power", "status")...); !strings.Contains(out, "is on") || !h.Chassis.On() {
			t.Errorf("%v: %s", protocol, out)
		}
		run(append(protocol, "power", "off")...)
	}
}

// front passes datagrams to a BMC and back, except for open-session requests with the authentication
// algorithm of suite 17 (IPMI 2.0 section 13.17, octet 12 of the payload): some BMCs leave those
// unanswered.
func front(t *testing.T, bmc string) string {
	t.Helper()
	listen, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var loop, answers sync.WaitGroup
	backs := map[string]net.Conn{}
	loop.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := listen.ReadFrom(b)
			if err != nil {
				return
			}
			if n > 28 && b[5]&0x3f == 0x10 && b[28] == 3 {
				continue
			}
			back := backs[from.String()]
			if back == nil {
				if back, err = net.Dial("udp4", bmc); err != nil {
					return
				}
				backs[from.String()] = back
				answers.Go(func() {
					for b := make([]byte, 2048); ; {
						n, err := back.Read(b)
						if err != nil {
							return
						}
						_, _ = listen.WriteTo(b[:n], from)
					}
				})
			}
			_, _ = back.Write(b[:n])
		}
	})
	t.Cleanup(func() {
		listen.Close()
		loop.Wait() // it adds to the map
		for _, back := range backs {
			back.Close()
		}
		answers.Wait()
	})
	return listen.LocalAddr().String()
}

// A BMC that does not answer to suite 17 is asked for 3, within the time that the request has. A
// password is not taken for a matter of the suite.
func TestUnansweredSuite(t *testing.T) {
	bmc, err := powersim.ServeIPMI(&powersim.Chassis{}, "admin", "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer bmc.Close()
	target := bmc.Target()
	target.Params["power_address"] = front(t, bmc.Address)
	c, err := power.NewController(power.Config{Registry: power.NewRegistry(ipmi.Kind()), Timeout: 6 * time.Second, Spacing: -1})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		suite, password string
		class           power.Class
	}{
		"none named": {"", "secret", ""},
		"3":          {"3", "secret", ""},
		"17":         {"17", "secret", power.Connection},
		"a password": {"", "wrong", power.Auth},
	} {
		target.Params["cipher_suite_id"], target.Params["power_pass"] = tt.suite, tt.password
		began := time.Now()
		state, err := c.Query(t.Context(), target)
		if power.ClassOf(err) != tt.class || err == nil && state != power.Off {
			t.Errorf("%s: %s after %s, class %q, %v", name, state, time.Since(began), power.ClassOf(err), err)
		}
	}
}
